"""What a captioner says where it should not be believed, and where there is nothing to caption."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_checkpoint import COMPUTE, write_checkpoint
from voice import voice

from aligncap import Captioner, artifacts
from aligncap.captioner import caption as captions
from aligncap.captioner.caption import CaptioningInputs, caption_testset
from aligncap.captioner.checkpoint import CheckpointPaths, write_system
from aligncap.config import Decoding, Doubt
from aligncap.errors import AudioError
from aligncap.serving.captioner import UNFAMILIAR, marked

RATE = 16_000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that looks for speech first."""
    folder = write_checkpoint(tmp_path_factory.mktemp("doubt"))
    system = json.loads((folder / "system.json").read_text())
    system["speech"]["detector"] = "silero"
    (folder / "system.json").write_text(json.dumps(system))
    return folder


@pytest.fixture(scope="module")
def captioner(checkpoint: Path) -> Captioner:
    return Captioner.load(checkpoint, compute=COMPUTE)


@pytest.fixture(scope="module")
def said() -> np.ndarray:
    return voice()


def test_no_speech_no_caption(captioner: Captioner) -> None:
    line = 0.2 * np.sin(2 * np.pi * 425 * np.arange(3 * RATE) / RATE)
    with pytest.raises(
        AudioError, match=r"^idle\.wav: no speech was found in 3\.0 s of sound; give a clip of a voice$"
    ):
        captioner.prepare_clip(line.astype(np.float32), name="idle.wav")


@pytest.mark.parametrize("gain_db", [-12, 12])
def test_gain_changes_no_tag(captioner: Captioner, said: np.ndarray, gain_db: float) -> None:
    other = (0.2 * said * 10 ** (gain_db / 20)).astype(np.float32)
    first, second = captioner.prepare_clip((0.2 * said).astype(np.float32)), captioner.prepare_clip(other)
    assert [(c.kind, c.lemma) for c in first.clues] == [(c.kind, c.lemma) for c in second.clues]
    assert np.allclose([c.probability for c in first.clues], [c.probability for c in second.clues], atol=1e-3)
    assert np.abs(first.example.features.astype(float) - second.example.features).max() < 0.01


@pytest.mark.parametrize("floor_dbfs", [None, -70])
def test_five_seconds_of_near_silence_on_either_side_change_no_tag(
    captioner: Captioner, said: np.ndarray, floor_dbfs: float | None
) -> None:
    scale = 0.0 if floor_dbfs is None else 10 ** (floor_dbfs / 20)
    around = (scale * np.random.default_rng(0).standard_normal((2, 5 * RATE))).astype(np.float32)
    first, second = captioner.prepare_clip(said), captioner.prepare_clip(np.concatenate([around[0], said, around[1]]))
    assert [(c.kind, c.lemma) for c in first.clues] == [(c.kind, c.lemma) for c in second.clues]
    assert second.duration_s == pytest.approx(first.duration_s + 10, abs=0.01)


def test_speech_unlike_the_training_speech_is_told_and_its_tags_are_even(checkpoint: Path, said: np.ndarray) -> None:
    other = checkpoint.with_name("strange")
    shutil.copytree(checkpoint, other)
    tensors = load_file(other / "adapter.safetensors")
    tensors["tagger.known.distances"] = np.array([0.0, 1e-6], np.float32)
    save_file(tensors, other / "adapter.safetensors")
    write_system(CheckpointPaths.of(other), json.loads((other / "system.json").read_text(encoding="utf-8")))
    known, strange = (Captioner.load(folder, compute=COMPUTE).caption(said) for folder in (checkpoint, other))
    assert known.familiarity > 0.5 and known.warnings == []
    assert strange.familiarity == 0 and strange.warnings == [UNFAMILIAR]
    (tag,) = strange.clues
    assert tag["probability"] == pytest.approx(0.5), "two labels, both as likely"


def test_half_precision_says_the_same_of_a_voice(captioner: Captioner, said: np.ndarray, tmp_path: Path) -> None:
    written = captioner.save(tmp_path / "half", half=True)
    size, whole = ((folder / "lora.safetensors").stat().st_size for folder in (written, captioner.folder))
    assert size < 0.7 * whole
    again = Captioner.load(written, captioner.models, COMPUTE).prepare_clip(said)
    first = captioner.prepare_clip(said)
    assert [(c.kind, c.lemma) for c in again.clues] == [(c.kind, c.lemma) for c in first.clues]


SAD = "The speaker sounds sad, talking slowly."
WAYS = {
    "say": SAD,
    "hedge": "The speaker sounds perhaps sad, talking slowly.",
    "omit": "The speaker's feelings are hard to tell from the voice.",
}


@pytest.fixture
def sad(captioner: Captioner, monkeypatch: pytest.MonkeyPatch) -> Captioner:
    """A captioner that says the same of everyone."""
    monkeypatch.setattr(captioner.model, "decode", lambda token_ids: SAD)
    return captioner


@pytest.mark.parametrize("way", WAYS)
def test_object_and_pipeline_settle_the_same_doubt(
    sad: Captioner, said: np.ndarray, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubt = Doubt(way=way, below=1.0)
    monkeypatch.setattr(sad, "doubt", doubt)
    clip = sad.prepare_clip(said)
    (caption,) = sad.describe([clip], max_new_tokens=3)
    assert caption.caption == WAYS[way]
    rows = [{"utterance_id": "a", "clues": [c.to_dict() for c in clip.clues], "p_act": "", "p_sem_ids": [1]}]
    artifacts.write(rows, tmp_path / "clues.parquet", "clues", "test")
    monkeypatch.setattr(captions, "load_checkpoint", lambda *_: sad.model)
    monkeypatch.setattr(captions, "model_folder", lambda manifest: manifest)
    monkeypatch.setattr(captions, "speech_examples", lambda *_: [replace(clip.example, utterance_id="a")])
    inputs = CaptioningInputs(CheckpointPaths.of(sad.folder), tmp_path, tmp_path, tmp_path / "clues.parquet")
    out = tmp_path / "captions.parquet"
    caption_testset(Decoding(max_new_tokens=3, doubt=doubt), COMPUTE, inputs, out)
    (row,) = artifacts.read_rows(out, "captions")
    assert (row["caption"], row["finished"]) == (WAYS[way], caption.finished) and row["n_tokens"] <= 3


def test_a_caption_is_marked_with_what_was_done_about_doubt() -> None:
    assert marked("tiny/kd@1", Doubt()) == "tiny/kd@1"
    assert marked("tiny/kd@1", Doubt(way="hedge", below=0.4)) == "tiny/kd@1, hedge below 0.4"
