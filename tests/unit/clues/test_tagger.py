"""The clue tagger: out of fold, calibrated, saved as it was trained, silent where unsure."""

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.clues import SCALES
from aligncap.clues import tagger as module
from aligncap.clues.fitting import fit_temperature, out_of_fold, softmax
from aligncap.clues.tagger import Tagger, pooled, predict_clues, train_tagger
from aligncap.config import Prompts
from aligncap.config import Tagger as Settings
from aligncap.errors import ArtifactError, CorpusError

EMOTIONS = ("angry", "happy", "sad")


def clips(n, seed=0, informative=True):
    """N clips [2, 5, 8] whose first dimension carries the label where informative."""
    rng = np.random.default_rng(seed)
    labels = [EMOTIONS[i % 3] for i in range(n)]
    found = {}
    for i, label in enumerate(labels):
        features = rng.normal(size=(2, 5, 8))
        if informative:
            features[:, :, EMOTIONS.index(label)] += 3
        found[f"u{i:03}"] = features.astype(np.float16)
    return found, labels


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A tagger trained by the rule's function on 60 clips of one corpus."""
    features, labels = clips(60)
    monkeypatch.setattr("aligncap.speech.features.load_features", lambda path: features)
    monkeypatch.setattr(module, "load_tokenizer", lambda manifest: lambda text, add_special_tokens: {"input_ids": [1]})
    plan = [
        {"utterance_id": u, "corpus": "c", "speaker_key": f"c/{i % 5}", "role": "align", "fold": i % 5}
        for i, u in enumerate(features)
    ]
    none = dict.fromkeys(["caption_group", "intensity", "valence", "arousal", "transcript"])
    references = [
        {"utterance_id": u, "captions": [], "emotion": label, **none} for u, label in zip(features, labels, strict=True)
    ]
    prosody = [
        {"utterance_id": u, "pitch_hz": 1.0, "pitch_range_st": 1.0, "level_db": 1.0, "rate_hz": 1.0, "pause_share": 0.0}
        | {kind: values[i % 3] for kind, values in SCALES.items()}
        for i, u in enumerate(features)
    ]
    said = {"transcript": "x", "language": "en", "source": "asr", "avg_logprob": 0.0}
    for name, rows, schema in (
        ("plan", plan, "plan"),
        ("references", references, "labels"),
        ("prosody", prosody, "prosody"),
        ("transcripts", [{"utterance_id": u, **said} for u in features], "transcripts"),
    ):
        artifacts.write(rows, tmp_path / f"{name}.parquet", schema, "test")
    train_tagger(
        Settings(),
        0,
        tmp_path / "plan.parquet",
        {"c": tmp_path / "features"},
        {"c": tmp_path / "references.parquet"},
        {"c": tmp_path / "prosody.parquet"},
        tmp_path / "tagger.safetensors",
        tmp_path / "out_of_fold.parquet",
    )
    return tmp_path, features, labels


def predict(folder, role, settings=None):
    """Run the rule's function on the fixture's corpus and read the rows."""
    out = folder / "predicted.parquet"
    out_of_fold_path = folder / "out_of_fold.parquet" if role == "train" else None
    weights, transcripts = folder / "tagger.safetensors", folder / "transcripts.parquet"
    settings = settings or Settings()
    predict_clues(
        settings, Prompts(), "c", role, weights, folder / "features", transcripts, out_of_fold_path, folder / "m", out
    )
    return artifacts.read_rows(out, "clues")


def test_pooling_is_mean_then_deviation_over_frames():
    features = np.arange(12, dtype=np.float16).reshape(1, 4, 3)
    assert pooled(features).tolist() == pytest.approx([4.5, 5.5, 6.5, *[np.std([0, 3, 6, 9])] * 3])
    with pytest.raises(ArtifactError, match="with a frame"):
        pooled(np.zeros((1, 0, 3), dtype=np.float16))


def test_a_memorisable_random_label_is_predicted_at_chance_out_of_fold():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(240, 400)).astype(np.float32)  # more dimensions than clips: any label can be memorised
    labels = list(rng.choice(EMOTIONS, 240))
    probabilities, names, _ = out_of_fold(rows, {"emotion": labels}, np.arange(240) % 5, ["c"] * 240, Settings(), 0)
    right = [names["emotion"][p.argmax()] == label for p, label in zip(probabilities["emotion"], labels, strict=True)]
    assert np.mean(right) < 0.45
    assert probabilities["emotion"].max(axis=1).mean() < 0.45  # and the calibration knows it


def test_a_fold_without_labels_elsewhere_is_not_predicted():
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    labels = ["normal", "strong"] * 10 + [""] * 20
    folds = np.array([0] * 20 + [1] * 20)
    probabilities, _, _ = out_of_fold(rows, {"intensity": labels}, folds, ["c"] * 40, Settings(), 0)
    assert np.isnan(probabilities["intensity"][:20]).all() and not np.isnan(probabilities["intensity"][20:]).any()


