"""A folder of recordings of every make, some of them bad: each good one gets a caption, each bad one a line."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from amount import amount
from sounds import cut, encode, patched
from tiny_checkpoint import noise

from aligncap.serving import cli

FILES, BAD = amount(60, 1000), amount(20, 40)
RATE = 16_000


def written(path: Path, samples: np.ndarray, coding: str = "PCM_16", container: str = "WAV") -> Path:
    soundfile.write(path, samples, RATE, coding, format=container)
    return path


GOOD: tuple[Callable[[Path, np.ndarray], object], ...] = (
    written,
    lambda path, samples: written(path, np.stack([samples, -samples], axis=1)),
    lambda path, samples: written(path, samples, "FLOAT"),
    lambda path, samples: written(path, samples, "GSM610"),
    lambda path, samples: written(path, samples, "VORBIS", "OGG"),
    lambda path, samples: written(path, samples, "OPUS", "OGG"),
    lambda path, samples: written(path, samples, container="FLAC"),
    lambda path, samples: encode(path, "libmp3lame", "mp3", sound=samples),
    lambda path, samples: encode(path, "aac", "adts", sound=samples),
    lambda path, samples: encode(path, "aac", "mp4", sound=samples, layout="stereo"),
    lambda path, samples: encode(path, "libopus", "webm", 48_000, sound=samples),
    lambda path, samples: patched(written(path, samples), 40, bytes(4)),  # a recorder that died
    lambda path, samples: cut(written(path, samples), 0.7),
)
FAULTS: tuple[tuple[Callable[[Path, np.ndarray], object], str], ...] = (
    (lambda path, samples: path.write_bytes(b""), "0 bytes"),
    (lambda path, samples: path.write_text("just words\n" * 20), "not audio"),
    (lambda path, samples: path.write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n"), "Git LFS pointer"),
    (lambda path, samples: path.write_bytes(np.random.default_rng(1).bytes(4000)), "not audio"),
    (lambda path, samples: written(path, np.zeros(RATE)), "silent"),
    (lambda path, samples: written(path, samples[:800]), "at least 0.1 s are needed"),
    (lambda path, samples: written(path, np.tile(samples, 200)), "at most 60 s are read"),
    (lambda path, samples: written(path, samples * 1e30, "FLOAT"), "full scale is 1"),
    (lambda path, samples: written(path, np.where(np.arange(len(samples)) == 9, np.nan, samples), "FLOAT"), "is nan"),
    (lambda path, samples: patched(written(path, samples), 20, struct.pack("<H", 0x7A7A)), "a codec that is not known"),
    (lambda path, samples: path.symlink_to("gone.wav"), "no such file"),
    (
        lambda path, samples: path.write_bytes(
            encode(path, "flac", "matroska", sound=samples).read_bytes().replace(b"A_FLAC", b"A_FLIC")
        ),
        "a codec that is not known",
    ),
)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder, and the names of its bad files with what has to be said of each."""
    folder, bad = tmp_path_factory.mktemp("mixed"), {}
    for number in range(FILES):
        path = folder / f"{number:04d}.wav"
        samples = noise(0.4 + 0.01 * (number % 20), number)
        if number % (FILES // BAD) == 0 and len(bad) < BAD:
            make, bad[path.name] = FAULTS[len(bad) % len(FAULTS)]
            make(path, samples)
        else:
            GOOD[number % len(GOOD)](path, samples)
    return folder, bad


def line(folder: Path, checkpoint: Path, out: Path) -> list[str]:
    return ["caption", str(folder), "--model", str(checkpoint), "--out", str(out), "--language", "en", "--quiet"]


def checked(folder: Path, bad: dict[str, str], out: Path, errors: str) -> None:
    """Every good file has one caption; every bad one has one line that names it and says why."""
    rows = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()]
    names = [Path(row["path"]).name for row in rows]
    assert len(names) == len(set(names)) == FILES - BAD
    assert not set(names) & set(bad)
    for name, told in bad.items():
        (said,) = [text for text in errors.splitlines() if name in text and "Traceback" not in text]
        assert told in said
    warned = [row for row in rows if any("cut:" in warning for warning in row["warnings"])]
    assert warned and all(int(Path(row["path"]).stem) % len(GOOD) == len(GOOD) - 1 for row in warned)


def test_every_good_file_is_captioned_and_every_bad_one_named(calls, checkpoint: Path, tmp_path: Path, capsys) -> None:
    folder, bad = calls
    out = tmp_path / "t.jsonl"
    assert cli.main(line(folder, checkpoint, out)) == 1
    checked(folder, bad, out, capsys.readouterr().err)


def test_the_same_after_a_kill_in_the_middle(calls, checkpoint: Path, tmp_path: Path, capsys) -> None:
    folder, bad = calls
    out = tmp_path / "t.jsonl"
    asked = [sys.executable, "-m", "aligncap.serving.cli", *line(folder, checkpoint, out), "--batch-size", "2"]
    with subprocess.Popen(asked, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        journal = out.with_name(f".{out.name}.part")
        while process.poll() is None and not (journal.is_file() and journal.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not out.exists() or len(out.read_text().splitlines()) < FILES - BAD
    assert cli.main(line(folder, checkpoint, out)) == 1
    checked(folder, bad, out, capsys.readouterr().err)
