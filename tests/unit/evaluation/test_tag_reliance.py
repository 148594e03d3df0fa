"""Captions against the emotion tag in their prompt, on hand-worked rows."""

import pytest

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.errors import ArtifactError
from aligncap.evaluation.tables.tag_reliance import write_tag_reliance

# label, tag in the prompt, dominant emotion of the caption
ROWS = [
    ("angry", "angry", "angry"),  # repeats, and is right
    ("sad", "angry", "angry"),  # repeats, and is wrong
    ("happy", "happy", "sad"),  # departs from a right tag
    ("worried", "sad", "fearful"),  # departs, and is right: worried counts as fearful
    ("sad", "happy", "sad"),  # departs, and is right
    ("other", "sad", "happy"),  # departs, but no class is right
    ("sad", "sad", None),  # asserts nothing
    ("sad", None, "sad"),  # no tag
]


def evaluation_row(number, label, dominant):
    figures = {"metric_names": [], "metric_values": [], "flags": [], "assertions": []}
    own = {"utterance_id": f"u{number}", "caption": "…", "cluster": f"c{number}"}
    return own | {"label": label, "dominant": dominant} | figures


def clue(kind, word):
    fixed = {"intensity": "normal", "negated": False, "probability": 0.5}
    return {"kind": kind, "word": word, "lemma": word, **fixed}


@pytest.fixture
def files(tmp_path):
    captions = {"kd": [row[2] for row in ROWS], "tag_template": [row[1] for row in ROWS]}
    evaluations = {}
    for system, said in captions.items():
        rows = [evaluation_row(n, row[0], own) for n, (row, own) in enumerate(zip(ROWS, said, strict=True))]
        evaluations[system, "demo"] = tmp_path / f"{system}.parquet"
        artifacts.write(rows, evaluations[system, "demo"], "evaluation", "test")
    prompts = [
        {
            "utterance_id": f"u{n}",
            "clues": [clue("rate", "fast"), *([clue("emotion", tag)] if tag else [])],
            "p_act": "",
            "p_sem_ids": [],
        }
        for n, (_, tag, _) in enumerate(ROWS)
    ]
    artifacts.write(prompts, tmp_path / "predicted.parquet", "clues", "test")
    return evaluations, {"demo": tmp_path / "predicted.parquet"}


def test_hand_worked_figures(files, tmp_path):
    evaluations, predicted = files
    write_tag_reliance(
        Evaluation(bootstrap=200), evaluations, {"kd": {"kd": 3}}, predicted, tmp_path / "t.parquet", tmp_path / "t.md"
    )
    rows = artifacts.read_rows(tmp_path / "t.parquet", "table")
    kd = {row["metric"]: (row["value"], row["n"]) for row in rows if row["system"] == "kd"}
    assert kd == {
        "repeats_tag": (pytest.approx(2 / 7), 7),
        "departs": (pytest.approx(4 / 7), 7),
        "departs_right": (pytest.approx(2 / 3), 3),
        "departs_tag_right": (pytest.approx(1 / 3), 3),
        "departs_gain": (pytest.approx(1 / 3), 3),
    }
    gain = next(row for row in rows if (row["system"], row["metric"]) == ("kd", "departs_gain"))
    assert -1 <= gain["ci_low"] < gain["value"] < gain["ci_high"] <= 1
    template = {row["metric"]: row["value"] for row in rows if row["system"] == "tag_template"}
    assert template == {"repeats_tag": 1.0, "departs": 0.0}, "what departs nowhere is not right or wrong there"
    text = (tmp_path / "t.md").read_text()
    assert "| `tag_template` | 1.000 [1.000, 1.000] | 0.000 [0.000, 0.000] | – | – | – | 0 |" in text
    assert "## demo" in text and "+0.333 [" in text


def test_seeds_are_pooled_and_shown(files, tmp_path):
    evaluations, predicted = files
    evaluations["kd@1", "demo"] = evaluations["tag_template", "demo"]  # the other seed departs nowhere
    members = {"kd": {"kd": 3, "kd@1": 1}}
    write_tag_reliance(Evaluation(bootstrap=50), evaluations, members, predicted, tmp_path / "t", tmp_path / "m")
    rows = artifacts.read_rows(tmp_path / "t", "table")
    departs = {row["system"]: (row["value"], row["n"]) for row in rows if row["metric"] == "departs"}
    one = {"kd@3": (pytest.approx(4 / 7), 7), "kd@1": (0.0, 7), "tag_template": (0.0, 7)}
    assert departs == {"kd": (pytest.approx(4 / 14), 14), **one}
    assert [row["n"] for row in rows if row["metric"] == "departs_right"] == [3, 3], "of kd and of kd@3"


def test_another_artifact_is_refused(files, tmp_path):
    evaluations, _ = files
    wrong = {"demo": next(iter(evaluations.values()))}
    with pytest.raises(ArtifactError, match="expected schema 'clues'"):
        write_tag_reliance(Evaluation(bootstrap=10), evaluations, {}, wrong, tmp_path / "t", tmp_path / "m")
    assert not (tmp_path / "t").exists()
