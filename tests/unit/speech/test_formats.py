"""Every format that the reader is said to read, made by the two libraries and read back: length, level, no warning."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import BY_FFMPEG, BY_SOUNDFILE, RATE, SECONDS, TONE, encode

from aligncap.speech.audio import decode

LOSS = 0.12  # share by which the level may change in a coding for telephones


def checked(path: Path, rate: int = RATE) -> None:
    clip = decode(path)
    assert clip.duration_s == pytest.approx(SECONDS * RATE / rate, rel=0.05)
    assert clip.warnings == ()
    assert np.sqrt(np.mean(clip.samples**2)) == pytest.approx(np.sqrt(np.mean(TONE**2)), rel=LOSS)


@pytest.mark.parametrize(("container", "coding"), BY_SOUNDFILE)
def test_formats_of_libsndfile(tmp_path: Path, container: str, coding: str) -> None:
    path = tmp_path / "clip"
    # libsndfile writes these at one rate, whatever is asked
    rate = 8_000 if coding == "NMS_ADPCM_16" or container == "WVE" else RATE
    soundfile.write(path, TONE, rate, coding, format=container)
    checked(path, rate)


@pytest.mark.parametrize(("codec", "container", "rate"), BY_FFMPEG)
def test_formats_of_ffmpeg(tmp_path: Path, codec: str, container: str, rate: int) -> None:
    checked(encode(tmp_path / "clip", codec, container, rate))


def test_there_are_at_least_forty() -> None:
    assert len(BY_SOUNDFILE) + len(BY_FFMPEG) >= 40
