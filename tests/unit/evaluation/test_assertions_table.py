"""The table of assertions, on hand-worked verdicts."""

import csv

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.tables.assertions import AssertionsTable, figures_by_kind, in_words, write_assertions

YES, NO, OPEN = "supported", "contradicted", "not_checkable"
# kind and verdict of every assertion, by caption
KD = [
    [("emotion", YES), ("level", YES), ("rate", NO)],
    [("emotion", NO), ("level", OPEN)],
    [("emotion", YES), ("emotion", OPEN), ("timbre", OPEN)],
    [],
]
SFT = [[("emotion", NO)], [("emotion", NO)], [("emotion", NO)], [("emotion", YES)]]
QUICK = Evaluation(bootstrap=200)


def assertions(said):
    return [{"kind": k, "word": k, "lemma": k, "negated": False, "verdict": v} for k, v in said]


def write_evaluation(path, captions):
    fixed = {"caption": "…", "dominant": None, "metric_names": [], "metric_values": [], "flags": []}
    rows = [
        {"utterance_id": f"u{n}", "cluster": f"c{n}", "label": "sad", "assertions": assertions(said), **fixed}
        for n, said in enumerate(captions)
    ]
    artifacts.write(rows, path, "evaluation", "test")
    return path


@pytest.fixture
def written(tmp_path):
    def write(evaluations, members):
        outs = AssertionsTable(*(tmp_path / f"assertions.{kind}" for kind in ("parquet", "csv", "md")))
        files = {(name, "demo"): write_evaluation(tmp_path / name, own) for name, own in evaluations.items()}
        write_assertions(QUICK, files, members, outs)
        return outs, artifacts.read_rows(outs.parquet, "assertions")

    return write


def values(rows, system, kind):
    own = [row for row in rows if (row["system"], row["kind"]) == (system, kind)]
    return {row["metric"]: (pytest.approx(row["value"]), row["n"]) for row in own}


def test_hand_worked_figures(written):
    outs, rows = written({"kd": KD, "sft": SFT}, {})
    assert values(rows, "kd", "emotion") == {
        "precision": (2 / 3, 3),
        "contradicted": (1 / 4, 4),
        "not_checkable": (1 / 4, 4),
        "supported_per_caption": (2 / 4, 4),
        "contradicted_per_caption": (1 / 4, 4),
    }
    assert values(rows, "kd", "rate")["precision"] == (0, 1)
    assert "precision" not in values(rows, "kd", "timbre"), "where nothing is checkable there is no precision"
    assert values(rows, "kd", "timbre")["not_checkable"] == (1, 1)
    assert values(rows, "kd", "pitch") == {}, "what nobody asserts has no row"
    everything = values(rows, "kd", "all")
    assert everything["precision"] == (3 / 5, 5) and everything["not_checkable"] == (3 / 8, 8)
    for metric in ("supported_per_caption", "contradicted_per_caption"):
        kinds = [row["value"] for row in rows if (row["system"], row["metric"]) == ("kd", metric)]
        assert sum(kinds[:-1]) == pytest.approx(kinds[-1]), "a caption's figure is the sum over its kinds"
    precision = next(r for r in rows if (r["system"], r["kind"], r["metric"]) == ("kd", "emotion", "precision"))
    assert 0 <= precision["ci_low"] < precision["value"] < precision["ci_high"] <= 1
    with outs.csv.open() as stream:
        assert len(list(csv.DictReader(stream))) == len(rows)
    text = outs.md.read_text()
    assert text.index("| emotion | `kd` | 4 | 0.667 [") < text.index("| emotion | `sft` | 4 | 0.250 [")
    assert "| timbre | `kd` | 1 | – | 0.000 [0.00, 0.00] | 1.000 [1.00, 1.00] |" in text


def test_seeds_are_pooled_and_shown(written):
    _, rows = written({"kd": KD, "kd@1": SFT}, {"kd": {"kd": 3, "kd@1": 1}})
    assert list(dict.fromkeys(row["system"] for row in rows)) == ["kd", "kd@3", "kd@1"]
    pooled = values(rows, "kd", "emotion")
    assert pooled["precision"] == (3 / 7, 7) and pooled["supported_per_caption"] == (3 / 8, 8)
    assert values(rows, "kd@1", "emotion")["precision"] == (1 / 4, 4)


def test_captions_of_a_cluster_are_drawn_together():
    captions = [assertions([("emotion", YES)])] * 3 + [assertions([("emotion", NO)])] * 3
    together = np.array([[2, 2, 2, 0, 0, 0], [0, 0, 0, 2, 2, 2]], dtype=np.float64)
    precision = figures_by_kind(together, [captions])[0]
    assert (precision["metric"], precision["value"]) == ("precision", 0.5)
    assert (precision["ci_low"], precision["ci_high"]) == (pytest.approx(0.025), pytest.approx(0.975))


def test_a_system_that_asserts_nothing_has_no_rows():
    assert figures_by_kind(np.ones((2, 2)), [[[], []]]) == []
    assert in_words([]) == {}
