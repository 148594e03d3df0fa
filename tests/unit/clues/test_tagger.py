"""The clue tagger: out of fold, calibrated, saved as it was trained, silent where unsure."""

from pathlib import Path

import numpy as np
import pytest
from audio_rows import audio_row
from pydantic import ValidationError

from aligncap import artifacts
from aligncap.clues.prototypes import PROTOTYPES
from aligncap.clues.tagger import prediction
from aligncap.clues.tagger.model import Tagger, pooled
from aligncap.clues.tagger.prediction import PredictionInputs, PredictionSettings, predict_clues
from aligncap.clues.tagger.training import TaggerSources, TrainedTagger, train_tagger
from aligncap.config import Prompts
from aligncap.config import TaggerSettings as Settings
from aligncap.errors import ArtifactError, CorpusError
from aligncap.vocabulary import SCALES

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


def by_features(**settings):
    """No kind is told by a figure measured on the clip, and little holds the weights."""
    return Settings(**{"measured": [], "l2": 1.0, **settings})


def train(folder, settings=None, heard=None, features=None):
    """Run the rule's function on the fixture's artifacts, twice over as the corpora 'c' and 'd'.

    ``heard``: the unlabelled corpora, none by default; ``features``: files of 'c' and 'd', where they matter.
    """
    tables = {n: {c: folder / f"{n}.parquet" for c in "cd"} for n in ("audio", "references", "prosody", "timbre")}
    train_tagger(
        settings or by_features(),
        0,
        TaggerSources(
            folder / "plan.parquet",
            features or {c: folder / "features" for c in "cd"},
            **tables,
            **(heard or dict.fromkeys(("heard_features", "heard_audio", "heard_prosody", "heard_timbre"), {})),
        ),
        TrainedTagger(*(folder / f for f in ("tagger.safetensors", "out_of_fold.parquet", "other_folds.parquet"))),
    )


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A tagger trained by the rule's function on 60 clips, each of them in two corpora."""
    features, labels = clips(60)
    monkeypatch.setattr("aligncap.speech.features.stream_features", lambda path: features.items())
    monkeypatch.setattr(
        prediction, "load_tokenizer", lambda manifest: lambda text, add_special_tokens: {"input_ids": [1]}
    )
    plan = [
        {"utterance_id": u, "corpus": c, "speaker_key": f"{c}/{i % 5}", "role": "align", "fold": i % 5}
        for c in "cd"
        for i, u in enumerate(features)
    ]
    audio = [audio_row(u, speaker=str(i % 5)) for i, u in enumerate(features)]
    quality = {"hnr_db": 1.0, "alpha_db": 1.0, "voiced_share": 1.0}
    timbre = [{"utterance_id": u, "timbre": ("clear", "rough")[i % 2], **quality} for i, u in enumerate(features)]
    none = dict.fromkeys(["caption_group", "intensity", "valence", "arousal", "transcript"])
    references = [
        {"utterance_id": u, "captions": [], "emotion": label, **none} for u, label in zip(features, labels, strict=True)
    ]
    prosody = [
        {"utterance_id": u, "pitch_hz": 1.0, "pitch_range_st": 1.0, "level_db": 1.0, "rate_hz": 1.0}
        | {kind: values[i % 3] for kind, values in SCALES.items()}
        for i, u in enumerate(features)
    ]
    said = {"transcript": "x", "language": "en", "source": "asr", "avg_logprob": 0.0}
    for name, rows, schema in (
        ("plan", plan, "plan"),
        ("audio", audio, "audio"),
        ("timbre", timbre, "timbre"),
        ("references", references, "labels"),
        ("prosody", prosody, "prosody"),
        ("transcripts", [{"utterance_id": u, **said} for u in features], "transcripts"),
    ):
        artifacts.write(rows, tmp_path / f"{name}.parquet", schema, "test")
    train(tmp_path)
    return tmp_path, features, labels


