"""Loading of audio files as mono float32 samples at 16 kHz, the input of every model.

One path for all formats (``aligncap.speech.decoders``): channels are averaged, the rate is brought to 16 kHz, and what
one should know of the recording is told as warnings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aligncap.errors import AlignCapError, AudioError
from aligncap.speech.decoders import Decoding, Piece, Promised, Unreadable, by_ffmpeg, by_soundfile, one_line

SAMPLE_RATE = 16_000
MIN_DURATION_S = 0.1
RATES_HZ = (4_000, 768_000)
SILENCE = 1e-4  # peak, full scale 1: -80 dBFS, below the last bit of 13-bit audio
LOUDEST = 16.0  # peak, full scale 1: +24 dB; a louder one has another scale, such as that of 16-bit integers
CANCELLED = 0.05  # share of the channels' mean power; a mean of channels below it is what their phases cancel out
CUT_S, CUT_SHARE = 0.25, 0.02  # seconds and share of the promised length that may be missing without a word
REMEDY = "convert it to WAV, FLAC or Ogg, or take it out of the corpus"
LFS = b"version https://git-lfs"

Samples = NDArray[np.float32]
Channel = Literal["mix", "left", "right"]  # mean of the channels, or the first or second one


@dataclass(frozen=True)
class Clip:
    """A decoded audio file.

    Attributes:
        samples: Samples ``[n]``, mono, 16 kHz, full scale 1.
        file_rate: Sample rate of the file in Hz.
        cut: What is missing at its end, as a sentence; empty where nothing is.
        warnings: What a reader of a caption should know, ``cut`` included.
    """

    samples: Samples
    file_rate: int
    cut: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the decoded audio in seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class _Heard:
    """A file as one of its channels or their mean: pieces ``[n]`` with their rates, and the power of each channel."""

    pieces: list[tuple[Samples, int]]
    power: NDArray[np.float64]  # [channels], mean square; of the mean of the channels in `mixed`
    mixed: float
    promised: Promised

    @property
    def seconds(self) -> float:
        return sum(len(samples) / rate for samples, rate in self.pieces)


def decode(path: str | Path, max_duration_s: float = 60.0, channel: Channel = "mix") -> Clip:
    """Decode a file, downmix it by averaging its channels and resample it to 16 kHz.

    Channels whose mean cancels out, as those of opposite phase do, are not averaged: the louder one is taken, with a
    warning. A file that ends before its header says so is read as far as it goes, with a warning.

    Args:
        path: File that libsndfile or FFmpeg can read; 8-bit, stereo and 192 kHz are supported.
        max_duration_s: Maximum duration in seconds. Where the header gives the duration, it is checked before decoding.
        channel: What is heard of a recording of several channels.

    Raises:
        AudioError: The file is missing, empty, not audio or silent, has samples that are no numbers or out of range,
            lacks the channel, or is shorter than 0.1 s or too long.
    """
    with fault_of(path):
        return _decode(Path(path), max_duration_s, channel)


@contextmanager
def fault_of(file: str | Path) -> Iterator[None]:
    """Turn whatever a library raises while one file is read or encoded into an ``AudioError`` that names the file."""
    try:
        yield
    except AlignCapError:
        raise
    except Exception as error:
        raise AudioError(f"{file}: {type(error).__name__}: {one_line(error)[:200]}; {REMEDY}") from error


def _decode(file: Path, max_duration_s: float, channel: Channel) -> Clip:
    head = _head(file)
    heard, wanted, notes = _read(file, head, max_duration_s, channel), str(channel), []
    if channel == "mix" and len(heard.power) > 1 and heard.mixed < CANCELLED * float(heard.power.mean()):
        loudest = int(heard.power.argmax())
        heard = _read(file, head, max_duration_s, loudest)
        wanted = "left" if loudest == 0 else "right" if loudest == 1 else f"number {loudest + 1}"
        notes.append(f"its channels cancel each other out, so only one of them ({wanted}) was heard")
    cut = _cut(heard)
    _check_samples(file, heard)
    samples = np.concatenate([_resample(samples, rate) for samples, rate in _joined(heard.pieces)])
    return Clip(samples, heard.pieces[0][1], cut, (*([cut] if cut else []), *notes))


def load_audio(path: str | Path, max_duration_s: float = 60.0) -> Samples:
    """Load the samples of a file: float32 ``[n]``, mono, 16 kHz, full scale 1; arguments and errors as ``decode``."""
    return decode(path, max_duration_s).samples


def _head(file: Path) -> bytes:
    """Return the first bytes of a file that is there and has some."""
    if not file.is_file():
        raise AudioError(f"{file}: no such file; correct the path or take the row out of the corpus")
    try:
        with file.open("rb") as stream:
            head = stream.read(len(LFS))
    except OSError as error:
        raise AudioError(f"{file}: cannot be read ({error.strerror}); correct its permissions") from None
    if not head:
        raise AudioError(f"{file}: 0 bytes; fetch or record it again")
    if head == LFS:
        raise AudioError(f"{file}: is a Git LFS pointer, not the recording; fetch it with 'git lfs pull'")
    return head


def _read(file: Path, head: bytes, limit_s: float, channel: Channel | int) -> _Heard:
    """Read a file with the first decoder that can; ``channel`` may be the number of one."""
    reasons = []
    for decoder in (by_soundfile, by_ffmpeg):
        try:
            return _heard(file, decoder, limit_s, channel)
        except Unreadable as error:
            reasons.append(str(error))
    raise AudioError(f"{file}: not audio, or corrupt: begins with {head[:8]!r} ({'; '.join(reasons)}); {REMEDY}")


def _heard(file: Path, decoder: Callable[[Path], Decoding], limit_s: float, channel: Channel | int) -> _Heard:
    decoding = decoder(file)
    promised = next(decoding)
    assert isinstance(promised, Promised)
    if promised.rate is not None:
        _refuse_rate(file, promised.rate)
    _refuse_long(file, promised.seconds or 0.0, limit_s)
    pieces: list[tuple[Samples, int]] = []
    squares, mixed, seconds = np.zeros(1), 0.0, 0.0
    for piece in _in_range(file, decoding):
        block = piece.block
        if channel == "right" and block.shape[1] < 2:
            raise AudioError(f"{file}: has one channel, so none on the right; leave --channel out")
        if block.shape[1] != len(squares):  # the first block, or one of a joined file with other channels
            squares = np.resize(squares if pieces else 0.0, block.shape[1]).astype(np.float64)
        number = {"left": 0, "right": 1}.get(channel, 0) if isinstance(channel, str) else channel
        mono = block.mean(axis=1) if channel == "mix" else block[:, min(number, block.shape[1] - 1)]
        squares += np.square(block, dtype=np.float64).sum(axis=0) / piece.rate
        mixed += float(np.square(mono, dtype=np.float64).sum()) / piece.rate
        seconds += len(mono) / piece.rate
        _refuse_long(file, seconds, limit_s)
        pieces.append((np.ascontiguousarray(mono), piece.rate))
    if not pieces and decoder is by_soundfile and promised.seconds:
        raise Unreadable("no samples where the header promises some")
    return _Heard(pieces, squares / max(seconds, 1e-9), mixed / max(seconds, 1e-9), promised)


def _in_range(file: Path, decoding: Decoding) -> Iterator[Piece]:
    """Yield the pieces whose rate and samples are in range."""
    place = 0
    for piece in decoding:
        assert isinstance(piece, Piece)
        _refuse_rate(file, piece.rate)
        size = np.abs(piece.block).max(axis=1)
        worst = int(size.argmax())  # the first that is not a number, where there is one
        if not size[worst] <= LOUDEST:
            remedy = "divide by the full scale, such as 32768 for 16-bit integers"
            remedy = remedy if np.isfinite(size[worst]) else "record it again"
            raise AudioError(
                f"{file}: sample {place + worst} is {size[worst]:g}, full scale is 1; {remedy}, or convert it again"
            )
        place += len(piece.block)
        yield piece


def _refuse_rate(file: Path, rate: int) -> None:
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise AudioError(f"{file}: sample rate {rate} Hz, expected {RATES_HZ[0]} to {RATES_HZ[1]} Hz; {REMEDY}")


def _refuse_long(file: Path, duration_s: float, limit_s: float) -> None:
    if duration_s > limit_s:
        raise AudioError(
            f"{file}: {duration_s:.1f} s long, at most {limit_s:g} s are read; cut it or raise max_duration_s"
        )


def _cut(heard: _Heard) -> str:
    """Return what is missing at the end of a file, as a sentence; empty where nothing is."""
    promised, seconds = heard.promised, heard.seconds
    missing = (promised.seconds or 0.0) - seconds
    if missing > max(CUT_S, CUT_SHARE * (promised.seconds or 0.0)):
        return f"cut: {seconds:.2f} of {promised.seconds:.2f} s are there"
    return "" if promised.complete else f"cut: the file ends in the middle, after {seconds:.2f} s"


def _joined(pieces: list[tuple[Samples, int]]) -> Iterator[tuple[Samples, int]]:
    """Join neighbouring pieces of the same rate."""
    start = 0
    for end in range(1, len(pieces) + 1):
        if end == len(pieces) or pieces[end][1] != pieces[start][1]:
            yield np.concatenate([samples for samples, _ in pieces[start:end]]), pieces[start][1]
            start = end


def _check_samples(file: Path, heard: _Heard) -> None:
    if heard.seconds < MIN_DURATION_S:
        raise AudioError(f"{file}: {heard.seconds:.3f} s long, at least {MIN_DURATION_S} s are needed; {REMEDY}")
    peak = max(float(np.abs(samples).max()) for samples, _ in heard.pieces)
    if peak < SILENCE:
        raise AudioError(f"{file}: silent (peak {peak:.1e} of full scale); record it again or take it out")


def _resample(samples: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE:
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(rate, SAMPLE_RATE)
    return resample_poly(samples, SAMPLE_RATE // shared, rate // shared).astype(np.float32)
