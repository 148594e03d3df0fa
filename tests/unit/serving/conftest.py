"""A captioner of random tiny models, and sounds to caption."""

from pathlib import Path

import pytest
import soundfile
from tiny_checkpoint import COMPUTE, noise, write_checkpoint

from aligncap import Captioner


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder; the base models lie in ``models`` above it."""
    return write_checkpoint(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def captioner(checkpoint: Path) -> Captioner:
    return Captioner.load(checkpoint, compute=COMPUTE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five WAV files of different lengths, two of them in a subfolder, and a file that is no audio by its name."""
    place = tmp_path_factory.mktemp("calls")
    (place / "more").mkdir()
    for number, (name, seconds) in enumerate(
        {"b.wav": 0.9, "a.wav": 0.3, "more/d.WAV": 1.4, "more/c.wav": 0.5, "e.wav": 0.2}.items()
    ):
        soundfile.write(place / name, noise(seconds, number), 16000, "FLOAT", format="WAV")
    (place / "notes.txt").write_text("no audio", encoding="utf-8")
    return place