def test_a_kind_that_only_unlabelled_corpora_know_is_not_calibrated(trained):
    folder, *_ = trained
    heard = {f"heard_{name}": {"e": folder / f"{name}.parquet"} for name in ("audio", "timbre")}
    heard |= {"heard_features": {"e": folder / "features"}, "heard_prosody": {"e": folder / "measured.parquet"}}
    prosody = artifacts.read_rows(folder / "prosody.parquet", "prosody")
    artifacts.write(prosody, folder / "measured.parquet", "prosody", "test")
    unknown = [row | {"level": None, "level_db": None} for row in prosody]  # levels of 'c' and 'd' were normalised
    artifacts.write(unknown, folder / "prosody.parquet", "prosody", "test")
    train(folder, heard=heard)
    tagger = Tagger.load(folder / "tagger.safetensors")
    assert tagger.heads["level"].temperature == 1.0 != tagger.heads["pitch"].temperature


def predict(folder, role, settings=None, encoder=None):
    """Run the rule's function on the fixture's corpus and read the rows."""
    out = folder / "predicted.parquet"
    out_of_fold_path = folder / "out_of_fold.parquet" if role == "train" else None
    tables = (folder / f"{name}.parquet" for name in ("prosody", "audio", "transcripts"))
    inputs = (folder / "tagger.safetensors", folder / "features", *tables)
    settings = PredictionSettings("c", role, settings or by_features(), Prompts())
    predict_clues(settings, PredictionInputs(*inputs, out_of_fold_path, folder / "m", encoder), out)
    return artifacts.read_rows(out, "clues")


def test_pooling_is_mean_then_deviation_over_frames():
    features = np.arange(12, dtype=np.float16).reshape(1, 4, 3)
    assert pooled(features, "mean_std").tolist() == pytest.approx([4.5, 5.5, 6.5, *[np.std([0, 3, 6, 9])] * 3])
    assert pooled(features, "mean").tolist() == pytest.approx([4.5, 5.5, 6.5])
    with pytest.raises(ArtifactError, match="with a frame"):
        pooled(np.zeros((1, 0, 3), dtype=np.float16), "mean")


def test_trained_tagger_hears_what_there_is_to_hear(trained):
    folder, features, labels = trained
    notes = artifacts.read_notes(folder / "out_of_fold.parquet", "tagger_predictions")["out_of_fold"]
    assert notes["emotion"]["accuracy"] > 0.9 and notes["emotion"]["n"] == 120
    assert "intensity" not in notes  # the corpora do not label it
    assert set(notes) == {"emotion", "level", "pitch", "rate", "timbre"}
    tagger = Tagger.load(folder / "tagger.safetensors")
    tags, _ = tagger.predict(features["u000"], {})
    assert max(tags["emotion"], key=tags["emotion"].get) == labels[0]
    assert sum(tags["emotion"].values()) == pytest.approx(1)


def test_saved_equals_loaded_and_equal_taggers_equal_bytes(trained):
    folder, features, _ = trained
    tagger = Tagger.load(folder / "tagger.safetensors")
    tagger.save(folder / "again.safetensors")
    assert (folder / "again.safetensors").read_bytes() == (folder / "tagger.safetensors").read_bytes()
    read = Tagger.from_tensors(tagger.to_tensors())
    assert read.predict(features["u001"], {}) == tagger.predict(features["u001"], {})


def test_torch_tensors_of_a_checkpoint_will_do(trained):
    import torch

    folder, features, _ = trained
    tagger = Tagger.load(folder / "tagger.safetensors")
    tensors = {name: torch.tensor(array) for name, array in tagger.to_tensors().items()}
    assert Tagger.from_tensors(tensors).predict(features["u002"], {}) == tagger.predict(features["u002"], {})


def test_what_is_not_a_tagger_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="not a tagger"):
        Tagger.load(tmp_path / "x.safetensors")
    with pytest.raises(ArtifactError, match="format"):
        Tagger.from_tensors({})


def test_other_features_are_refused(trained):
    tagger = Tagger.load(trained[0] / "tagger.safetensors")
    with pytest.raises(ArtifactError, match="pooled features"):
        tagger.predict(np.zeros((1, 2, 3), dtype=np.float16), {})


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


