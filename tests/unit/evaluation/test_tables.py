"""The zero-shot table in all its forms."""

from __future__ import annotations

import csv

import pytest
from made_up import LABELS, REFERENCES, use_word_encoder, write_captions, write_corpus

from aligncap import artifacts
from aligncap.config import Compute, Evaluation
from aligncap.evaluation.score import Evaluations, ScoringInputs, ScoringSettings, score_captions
from aligncap.evaluation.tables.render import TableForms, render_terminal
from aligncap.evaluation.tables.zero_shot import paired_differences, write_zero_shot

SETTINGS = Evaluation(meteor=False, bootstrap=50, derangements=3)


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    paths = write_corpus(tmp_path)
    captions = {
        "kd": {f"u{n:02d}": REFERENCES[LABELS[n % 4]] for n in range(12)},
        "sft": {f"u{n:02d}": REFERENCES["sad"] for n in range(12)},
        "secap": {f"u{n:02d}": REFERENCES["angry"] for n in range(12)},
    }
    files = {name: write_captions(tmp_path / f"{name}.parquet", own) for name, own in captions.items()}
    outs = {name: tmp_path / f"evaluation/{name}/demo.parquet" for name in ("chance", *captions)}
    gold = [paths[name] for name in ("labels", "prosody", "timbre", "transcripts", "audio")]
    settings, inputs = (
        ScoringSettings("demo", SETTINGS, Compute(precision="fp32", threads=1)),
        ScoringInputs(*gold, files, tmp_path / "m"),
    )
    score_captions(settings, inputs, Evaluations(outs))
    return outs


def _write(tmp_path, outs, systems, members=None):
    tables = [tmp_path / f"tables/zero_shot.{kind}" for kind in ("parquet", "csv", "md", "tex")]
    marks = {"secap": "external", "kd": "zero-shot", "demo": "synthetic"}
    evaluations = {(name, "demo"): outs[name] for name in systems}
    write_zero_shot(SETTINGS, evaluations, members or {}, marks, TableForms(*tables))
    return tables


@pytest.mark.java
def test_all_forms(tmp_path, evaluated):
    parquet, as_csv, md, tex = _write(tmp_path, evaluated, list(evaluated))
    rows = artifacts.read_rows(parquet, "table")
    assert {row["system"] for row in rows} == set(evaluated)
    with as_csv.open() as stream:
        assert len(list(csv.DictReader(stream))) == len(rows)
    text = md.read_text()
    assert "## demo (synthetic)" in text and "| `secap` | external |" in text
    assert "meteor is absent: switched off" in text and "METEOR |" not in text
    assert "`kd` - `sft` | agreement (macro) | +0.750" in text
    assert r"\toprule" in tex.read_text() and "–" not in tex.read_text()
    shown = render_terminal(parquet, width=140)
    assert "secap (external)" in shown and "1.000" in shown
    kd = next(row for row in rows if (row["system"], row["metric"]) == ("kd", "emotion_agreement_macro"))
    assert f"[{kd['ci_low']:.2f}, {kd['ci_high']:.2f}]" in shown


@pytest.mark.java
def test_what_other_runs_left_beside_the_inputs_changes_nothing(tmp_path, evaluated):
    beside = [file.read_bytes() for file in _write(tmp_path, evaluated, ["kd"])]
    evaluated["sft"].rename(tmp_path / "elsewhere.parquet")
    assert [file.read_bytes() for file in _write(tmp_path, evaluated, ["kd"])] == beside
    assert {row["system"] for row in artifacts.read_rows(tmp_path / "tables/zero_shot.parquet", "table")} == {"kd"}


@pytest.mark.java
def test_each_pair_of_systems_is_compared_once(evaluated):
    found = paired_differences(SETTINGS, {(name, "demo"): path for name, path in evaluated.items()})
    pairs = {(d.system, d.against) for d in found}
    assert pairs == {("kd", "sft"), ("secap", "sft"), ("secap", "kd")}
    for d in found:
        assert d.ci_low - 1e-9 <= d.value <= d.ci_high + 1e-9
