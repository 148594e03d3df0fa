"""Tiny things that unit tests share: a random LLM, utterances that can be learned, and their artifacts."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.captioner.example import Example
from aligncap.config import ModelSource
from aligncap.models.sources import fetch_model
from aligncap.training.data import TrainingInputs

EMOTIONS = ("angry", "sad")
LAYERS, DIM = 2, 8


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test's own, without tracking."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of a random Llama of two layers."""
    manifest = tmp_path_factory.mktemp("models") / "tiny-llama" / "manifest.json"
    fetch_model(ModelSource(name="tiny-llama", files=("random:llama",)), manifest)
    return manifest


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of a random Whisper."""
    manifest = tmp_path_factory.mktemp("models") / "tiny-whisper" / "manifest.json"
    fetch_model(ModelSource(name="tiny-whisper", files=("random:whisper",)), manifest)
    return manifest


def features_of(emotion: str, number: int) -> np.ndarray:
    """Frames whose mean tells the emotion."""
    generator = np.random.default_rng(number)
    frames = generator.normal(size=(LAYERS, 5 + number % 4, DIM)) * 0.3
    return (frames + (1.0 if emotion == "angry" else -1.0)).astype(np.float16)


@pytest.fixture
def examples() -> list[Example]:
    """Utterances of different lengths."""
    return [
        Example(
            f"u{i}",
            "tiny",
            (f"sounds {EMOTIONS[i % 2]}",),
            f"Emotion: {EMOTIONS[i % 2]}.",
            "Emotion: sad." if i % 3 else "",
            tuple(range(40, 40 + 2 * i)),
            features_of(EMOTIONS[i % 2], i),
        )
        for i in range(5)
    ]


def clue_row(utterance: str, emotion: str) -> dict:
    """A row of a ``clues`` artifact that names one emotion."""
    clue = dict(kind="emotion", word=emotion, lemma=emotion, intensity="normal", negated=False, probability=1.0)
    return {"utterance_id": utterance, "clues": [clue], "p_act": f"Emotion: {emotion}.", "p_sem_ids": [40, 41]}


@pytest.fixture
def training_inputs(tmp_path: Path, tiny_llm: Path) -> TrainingInputs:
    """Artifacts of one training corpus of 24 utterances: 12 align, 4 adapt, 4 preference, 4 dev."""
    roles = ["align"] * 12 + ["adapt"] * 4 + ["preference"] * 4 + ["dev"] * 4
    names = [f"u{i:02d}" for i in range(len(roles))]
    emotions = [EMOTIONS[int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2] for name in names]
    folder = tmp_path / "artifacts"
    plan = [
        {"utterance_id": n, "corpus": "tiny", "speaker_key": f"tiny/{r}", "role": r, "fold": i % 2}
        for i, (n, r) in enumerate(zip(names, roles, strict=True))
    ]
    artifacts.write(plan, folder / "plan.parquet", "plan", "test")
    references = [
        {
            "utterance_id": n,
            "captions": [f"sounds {e}"],
            "caption_group": None,
            "emotion": e,
            "intensity": None,
            "valence": None,
            "arousal": None,
            "transcript": "some words",
        }
        for n, e in zip(names, emotions, strict=True)
    ]
    artifacts.write(references, folder / "references.parquet", "labels", "test")
    clues = [clue_row(n, e) for n, e in zip(names, emotions, strict=True)]
    artifacts.write(clues, folder / "clues.parquet", "clues", "test")
    features = [
        {
            "utterance_id": n,
            "n_layers": LAYERS,
            "n_frames": array.shape[1],
            "dim": DIM,
            "dtype": "float16",
            "data": array.tobytes(),
        }
        for n, array in ((n, features_of(e, i)) for i, (n, e) in enumerate(zip(names, emotions, strict=True)))
    ]
    artifacts.write(features, folder / "features.parquet", "features", "test")
    paths = {name: {"tiny": folder / f"{name}.parquet"} for name in ("features", "references", "clues")}
    return TrainingInputs(
        folder / "plan.parquet", paths["features"], paths["references"], paths["clues"], paths["clues"], tiny_llm
    )