@pytest.mark.parametrize(("emotion", "kinds"), [("neutral", ["emotion"]), ("angry", ["emotion", "intensity"])])
def test_only_an_emotion_is_strong(emotion, kinds):
    probabilities = {"emotion": {emotion: 0.9, "sad": 0.1}, "intensity": {"normal": 0.1, "strong": 0.9}}
    assert [clue.kind for clue in Tagger.clues(probabilities, 0.35)] == kinds
    unsure = {**probabilities, "emotion": {emotion: 0.3, "sad": 0.2}}
    assert Tagger.clues(unsure, 0.35) == []


def measured(folder, rates, pitches=None, thirds=None):
    """Write the prosody of the fixture's clips once more: rates in Hz, pitches in Hz or None, thirds of the rate."""
    rows = artifacts.read_rows(folder / "prosody.parquet", "prosody")
    new = zip(rates, pitches or [row["pitch_hz"] for row in rows], thirds or [row["rate"] for row in rows], strict=True)
    changed = [row | {"rate_hz": r, "pitch_hz": p, "rate": t} for row, (r, p, t) in zip(rows, new, strict=True)]
    artifacts.write(changed, folder / "prosody.parquet", "prosody", "test")


def test_a_measured_kind_is_told_by_its_own_figure_wherever_the_features_lie(trained, monkeypatch):
    folder, features, _ = trained  # whose third of the rate is told by the dimension of its emotion, too
    order = [2, 0, 1, *range(3, 8)]
    moved = {key: value[:, :, order] for key, value in features.items()}  # in a new corpus another one tells it
    wanted = [SCALES["rate"][i % 3] for i in range(60)]
    spoken = np.random.default_rng(0).normal(size=60) * 0.3 + np.tile([3.0, 5.0, 7.0], 20)
    measured(folder, spoken.tolist())

    def right(settings):
        train(folder, settings, features={c: folder / "features" for c in "cd"})
        monkeypatch.setattr("aligncap.speech.features.stream_features", lambda path: moved.items())
        said = [row["p_act"] for row in predict(folder, "test", settings)]
        monkeypatch.setattr("aligncap.speech.features.stream_features", lambda path: features.items())
        named = [next((rate for rate in ("slow", "fast") if f"Rate: {rate}" in text), "mid") for text in said]
        return np.mean([a == b for a, b in zip(named, wanted, strict=True)])

    assert right(by_features()) < 0.5
    assert right(by_features(measured=["rate"])) == 1.0


def test_a_clip_without_a_pitch_is_as_one_of_mean_pitch_and_its_own_third_is_not_read(trained):
    folder, features, _ = trained
    settings = by_features(measured=["rate", "pitch"], threshold=0.0)
    octaves = [2.0 ** (6 + i % 3) for i in range(60)]  # 64, 128 and 256 Hz: low, mid, high
    measured(folder, [1.0] * 60, octaves)
    train(folder, settings)
    tagger = Tagger.load(folder / "tagger.safetensors")
    sound = [{"rate_hz": 1.0, "pitch_hz": hz} for hz in (None, 128.0, 256.0)]
    at = {row["pitch_hz"]: tagger.predict(features["u000"], row)[0]["pitch"] for row in sound}
    assert at[None] == pytest.approx(at[128.0]) and at[None]["mid"] > 0.9 and at[256.0]["high"] > 0.9
    before = predict(folder, "test", settings)
    measured(folder, [1.0] * 60, octaves, thirds=["fast"] * 60)
    assert predict(folder, "test", settings) == before
    artifacts.write([], folder / "prosody.parquet", "prosody", "test")
    with pytest.raises(ArtifactError, match="no row of 'u000'.*measure_prosody"):
        predict(folder, "test", settings)


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
        inputs = PredictionInputs(*map(Path, "wfpat"), None, Path("m"), None)
        predict_clues(PredictionSettings("c", "train", by_features(), Prompts()), inputs, tmp_path / "out")


def test_transductive_normalisation_is_noted_and_must_match_the_training(trained):
    folder, _, _ = trained
    predict(folder, "test")
    assert artifacts.read_notes(folder / "predicted.parquet", "clues")["transductive"] is False
    with pytest.raises(ArtifactError, match="normalise"):
        predict(folder, "test", by_features(normalise="corpus"))


