"""A captioner of random tiny models, and sounds to caption."""

import io
import sys
from pathlib import Path

import pytest
import soundfile
from tiny_checkpoint import COMPUTE, noise, write_checkpoint

from aligncap import Captioner
from aligncap.serving import cli


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


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command in this process: (exit code, stdout, stderr)."""

    def call(*arguments: object, stdin: str | bytes = "") -> tuple[int, str, str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call
