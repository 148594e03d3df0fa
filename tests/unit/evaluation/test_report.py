"""The report page, from made-up artifacts."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import pytest
from made_up import LABELS, REFERENCES, use_word_encoder, write_captions, write_corpus

from aligncap import artifacts
from aligncap.config import Compute, Evaluation, Report, Table
from aligncap.errors import ArtifactError
from aligncap.evaluation.figure_methods import draw_methods
from aligncap.evaluation.report import ReportInputs, pick_examples, stage_seconds, write_report
from aligncap.evaluation.score import score_captions
from aligncap.evaluation.tables import ClaimsFiles, TableFiles, write_claims, write_comparison, write_zero_shot

SETTINGS = Evaluation(meteor=False, bootstrap=50, derangements=3)
ENDINGS = (".parquet", ".csv", ".md", ".tex", "_tests.parquet", "_tests.csv")
SYSTEMS = ("constant", "tag_template", "sft", "kd", "aligncap")


def made_up_inputs(folder) -> ReportInputs:
    """A whole experiment: five systems and chance on one synthetic corpus of 40 clips."""
    paths = write_corpus(folder, clips=40)
    names = [f"u{n:02d}" for n in range(40)]
    captions, outs = {}, {}
    for level, system in enumerate(SYSTEMS):
        said = {n: REFERENCES[LABELS[i % 4 if i % 5 <= level else 1]] for i, n in enumerate(names)}
        if system == "kd":
            said["u00"] = "He sounds <b>angry</b> because of the war & so on"
        captions[system] = write_captions(folder / f"captions/{system}.parquet", said)
    outs = {name: folder / f"evaluation/{name}/demo.parquet" for name in ("chance", *SYSTEMS)}
    gold = (paths["labels"], paths["prosody"], paths["transcripts"], paths["audio"])
    score_captions(SETTINGS, Compute(threads=1), "demo", *gold, captions, folder / "m", outs)
    evaluations = {(name, "demo"): path for name, path in outs.items()}
    table = folder / "tables/zero_shot.parquet"
    rest = [table.with_suffix(suffix) for suffix in (".csv", ".md", ".tex")]
    marks = {"tag_template": "transductive", "demo": "synthetic"}
    write_zero_shot(SETTINGS, evaluations, {}, folder / "evaluation", marks, {}, table, *rest)
    tests, drawn, chosen = {}, {}, {}
    for name in ("table1", "table3"):
        outs = TableFiles(*(folder / f"tables/{name}{end}" for end in ENDINGS))
        write_comparison(name, Table(systems=("sft", "kd", "aligncap")), SETTINGS, table, evaluations, {}, {}, outs)
        chosen[name], tests[name] = outs.parquet, outs.tests
    pictures = [folder / f"figures/figure2.{kind}" for kind in ("svg", "png", "parquet", "csv")]
    draw_methods(chosen["table3"], tests["table3"], *pictures)
    drawn["figure2"] = pictures[0]
    claims = ClaimsFiles(*(folder / f"tables/claims.{kind}" for kind in ("parquet", "csv", "md", "tex")))
    write_claims([("kd", "sft")], SETTINGS, evaluations, {}, claims)
    training = {}
    for system in ("warm_start base", "kd", "aligncap"):
        rows = [
            {"step": step, "split": split, "metric": metric, "value": scale * math.exp(-step / 40) + 0.1 * (step % 3)}
            for metric, scale in (("loss", 3.0), ("nll", 2.0), ("kl", 1.0))
            for split, steps in (("train", range(1, 100)), ("dev", range(20, 101, 20)))
            for step in steps
        ]
        training[system] = folder / f"training/{system}.parquet"
        artifacts.write(rows, training[system], "training", "test")
    fold = folder / "out_of_fold.parquet"
    predictions = [
        {
            "utterance_id": n,
            "corpus": "train_a",
            "kind": "emotion",
            "target": LABELS[i % 4],
            "labels": list(LABELS),
            "probabilities": [0.7 if j == (i % 4 if i % 3 else 0) else 0.1 for j in range(4)],
        }
        for i, n in enumerate(names)
    ]
    artifacts.write(predictions, fold, "tagger_predictions", "test")
    pairs = folder / "pairs.parquet"
    pair = {"utterance_id": "a", "corpus": "train_a", "chosen_id": "a#0", "chosen_ids": [1], "rejected_ids": [2]}
    rows = [
        {**pair, "pair_id": "1", "kind": "factuality", "rejected_id": "a#1", "margin": 1.5, "role": "train"},
        {**pair, "pair_id": "2", "kind": "factuality", "rejected_id": "a#swap0", "margin": 0.0, "role": "dev"},
    ]
    artifacts.write(rows, pairs, "preference_pairs", "test")
    benchmark = folder / "benchmarks/train_alignment/kd.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n81.5\t0:01:21\t2100.4\n")
    run = {
        "config": {"experiment": "made-up", "seed": 0},
        "git": {"commit": "0123abc", "dirty": True},
        "inputs": {},
        "packages": {"torch": "2.0"},
        "platform": "Linux x86_64",
        "python": "3.11.7",
    }
    (folder / "run.json").write_text(json.dumps(run))
    return ReportInputs(
        table=table,
        snapshot=folder / "run.json",
        evaluations=evaluations,
        references={"demo": paths["labels"]},
        transcripts={"demo": paths["transcripts"]},
        predicted={"demo": paths["clues"]},
        training=training,
        out_of_fold=fold,
        pairs={"kd": pairs},
        benchmarks=[benchmark, folder / "benchmarks/none.tsv"],
        synthetic=["demo"],
        tables=chosen,
        tests=tests,
        figures=drawn,
        claims=claims.parquet,
    )


class Page(HTMLParser):
    """Collects tags, links and ids, and checks that tags are closed."""

    VOID = {"meta", "br", "link", "path", "use", "rect", "image"}  # matplotlib closes these within their tag

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.open, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src", "xlink:href") if values.get(name)]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    return made_up_inputs(tmp_path)


@pytest.mark.java
def test_page_holds_everything_and_loads_nothing(tmp_path, inputs):
    write_report(Report(examples=5), inputs, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.search(r"<script|url\((?!#)|@import", text)
    words = " ".join(" ".join(page.text).split())
    for expected in (
        "Synthetic speech",
        "made-up",
        "transductive",
        "0123abc",
        "train_alignment",
        "81.5",
        "emotion: sad",
        "Table 3: alignment methods and preference losses",
        "Figure 2: alignment methods",
        "aligncap - sft",
        "kd - sft",
        "factuality halluc. at equal coverage",
    ):
        assert expected in words, expected
    assert text.count('class="example"') == 5
    assert "<b>angry</b>" not in text and "&lt;b&gt;angry&lt;/b&gt;" in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.java
def test_equal_inputs_give_an_equal_page_and_optional_parts_may_be_absent(tmp_path, inputs):
    write_report(Report(examples=3), inputs, tmp_path / "1.html")
    write_report(Report(examples=3), inputs, tmp_path / "2.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    bare = ReportInputs(inputs.table, inputs.snapshot, inputs.evaluations, {}, {}, {})
    write_report(Report(), bare, tmp_path / "bare.html")
    text = (tmp_path / "bare.html").read_text()
    assert (
        'id="table3"' not in text
        and 'id="training"' not in text
        and 'id="claims"' not in text
        and 'id="pairs"' not in text
        and "Synthetic speech" not in text
    )
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ArtifactError, match="snapshot"):
        write_report(Report(), inputs, tmp_path / "3.html")


def test_examples_are_taken_evenly():
    labels = {f"u{n}": ("sad" if n < 90 else "angry") for n in range(100)} | {"x": None}
    picked = pick_examples(labels, 7)
    assert len(set(picked)) == 7 and {labels[name] for name in picked} == {"sad", "angry", None}
    assert pick_examples({"a": "sad"}, 5) == ["a"] and pick_examples({}, 5) == []


def test_benchmarks_of_any_depth(tmp_path):
    file = tmp_path / "benchmarks/caption_testset/kd/demo.tsv"
    file.parent.mkdir(parents=True)
    file.write_text("s\tmax_rss\n12.0\t-\n")
    (stage,) = stage_seconds([file])
    assert stage == {"rule": "caption_testset", "of": "kd/demo", "seconds": 12.0, "memory": None}
