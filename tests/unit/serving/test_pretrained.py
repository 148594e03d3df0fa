"""The captioner that comes with the project: it is whole, small, says where it is from, and captions a voice."""

import json

import numpy as np
import pytest
from voice import voice

from aligncap import Captioner
from aligncap.captioner.checkpoint import DIGESTS, CheckpointPaths, read_system
from aligncap.serving.captioner import UNFAMILIAR
from aligncap.serving.locations import PRETRAINED

TRAINED_ON = ["ravdess", "nemo", "emodb", "emovo", "ased", "koremo"]


def test_its_files_are_small_and_say_where_they_are_from() -> None:
    assert {path.name for path in PRETRAINED.iterdir()} >= {"adapter.safetensors", "lora.safetensors", "system.json"}
    assert set(read_system(CheckpointPaths.of(PRETRAINED))[DIGESTS]) == {"adapter.safetensors", "lora.safetensors"}
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) < 12e6
    assert json.loads((PRETRAINED / "system.json").read_text())["corpora"] == TRAINED_ON
    card = (PRETRAINED / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-nc-sa-4.0" in card and "`make pretrained` makes it again" in card
    assert all(f"| {corpus} |" in card for corpus in TRAINED_ON)


@pytest.mark.models
def test_it_captions_a_voice_and_says_that_a_synthetic_one_is_unlike_people() -> None:
    captioner = Captioner.load()
    said = captioner.caption(voice())
    assert len(said.caption.split()) >= 4 and said.finished
    tones = captioner.prepare_clip(voice("Good morning.", "en-us+f3"))
    assert 0 <= tones.familiarity <= 1 and set(tones.warnings) <= {UNFAMILIAR}
    with pytest.raises(Exception, match="no speech was found"):
        captioner.caption(np.sin(np.arange(32_000) / 5).astype(np.float32))
