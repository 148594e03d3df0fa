"""Accuracy and calibration of the tagger, on predictions whose figures are known by hand."""

import numpy as np
import pytest
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.clues.tagger.familiarity import Familiarity
from aligncap.clues.tagger.heads import Head
from aligncap.clues.tagger.model import Tagger
from aligncap.config import Evaluation
from aligncap.config import TaggerSettings as Settings
from aligncap.evaluation.tables import tagger as module
from aligncap.evaluation.tables.tagger import (
    TaggerInputs,
    TaggerTables,
    clusters_of,
    figures,
    reliability,
    score_kind,
    write_tagger_table,
)
from aligncap.vocabulary import CLASSES, SCALES

QUICK = Evaluation(bootstrap=50)


def scored(probabilities, labels, threshold=0.5, clusters=None):
    """Predictions of 'angry' with these probabilities, else 'sad'."""
    predicted = {f"u{i}": {"emotion": {"angry": p, "sad": 1 - p}} for i, p in enumerate(probabilities)}
    targets = {f"u{i}": label for i, label in enumerate(labels)}
    return score_kind(predicted, targets, clusters or {key: key for key in predicted}, "emotion", threshold)


def values(found, evaluation=QUICK):
    """Metric -> value."""
    return {row["metric"]: row["value"] for row in figures(found, evaluation)}


def test_figures_by_hand():
    found = values(scored([0.9, 0.9, 0.6, 0.2], ["angry", "sad", "angry", "sad"], threshold=0.8))
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["macro_recall"] == pytest.approx((1 + 0.5) / 2)
    assert found["brier"] == pytest.approx(2 * (0.01 + 0.81 + 0.16 + 0.04) / 4)
    # bins: 0.9 twice (one right), 0.8 (right), 0.6 (right)
    assert found["ece"] == pytest.approx((2 * 0.4 + 0.2 + 0.4) / 4)
    assert found["coverage"] == pytest.approx(0.75)
    assert found["accuracy_kept"] == pytest.approx(2 / 3)


def test_a_calibrated_tagger_has_a_small_error_and_an_overconfident_one_its_excess():
    rng = np.random.default_rng(0)
    labels = ["angry" if x else "sad" for x in rng.random(4000) < 0.7]
    assert values(scored([0.7] * 4000, labels))["ece"] < 0.02
    assert values(scored([0.95] * 4000, labels))["ece"] == pytest.approx(0.25, abs=0.02)


def test_unknown_labels_and_missing_predictions_do_not_count():
    assert len(scored([0.9, 0.9], ["angry", ""]).targets) == 1
    assert figures(scored([0.9], [""]), QUICK) == []


def test_nothing_kept_has_no_accuracy():
    assert "accuracy_kept" not in values(scored([0.6, 0.7], ["angry", "sad"], threshold=0.99))


def test_a_tag_that_says_nothing_is_not_kept():
    predicted = {f"u{i}": {"timbre": {"clear": p, "rough": 1 - p}} for i, p in enumerate([0.9, 0.9, 0.1, 0.1])}
    targets = dict(zip(predicted, ["clear", "clear", "rough", "clear"], strict=True))
    found = values(score_kind(predicted, targets, {key: key for key in predicted}, "timbre", 0.5))
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["coverage"] == pytest.approx(0.5) and found["accuracy_kept"] == pytest.approx(0.5)


def test_intervals_hold_the_value_and_whole_speakers_make_them_wider():
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(12), 20)
    right = rng.random(12)[speaker] > rng.random(240) * 0.5 + 0.25
    probabilities = np.where(right, 0.8, 0.2)
    clips = scored(probabilities, ["angry"] * 240)
    speakers = scored(probabilities, ["angry"] * 240, clusters={f"u{i}": str(s) for i, s in enumerate(speaker)})
    rows = [next(r for r in figures(s, Evaluation()) if r["metric"] == "accuracy") for s in (clips, speakers)]
    assert all(row["ci_low"] < row["value"] < row["ci_high"] for row in rows)
    assert rows[1]["ci_high"] - rows[1]["ci_low"] > 1.5 * (rows[0]["ci_high"] - rows[0]["ci_low"])


def test_bins_hold_every_clip_once():
    bins = reliability(scored([1.0, 0.95, 0.55, 0.5], ["angry"] * 4))
    assert [(b["bin_low"], b["n"]) for b in bins] == [(0.5, 2), (0.9, 2)]
    assert bins[0]["confidence"] == pytest.approx(0.525) and bins[1]["accuracy"] == 1


