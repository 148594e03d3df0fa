"""Tables 1 to 4: chosen rows, averages and differences over seeds, Holm's correction, win rates."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from made_up import write_evaluation, write_judged

from aligncap import artifacts
from aligncap.config import Evaluation, Table
from aligncap.errors import ArtifactError
from aligncap.evaluation.tables.claims import write_claims
from aligncap.evaluation.tables.comparison import ComparisonInputs, ComparisonSettings, TableFiles, write_comparison
from aligncap.evaluation.tables.render import TableForms
from aligncap.evaluation.tables.seeds import Difference, corrected, scores_by_corpus
from aligncap.evaluation.tables.zero_shot import write_zero_shot

SETTINGS = Evaluation(meteor=False, bootstrap=200)
COUNT = 40
MEMBERS = {"kd": {"kd": 0, "kd@1": 1}, "sft": {"sft": 0, "sft@1": 1}, "other": {"other": 0}}


def said(share: float, seed: int = 0) -> dict[str, list[float | None]]:
    right = (np.random.default_rng(seed).random(COUNT) < share).astype(float).tolist()
    return {"emotion_agreement": right, "similarity": [0.2 + 0.5 * value for value in right]}


@pytest.fixture
def evaluations(tmp_path):
    """sft and kd with two seeds: kd is 0.1 more similar than sft of the same seed; the seeds differ much."""
    items = {}
    for seed, (name, other) in enumerate((("sft", "kd"), ("sft@1", "kd@1"))):
        items[name] = said(0.2 + 0.5 * seed, seed)
        items[other] = items[name] | {"similarity": [value + 0.1 for value in items[name]["similarity"]]}
    items["other"], items["tag_template"] = said(0.5, 7), said(0.9, 8)
    return {
        (name, "demo"): write_evaluation(tmp_path / f"evaluation/{name}/demo.parquet", own)
        for name, own in items.items()
    }


def zero_shot(folder, evaluations, members=MEMBERS):
    outs = [folder / f"tables/zero_shot.{kind}" for kind in ("parquet", "csv", "md", "tex")]
    write_zero_shot(SETTINGS, evaluations, members, {"demo": "synthetic"}, TableForms(*outs))
    return outs[0]


def comparison(folder, name, table, evaluations, judged=None, members=MEMBERS):
    ends = (".parquet", ".csv", ".md", ".tex", "_tests.parquet", "_tests.csv")
    outs = TableFiles(*(folder / f"tables/{name}{end}" for end in ends))
    whole = zero_shot(folder, evaluations, members)
    settings = ComparisonSettings(name, table, members, "reference", SETTINGS)
    write_comparison(settings, ComparisonInputs(whole, evaluations, judged or {}), outs)
    return outs


def by_metric(path, system, schema="table"):
    return {row["metric"]: row for row in artifacts.read_rows(path, schema) if row["system"] == system}


def test_a_system_of_several_seeds_is_their_mean_and_each_seed_is_kept(tmp_path, evaluations):
    path = zero_shot(tmp_path, evaluations)
    mean, first, second = (by_metric(path, name)["similarity"] for name in ("kd", "kd@0", "kd@1"))
    assert mean["value"] == pytest.approx((first["value"] + second["value"]) / 2)
    # Drawing one seed twice must be possible, so the interval reaches what the seeds say.
    assert mean["ci_low"] < first["value"] + 0.05 and mean["ci_high"] > second["value"] - 0.05
    assert by_metric(path, "kd")["collapse"]["ci_low"] is None
    assert "kd@0" not in (tmp_path / "tables/zero_shot.md").read_text()
    assert "kd: mean over seeds 0, 1" in (tmp_path / "tables/zero_shot.md").read_text()
    assert "other@0" not in {row["system"] for row in artifacts.read_rows(path, "table")}


def test_a_difference_is_paired_by_utterance_and_seed(evaluations):
    scores = scores_by_corpus(SETTINGS, evaluations, MEMBERS)["demo"]
    found = scores.difference("kd", "sft", "similarity")
    # Equal on every utterance of every pair of seeds: no spread is left, though the seeds themselves differ.
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((0.1, 0.1, 0.1))
    assert (found.seeds, found.n) == (2, COUNT) and found.p < 0.02
    assert scores.pairs("kd", "other") == [("kd", "other")], "only seed 0 is shared"
    assert scores.pairs("tag_template", "sft") == [("tag_template", "sft"), ("tag_template", "sft@1")]
    assert scores.difference("kd", "sft", "coverage") is None


def test_holm_corrects_primary_metrics_and_the_rest_apart():
    one = Difference("a", "sft", "demo", "emotion_agreement_macro", 0.1, 0.0, 0.2, 0.01, 0.01, 10, 1)
    family = [
        one,
        replace(one, metric="factuality_hallucination", p=0.04),
        replace(one, metric="similarity", p=0.02),
        replace(one, metric="similarity", system="b", p=0.03),
        replace(one, metric="similarity", system="c", p=0.01),
        replace(one, metric="similarity", corpus="elsewhere", p=0.04),
    ]
    assert [d.p_holm for d in corrected(family)] == pytest.approx([0.02, 0.04, 0.04, 0.04, 0.03, 0.04])


def test_a_table_shows_its_rows_in_its_order_and_tests_them(tmp_path, evaluations):
    table = Table(systems=("tag_template", "absent", "kd", "sft"), against="sft")
    outs = comparison(tmp_path, "table3", table, evaluations)
    rows = artifacts.read_rows(outs.parquet, "table")
    assert list(dict.fromkeys(row["system"] for row in rows)) == [
        "tag_template", "kd", "kd@0", "kd@1", "sft", "sft@0", "sft@1"
    ]  # fmt: skip
    with outs.csv.open() as stream:
        assert len(list(csv.DictReader(stream))) == len(rows)
    tests = artifacts.read_rows(outs.tests, "differences")
    assert {(row["system"], row["against"]) for row in tests} == {("tag_template", "sft"), ("kd", "sft")}
    assert all(row["p"] <= row["p_holm"] <= 1 for row in tests)
    text = outs.md.read_text()
    assert text.startswith("# Alignment methods and preference losses") and "| `kd` | 2 seeds |" in text
    assert "| `kd` - `sft` | similarity | +0.100 | [+0.100, +0.100] |" in text
    assert r"$^{*}$" in outs.tex.read_text() and "Holm" in outs.tex.read_text()


def test_a_table_without_its_baseline_has_figures_but_no_tests(tmp_path, evaluations):
    few = {key: path for key, path in evaluations.items() if key[0] in ("tag_template", "other")}
    outs = comparison(tmp_path, "table1", Table(systems=None, against="absent"), few, members={})
    assert {row["system"] for row in artifacts.read_rows(outs.parquet, "table")} >= {"tag_template", "other"}
    assert artifacts.read_rows(outs.tests, "differences") == []
    assert "Holm" not in outs.tex.read_text()


def test_win_rates_by_hand(tmp_path, evaluations):
    scores = [3.0, 4.0, 2.0, None] + [3.0] * (COUNT - 4)
    base = [3.0, 3.0, 3.0, 1.0] + [3.0] * (COUNT - 4)
    judged = {
        (name, "demo"): write_judged(tmp_path / f"judged/{name}.parquet", own)
        for name, own in {"tag_template": scores, "sft": base, "sft@1": [5.0] * COUNT}.items()
    }
    outs = comparison(tmp_path, "table4", Table(systems=("tag_template", "sft"), against="sft"), evaluations, judged)
    own = by_metric(outs.parquet, "tag_template")
    # Against seed 0: one win, one loss, 37 ties of 39; against seed 1: 39 losses. The mean over both.
    assert own["judge_win"]["value"] == pytest.approx((1 / 39 + 0) / 2)
    assert own["judge_loss"]["value"] == pytest.approx((1 / 39 + 1) / 2)
    assert own["win_rate"]["value"] == pytest.approx((0.5 + 0) / 2) and own["win_rate"]["n"] == 39
    assert "win_rate" not in by_metric(outs.parquet, "sft")
    assert by_metric(outs.tests, "tag_template", "differences")["win_rate"]["value"] == pytest.approx(-0.25)
    assert "judge 'reference'" in outs.md.read_text()
    # Its candidates were scored by the same judge: the heading says so.
    assert "| win rate\u00a0↑\u00a0† |" in outs.md.read_text()
    others = {key: write_judged(path, base, "human") for key, path in judged.items()}
    outs = comparison(tmp_path, "table4", Table(systems=("tag_template", "sft"), against="sft"), evaluations, others)
    assert "| win rate\u00a0↑ |" in outs.md.read_text()


def test_a_seed_has_its_own_number_of_judged_clips_and_one_without_any_takes_no_other_away(tmp_path, evaluations):
    def judged(folder, later):
        scores = {"tag_template": [3.0] * COUNT, "sft": [None] + [4.0] * (COUNT - 1), "sft@1": later}
        return {
            (name, "demo"): write_judged(tmp_path / f"{folder}/{name}.parquet", own) for name, own in scores.items()
        }

    table = Table(systems=("tag_template", "sft"), against="tag_template")
    some = comparison(tmp_path, "table4", table, evaluations, judged("some", [None] * 5 + [4.0] * (COUNT - 5)))
    counts = {name: by_metric(some.parquet, name)["win_rate"]["n"] for name in ("sft", "sft@0", "sft@1")}
    assert counts == {"sft": COUNT - 5, "sft@0": COUNT - 1, "sft@1": COUNT - 5}
    none = comparison(tmp_path, "table4", table, evaluations, judged("none", [None] * COUNT))
    assert by_metric(none.parquet, "sft")["win_rate"]["n"] == COUNT - 1


def test_scores_of_two_judges_or_of_other_utterances_are_refused(tmp_path, evaluations):
    table = Table(systems=("tag_template", "sft"), against="sft")
    short = {("tag_template", "demo"): write_judged(tmp_path / "short.parquet", [1.0] * 3)}
    with pytest.raises(ArtifactError, match="one judge's score of each of the 40"):
        comparison(tmp_path, "table4", table, evaluations, short)


def claims(folder, items, pairs):
    paths = {
        (name, "demo"): write_evaluation(folder / f"evaluation/{name}/demo.parquet", own) for name, own in items.items()
    }
    outs = TableForms(*(folder / f"tables/claims.{kind}" for kind in ("parquet", "csv", "md", "tex")))
    write_claims(pairs, SETTINGS, paths, {}, outs)
    return outs


def test_a_claim_holds_where_its_interval_excludes_zero_in_its_favour(tmp_path):
    right, wrong = said(0.9, 1)["emotion_agreement"], said(0.2, 2)["emotion_agreement"]
    second = {"emotion_agreement_2": wrong}
    items = {
        "kd": {"emotion_agreement": right} | second,
        "sft": {"emotion_agreement": wrong, "emotion_agreement_2": right},
    }
    outs = claims(tmp_path, items | {"same": items["kd"]}, [("kd", "sft"), ("sft", "kd"), ("kd", "same")])
    better, worse, equal = artifacts.read_rows(outs.parquet, "claims")
    assert better["verdict"] == "holds" and better["ci_low"] > 0
    assert worse["verdict"] == "against" and worse["value"] == -better["value"]
    assert equal["verdict"] == "open" and equal["value"] == 0
    assert better["second_instrument"] < 0 and "(other sign)" in outs.md.read_text(), "a disagreement is shown"
    assert better["p_holm"] == pytest.approx(3 * better["p"])
    assert r"kd - sft & agreement (macro)" in outs.tex.read_text()
    assert len(list(csv.DictReader(outs.csv.open()))) == 3


def test_fewer_hallucinations_are_counted_where_both_captions_assert_something(tmp_path):
    # Where both speak (the first half) the quiet one is wrong less; where it is silent, nothing counts.
    half = COUNT // 2
    # The second instrument finds an emotion in other captions: in those of the second half.
    wordy = {"factuality_hallucination_covered": [1.0] * COUNT, "factuality_hallucination_covered_2": [1.0] * COUNT}
    quiet = {
        "factuality_hallucination_covered": [0.0, 1.0] * (half // 2) + [None] * half,
        "factuality_hallucination_covered_2": [None] * half + [0.0, 0.0, 0.0, 1.0] * (half // 4),
    }
    (row,) = artifacts.read_rows(claims(tmp_path, {"a": quiet, "b": wordy}, [("a", "b")]).parquet, "claims")
    assert row["n"] == half and row["value"] == pytest.approx(-0.5) and row["verdict"] == "holds"
    assert row["second_instrument"] == pytest.approx(-0.75)
