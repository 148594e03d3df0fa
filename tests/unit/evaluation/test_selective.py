"""Figure 4: the risk-coverage curve and the area under it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from made_up import LABELS, write_evaluation

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.figures.selective import (
    AREAS,
    COVERAGES,
    SelectiveFiles,
    SelectiveInputs,
    area,
    confidences,
    curve,
    draw_selective,
)

ONE = np.ones((1, 4))
RISK = np.asarray([0.0, 1.0, 0.0, 1.0])
FACTUALITY, SECOND = "factuality_hallucination", "factuality_hallucination_2"


def by_counting(risk, confidence):
    """The area as the mean over all orders in which the more confident come first."""
    sure = np.asarray(confidence)
    orders = [o for o in itertools.permutations(range(len(risk))) if (np.diff(sure[list(o)]) <= 0).all()]
    return np.mean([np.mean([np.mean([risk[i] for i in o[:k]]) for k in range(1, len(o) + 1)]) for o in orders])


def test_area_by_hand():
    # risks of the first 1, 2, 3 and 4 clips: 0, 1/2, 1/3, 1/2
    assert area(ONE, RISK, np.asarray([0.9, 0.8, 0.7, 0.6]))[0] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert area(ONE, RISK, -RISK)[0] == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4), "the best order"
    assert area(ONE, RISK, np.zeros(4))[0] == pytest.approx(0.5), "without confidence it is the risk of all clips"


@pytest.mark.parametrize("confidence", [[0.9, 0.9, 0.2, 0.2], [0.9, 0.5, 0.5, 0.5], [0.1, 0.8, 0.8, 0.3]])
def test_clips_of_equal_confidence_are_in_random_order(confidence):
    assert area(ONE, RISK, np.asarray(confidence))[0] == pytest.approx(by_counting(RISK, confidence))


def test_a_weight_is_a_clip_that_stands_there_as_often():
    confidence, drawn = np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([[2.0, 0.0, 1.0, 3.0], [0.0, 0.0, 0.0, 4.0]])
    copied = [np.repeat(np.arange(4), row.astype(int)) for row in drawn]
    wanted = [by_counting(RISK[copies], confidence[copies]) for copies in copied]
    assert area(drawn, RISK, confidence) == pytest.approx(wanted)


def test_the_curve_is_the_risk_of_the_most_confident():
    risk, confidence = np.tile(RISK, 5), np.linspace(1, 0, 20)  # a clip for each of the coverages
    wanted = np.cumsum(risk) / np.arange(1, 21)
    assert curve(np.ones((1, 20)), risk, confidence)[0] == pytest.approx(wanted)
    assert curve(np.ones((1, 20)), risk, np.zeros(20))[0] == pytest.approx(np.full(20, 0.5))


def write_clues(path, probabilities):
    """Predicted clues of u00, u01 …, whose emotion has this probability; None: no emotion is tagged."""
    common = {"intensity": "normal", "negated": False}
    rows = []
    for number, p in enumerate(probabilities):
        clues = [{"kind": "rate", "word": "slow", "lemma": "slow", "probability": 0.99, **common}]
        if p is not None:
            clues.append({"kind": "emotion", "word": "sad", "lemma": "sad", "probability": p, **common})
        rows.append({"utterance_id": f"u{number:02d}", "clues": clues, "p_act": "", "p_sem_ids": [1]})
    artifacts.write(rows, path, "clues", "test")
    return path


def test_confidence_is_that_of_the_emotion_tag(tmp_path):
    assert confidences(write_clues(tmp_path / "clues.parquet", [0.75, None])) == {"u00": 0.75, "u01": 0.0}


@pytest.fixture
def drawn(tmp_path):
    """Twenty clips: `kd` is wrong where the tagger is least sure, `kd@1` everywhere, `sft` on every other clip."""
    count = 20
    wrong = {
        "kd": [float(n >= 15) for n in range(count)],
        "kd@1": [1.0] * count,
        "sft": [float(n % 2) for n in range(count)],
    }
    paths = {}
    for name, own in wrong.items():
        second = [None] * 4 + own[4:] if name == "sft" else own
        paths[name, "demo"] = tmp_path / f"{name}.parquet"
        write_evaluation(paths[name, "demo"], {FACTUALITY: own, SECOND: second}, [LABELS[0]] * count)
    clues = write_clues(tmp_path / "clues.parquet", [0.9 - 0.02 * n for n in range(count - 5)] + [None] * 5)
    files = SelectiveFiles(*(tmp_path / f"figure4{end}" for end in (".svg", ".png", ".parquet", "_areas.parquet")))
    members = {"kd": {"kd": 0, "kd@1": 1}}
    draw_selective(Evaluation(bootstrap=50), members, SelectiveInputs(paths, {"demo": clues}), files)
    return files


def test_figure_4_has_a_curve_and_its_areas_for_each_system(drawn):
    points = {
        (row["system"], row["metric"], round(row["coverage"], 2)): row
        for row in artifacts.read_rows(drawn.parquet, "risk_coverage")
    }
    assert len(points) == 2 * 2 * len(COVERAGES), "seeds are averaged, not shown apart"
    assert points["kd", FACTUALITY, 0.5]["value"] == pytest.approx((0 + 1) / 2)
    assert points["kd", FACTUALITY, 1.0]["value"] == pytest.approx((0.25 + 1) / 2)
    assert points["sft", SECOND, 1.0]["n"] == 16, "a clip that the instrument cannot judge is left out"
    areas = {(row["system"], row["metric"]): row for row in artifacts.read_rows(drawn.areas, "table")}
    assert set(areas) == {(s, f"{m}_{a}") for s in ("kd", "sft") for m in (FACTUALITY, SECOND) for a in AREAS}
    kd = {name: areas["kd", f"{FACTUALITY}_{name}"]["value"] for name in AREAS}
    late = np.mean([0.0] * 15 + [k / (15 + k) for k in range(1, 6)])  # all wrong clips are untagged, and so last
    assert kd["aurc"] == pytest.approx((late + 1) / 2) == kd["aurc_best"]
    assert kd["aurc_random"] == pytest.approx((0.25 + 1) / 2)
    assert kd["aurc_gain"] == pytest.approx(kd["aurc_random"] - kd["aurc"])
    for row in (*points.values(), *areas.values()):
        assert row["ci_low"] <= row["value"] + 1e-9 and row["value"] <= row["ci_high"] + 1e-9


def test_the_picture_tells_the_areas(drawn):
    text = drawn.svg.read_text()
    assert "sft: area 0." in text and ", random 0.500, best " in text and drawn.png.read_bytes()[:4] == b"\x89PNG"