def test_a_label_absent_from_the_training_folds_has_probability_zero():
    rows = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    labels = ["angry", "happy"] * 20 + ["sad"] * 20
    folds = np.array([0] * 20 + [1] * 20 + [2] * 20)
    probabilities, names, _ = out_of_fold(rows, {"emotion": labels}, folds, ["c"] * 60, Settings(), 0)
    assert (probabilities["emotion"][40:, names["emotion"].index("sad")] == 0).all()
    assert np.allclose(probabilities["emotion"].sum(axis=1), 1)


def test_temperature_recovers_the_scale_of_the_logits():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 3)) * 2
    wanted = np.array([rng.choice(3, p=p) for p in softmax(logits)])
    assert fit_temperature(logits * 4, wanted) == pytest.approx(4, rel=0.1)


def test_trained_tagger_hears_what_there_is_to_hear(trained):
    folder, features, labels = trained
    notes = artifacts.read_notes(folder / "out_of_fold.parquet", "tagger_predictions")["out_of_fold"]
    assert notes["emotion"]["accuracy"] > 0.9 and notes["emotion"]["n"] == 60
    assert "intensity" not in notes  # the corpus does not label it
    tagger = Tagger.load(folder / "tagger.safetensors")
    tags = tagger.predict(features["u000"])
    assert max(tags["emotion"], key=tags["emotion"].get) == labels[0]
    assert sum(tags["emotion"].values()) == pytest.approx(1)


def test_saved_equals_loaded_and_equal_taggers_equal_bytes(trained):
    folder, features, _ = trained
    tagger = Tagger.load(folder / "tagger.safetensors")
    tagger.save(folder / "again.safetensors")
    assert (folder / "again.safetensors").read_bytes() == (folder / "tagger.safetensors").read_bytes()
    assert Tagger.from_tensors(tagger.to_tensors()).predict(features["u001"]) == tagger.predict(features["u001"])


def test_torch_tensors_of_a_checkpoint_will_do(trained):
    import torch

    folder, features, _ = trained
    tagger = Tagger.load(folder / "tagger.safetensors")
    tensors = {name: torch.tensor(array) for name, array in tagger.to_tensors().items()}
    assert Tagger.from_tensors(tensors).predict(features["u002"]) == tagger.predict(features["u002"])


def test_what_is_not_a_tagger_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="not a tagger"):
        Tagger.load(tmp_path / "x.safetensors")
    with pytest.raises(ArtifactError, match="format"):
        Tagger.from_tensors({})


def test_other_features_are_refused(trained):
    tagger = Tagger.load(trained[0] / "tagger.safetensors")
    with pytest.raises(ArtifactError, match="pooled features"):
        tagger.predict(np.zeros((1, 2, 3), dtype=np.float16))


def test_unsure_and_uninformative_tags_are_left_out():
    probabilities = {
        "emotion": {"angry": 0.6, "sad": 0.4},
        "intensity": {"normal": 0.1, "strong": 0.9},
        "level": {"low": 0.3, "mid": 0.36, "high": 0.34},
        "pitch": {"low": 0.34, "mid": 0.33, "high": 0.33},
        "rate": {"slow": 0.5, "mid": 0.3, "fast": 0.2},
    }
    clues = Tagger.clues(probabilities, 0.35)
    assert [(c.kind, c.lemma) for c in clues] == [("emotion", "angry"), ("intensity", "strong"), ("rate", "slow")]
    assert clues[0].intensity == "strong" and clues[0].probability == pytest.approx(0.6)
    assert Tagger.clues(probabilities, 0.95) == []


def test_training_clues_come_from_the_out_of_fold_table(trained):
    folder, features, labels = trained
    rows = artifacts.read_rows(folder / "out_of_fold.parquet", "tagger_predictions")
    flipped = [r | {"probabilities": [0.0, 0.0, 1.0]} if r["kind"] == "emotion" else r for r in rows]
    artifacts.write(flipped, folder / "out_of_fold.parquet", "tagger_predictions", "test")
    assert {row["p_act"].split(".")[0] for row in predict(folder, "train")} == {"Emotion: sad"}
    test = predict(folder, "test")
    assert np.mean([f"Emotion: {label}." in row["p_act"] for row, label in zip(test, labels, strict=True)]) > 0.9
    assert all(row["p_sem_ids"] == [1] for row in test) and len(test) == len(features)


def test_training_corpus_needs_the_out_of_fold_table(tmp_path):
    with pytest.raises(CorpusError, match="out-of-fold"):
        predict_clues(Settings(), Prompts(), "c", "train", "w", "f", "t", None, "m", tmp_path / "out")


def test_transductive_normalisation_is_noted_and_must_match_the_training(trained):
    folder, _, _ = trained
    predict(folder, "test")
    assert artifacts.read_notes(folder / "predicted.parquet", "clues")["transductive"] is False
    with pytest.raises(ArtifactError, match="normalise"):
        predict(folder, "test", Settings(normalise="corpus"))
