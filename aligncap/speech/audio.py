"""Loading of audio files as mono float32 samples at 16 kHz, the input of every model.

The format is determined by the content, never by the extension. libsndfile reads WAV, FLAC, Ogg Vorbis, Opus and MP3;
PyAV (FFmpeg) reads other formats, for example the audio of MP4 and WebM.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from aligncap.errors import AudioError

SAMPLE_RATE = 16_000
MIN_DURATION_S = 0.1
RATES_HZ = (4_000, 768_000)
SILENCE = 1e-4  # peak, full scale 1: -80 dBFS, below the last bit of 13-bit audio
LEAST_DECODED = 0.9  # share of the header's number of samples below which the file counts as cut or corrupt
BLOCK = 65_536
REMEDY = "convert it to WAV, FLAC or Ogg, or take it out of the corpus"

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """A decoded audio file."""

    samples: Samples  # [n], mono, 16 kHz, full scale 1
    file_rate: int  # Hz, of the file

    @property
    def duration_s(self) -> float:
        """Length of the decoded audio in seconds."""
        return len(self.samples) / SAMPLE_RATE


def decode(path: str | Path, max_duration_s: float = 60.0) -> Clip:
    """Decode a file, downmix it by averaging its channels and resample it to 16 kHz.

    Args:
        path: File that libsndfile or FFmpeg can read; 8-bit, stereo and 192 kHz are supported.
        max_duration_s: Maximum duration in seconds. Where the header gives the duration, it is checked before decoding.

    Raises:
        AudioError: The file is missing, empty, not audio, corrupt or silent, has NaN or infinite samples, or is shorter
            than 0.1 s or too long.
    """
    file = Path(path)
    if not file.is_file():
        raise AudioError(f"{file}: no such file; correct the path or take the row out of the corpus")
    if file.stat().st_size == 0:
        raise AudioError(f"{file}: 0 bytes; fetch or record it again")
    try:
        with file.open("rb") as stream, soundfile.SoundFile(stream) as opened:
            mono, rate = _read_soundfile(file, opened, max_duration_s)
    except soundfile.LibsndfileError as error:
        mono, rate = _read_av(file, max_duration_s, str(error))
    _check_samples(file, mono, rate)
    return Clip(_resample(mono, rate), rate)


def load_audio(path: str | Path, max_duration_s: float = 60.0) -> Samples:
    """Load the samples of a file: float32 ``[n]``, mono, 16 kHz, full scale 1; arguments and errors as ``decode``."""
    return decode(path, max_duration_s).samples


def _refuse_long(file: Path, duration_s: float, max_duration_s: float) -> None:
    if duration_s > max_duration_s:
        raise AudioError(
            f"{file}: {duration_s:.1f} s long, at most {max_duration_s:g} s are read; cut it or raise max_duration_s"
        )


def _refuse_rate(file: Path, rate: int) -> None:
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise AudioError(f"{file}: sample rate {rate} Hz, expected {RATES_HZ[0]} to {RATES_HZ[1]} Hz; {REMEDY}")


def _read_soundfile(file: Path, opened: soundfile.SoundFile, max_duration_s: float) -> tuple[Samples, int]:
    rate, promised = opened.samplerate, opened.frames
    _refuse_rate(file, rate)
    _refuse_long(file, promised / rate, max_duration_s)
    blocks: Iterable[Samples] = opened.blocks(blocksize=BLOCK, dtype="float32", always_2d=True)
    try:
        mono = [block.mean(axis=1) for block in blocks]
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{file}: corrupt audio ({_one_line(error)}); {REMEDY}") from error
    samples = np.concatenate(mono) if mono else np.zeros(0, np.float32)
    if len(samples) < LEAST_DECODED * promised:
        raise AudioError(
            f"{file}: corrupt audio: the header promises {promised / rate:.2f} s, "
            f"{len(samples) / rate:.2f} s decoded; {REMEDY}"
        )
    return samples, rate


def _read_av(file: Path, max_duration_s: float, why_not_sndfile: str) -> tuple[Samples, int]:
    import av

    try:
        with av.open(str(file)) as container:
            if not container.streams.audio:
                raise AudioError(f"{file}: has no audio stream; {REMEDY}")
            stream = container.streams.audio[0]
            rate = int(stream.rate or 0)
            _refuse_rate(file, rate)
            if container.duration is not None:
                _refuse_long(file, container.duration / 1e6, max_duration_s)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
            blocks: list[Samples] = []
            for frame in container.decode(stream):
                blocks += [np.asarray(part.to_ndarray()[0], np.float32) for part in resampler.resample(frame)]
                _refuse_long(file, sum(map(len, blocks)) / rate, max_duration_s)
    except (av.error.FFmpegError, ValueError) as error:
        head = file.read_bytes()[:8]
        raise AudioError(
            f"{file}: not audio, or corrupt: begins with {head!r} ({_one_line(why_not_sndfile)}; "
            f"{_one_line(getattr(error, 'strerror', None) or error)}); {REMEDY}"
        ) from error
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32), rate


def _one_line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _check_samples(file: Path, samples: Samples, rate: int) -> None:
    duration_s = len(samples) / rate
    if duration_s < MIN_DURATION_S:
        raise AudioError(f"{file}: {duration_s:.3f} s long, at least {MIN_DURATION_S} s are needed; {REMEDY}")
    wrong = np.flatnonzero(~np.isfinite(samples))
    if len(wrong):
        raise AudioError(
            f"{file}: sample {wrong[0]} is {samples[wrong[0]]} ({len(wrong)} such samples); record or convert it again"
        )
    peak = float(np.abs(samples).max())
    if peak < SILENCE:
        raise AudioError(f"{file}: silent (peak {peak:.1e} of full scale); record it again or take it out")


def _resample(samples: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE:
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(rate, SAMPLE_RATE)
    return resample_poly(samples, SAMPLE_RATE // shared, rate // shared).astype(np.float32)