@pytest.mark.parametrize("normalise", ["corpus", "speaker"])
def test_statistics_of_test_audio_are_transductive(trained, normalise):
    folder, _, labels = trained
    settings = by_features(normalise=normalise)
    train(folder, settings)
    rows = predict(folder, "test", settings)
    assert artifacts.read_notes(folder / "predicted.parquet", "clues")["transductive"] is True
    right = [f"Emotion: {label}." in row["p_act"] for row, label in zip(rows, labels, strict=True)]
    assert np.mean(right) > 0.7  # by chance 0.33; 0.83 to 1, as processors round
    predict(folder, "train", settings)
    assert artifacts.read_notes(folder / "predicted.parquet", "clues")["transductive"] is False


def test_the_other_folds_are_told_apart(trained):
    folder, _, _ = trained
    by = {name: artifacts.read_notes(folder / f"{name}.parquet", "tagger_predictions") for name in FOLDS}
    assert [by[name]["folds"] for name in FOLDS] == ["speaker", "corpus"]
    assert by["other_folds"]["out_of_fold"]["emotion"]["n"] == 120
    train(folder, by_features(folds="corpus"))
    by = {name: artifacts.read_notes(folder / f"{name}.parquet", "tagger_predictions") for name in FOLDS}
    assert [by[name]["folds"] for name in FOLDS] == ["corpus", "speaker"]


FOLDS = ("out_of_fold", "other_folds")


def test_temperatures_for_new_speech_are_those_of_the_corpora_left_out(trained):
    folder, _, _ = trained
    for calibrate, table in (("folds", "out_of_fold"), ("corpus", "other_folds")):
        train(folder, by_features(calibrate=calibrate))
        head = Tagger.load(folder / "tagger.safetensors").heads["emotion"]
        notes = artifacts.read_notes(folder / f"{table}.parquet", "tagger_predictions")["out_of_fold"]
        assert head.temperature == notes["emotion"]["temperature"]


class Words:
    """A sentence encoder that knows one prototype: what it says of it is 'sad'."""

    def __init__(self, folder):
        pass

    def encode(self, texts):
        """[n, 2]: along the first axis where the sentence is sad."""
        return np.array([[1.0, 0.0] if "sad" in t or t in PROTOTYPES["sad"] else [0.0, 1.0] for t in texts], np.float32)


def test_the_text_clue_joins_both_roles_and_only_the_emotion(trained, monkeypatch):
    folder, _, labels = trained
    monkeypatch.setattr("aligncap.models.sentence_encoder.SentenceEncoder", Words)
    monkeypatch.setattr("aligncap.models.sources.model_folder", lambda manifest: manifest)
    rows = artifacts.read_rows(folder / "transcripts.parquet", "transcripts")
    said = [row | {"transcript": "so sad" if label == "angry" else ""} for row, label in zip(rows, labels, strict=True)]
    artifacts.write(said, folder / "transcripts.parquet", "transcripts", "test")
    heard = artifacts.read_rows(folder / "out_of_fold.parquet", "tagger_predictions")
    unsure = [r | {"probabilities": [0.6, 0.2, 0.2]} if r["kind"] == "emotion" else r for r in heard]
    artifacts.write(unsure, folder / "out_of_fold.parquet", "tagger_predictions", "test")
    for role in ("train", "test"):
        before = predict(folder, role)
        after = predict(folder, role, by_features(text_clue="join", text_weight=50.0), folder / "encoder")
        for old, new, label in zip(before, after, labels, strict=True):
            if label == "angry":
                assert "Emotion: sad." in new["p_act"]
                assert [c for c in old["clues"] if c["kind"] != "emotion"] == [
                    c for c in new["clues"] if c["kind"] != "emotion"
                ]
            else:
                assert old["p_act"] == new["p_act"]  # nothing was said
    with pytest.raises(CorpusError, match="sentence_encoder"):
        predict(folder, "test", by_features(text_clue="join"))


def test_a_figure_is_not_compared_with_the_test_speaker_s_own():
    with pytest.raises(ValidationError, match="gold clue itself; set tagger.measured: \\[\\]"):
        by_features(measured=["rate"], normalise="speaker")