def test_clusters_are_speakers_where_there_are_ten():
    def rows(n):
        return [{"utterance_id": f"u{i}", "speaker": str(i % n), "session": ""} for i in range(20)]

    assert len(set(clusters_of(rows(10)).values())) == 10
    assert len(set(clusters_of(rows(9)).values())) == 20


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """A training corpus 'c' with out-of-fold predictions, a test corpus 't' with features [1, 3, 2] that tell angry."""
    ids = [f"u{i}" for i in range(20)]
    labels = ["angry" if i % 2 else "sad" for i in range(20)]
    none = dict.fromkeys(["caption_group", "intensity", "valence", "arousal", "transcript"])
    tables = {
        "labels": [{"utterance_id": u, "captions": [], "emotion": x, **none} for u, x in zip(ids, labels, strict=True)],
        "prosody": [
            {"utterance_id": u, "pitch_hz": 1.0, "pitch_range_st": 1.0, "level_db": 1.0, "rate_hz": 1.0}
            | {kind: names[1] for kind, names in SCALES.items()}
            for u in ids
        ],
        "timbre": [
            {"utterance_id": u, "hnr_db": 1.0, "alpha_db": 1.0, "voiced_share": 1.0, "timbre": "clear"} for u in ids
        ],
        "audio": [audio_row(u) for u in ids],
        "transcripts": [
            {"utterance_id": u, "transcript": "x", "language": "en", "source": "asr", "avg_logprob": 0.0} for u in ids
        ],
    }
    for name, rows in tables.items():
        artifacts.write(rows, tmp_path / f"{name}.parquet", name, "test")
    for folds in ("speaker", "corpus"):
        rows = [
            {"utterance_id": u, "corpus": "c", "kind": "emotion", "target": x, "labels": ["angry", "sad"]}
            | {"probabilities": [0.75, 0.25]}
            for u, x in zip(ids, labels, strict=True)
        ]
        notes = {"folds": folds}
        artifacts.write(rows, tmp_path / f"{folds}.parquet", "tagger_predictions", "test", notes)
    head = Head(("angry", "sad"), np.array([[2.0, 0.0], [0.0, 0.0]], np.float32), np.zeros(2, np.float32))
    ones = np.ones(2, np.float32)
    known = Familiarity(0 * ones, 0 * ones[None], np.array([0, 99], np.float32))
    Tagger(0 * ones, ones, {"emotion": head}, known, "train", "mean").save(tmp_path / "w.safetensors")
    features = {u: np.full((1, 3, 2), 1 if x == "angry" else -1) for u, x in zip(ids, labels, strict=True)}
    monkeypatch.setattr("aligncap.speech.features.stream_features", lambda path: features.items())
    both = {name: {c: tmp_path / f"{name}.parquet" for c in "ct"} for name in tables}
    return TaggerInputs(
        [tmp_path / "speaker.parquet", tmp_path / "corpus.parquet"],
        tmp_path / "w.safetensors",
        both["labels"],
        both["prosody"],
        both["timbre"],
        both["audio"],
        both["transcripts"],
        {"t": tmp_path / "features"},
        None,
    )


def written(inputs, folder, settings):
    """Run the rule's function; rows by (corpus, setting, source, metric)."""
    outputs = folder / "tagger.parquet", folder / "bins.parquet", folder / "tagger.md"
    write_tagger_table(settings, QUICK, inputs, TaggerTables(*outputs))
    rows = artifacts.read_rows(outputs[0], "tagger_table")
    return {(r["corpus"], r["setting"], r["source"], r["metric"]): r["value"] for r in rows if r["kind"] == "emotion"}


def test_the_table_has_both_folds_and_the_test_corpus(inputs, tmp_path):
    found = written(inputs, tmp_path, Settings(threshold=0.5))
    assert found["c", "speaker", "voice", "accuracy"] == 0.5
    assert found["c", "speaker", "voice", "coverage"] == found["c", "corpus", "voice", "coverage"] == 1
    assert found["t", "test", "voice", "accuracy"] == 1
    assert {key[2] for key in found} == {"voice"}
    assert "| t | test | voice | emotion | 20 | 1.000" in (tmp_path / "tagger.md").read_text()
    bins = artifacts.read_rows(tmp_path / "bins.parquet", "reliability")
    assert sum(row["n"] for row in bins) == 60
    assert artifacts.read_notes(tmp_path / "tagger.parquet", "tagger_table")["transductive"] is False


class Silent:
    """A text clue that says nothing."""

    def tags(self, transcripts):
        """Uniform."""
        return [dict.fromkeys(CLASSES, 1 / 7) for _ in transcripts]


def test_the_text_clue_stands_beside_the_voice(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_text_clue", lambda encoder: Silent())
    found = written(inputs, tmp_path, Settings(threshold=0.5))
    assert {key[2] for key in found} == {"voice", "text", "joined"}
    for metric in ("accuracy", "brier"):
        assert found["t", "test", "joined", metric] == pytest.approx(found["t", "test", "voice", metric])
