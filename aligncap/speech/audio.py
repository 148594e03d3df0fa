"""Loading of audio files as mono float32 samples at 16 kHz, the input of every model.

One path for all formats (``aligncap.speech.decoders``): channels are averaged, the rate is brought to 16 kHz, and what
one should know of the recording is told as warnings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncap.errors import AlignCapError, AudioError
from aligncap.speech.decoders import Block, Decoding, Piece, Promised, Unreadable, by_ffmpeg, by_soundfile, one_line

SAMPLE_RATE = 16_000
MIN_DURATION_S = 0.1
WINDOW_S = 60  # most seconds that are held at once, in whole seconds
HELD = WINDOW_S * 48_000 * 8  # most samples of all channels that are held at once: 92 MB
RATES_HZ = (4_000, 768_000)
SILENCE = 1e-4  # peak, full scale 1: -80 dBFS, below the last bit of 13-bit audio
LOUDEST = 16.0  # peak, full scale 1: +24 dB; a louder one has another scale, such as that of 16-bit integers
CANCELLED = 0.05  # share of the channels' mean power; a mean of channels below it is what their phases cancel out
CUT_S, CUT_SHARE = 0.25, 0.02  # seconds and share of the promised length that may be missing without a word
REMEDY = "convert it to WAV, FLAC or Ogg, or take it out of the corpus"
LFS = b"version https://git-lfs"

Samples = NDArray[np.float32]
Channel = Literal["mix", "left", "right"]  # mean of the channels, or the first or second one
SIDES: tuple[Channel, ...] = ("left", "right")


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


def channel_of(path: str | Path, channel: Channel = "mix") -> tuple[Path, Channel]:
    """Return the file and the channel that ``call.wav#left`` or ``call.wav#right`` names, else what is given.

    A file whose own name ends like that is itself.
    """
    name, _, side = str(path).rpartition("#")
    if side in SIDES and name and not Path(path).exists():
        return Path(name), side
    return Path(path), channel


class _Window(NamedTuple):
    """A minute of a file, or what is left of it, as one of its channels or their mean."""

    samples: Samples  # [n], at the file's rate
    rate: int  # Hz
    note: str  # what should be known of its channels; empty where nothing


class Reading:
    """A file that is being read window by window, so that hours of it take no more memory than a minute.

    Args:
        path: File that libsndfile or FFmpeg can read.
        max_duration_s: Maximum duration in seconds. Where the header tells the duration, it is checked before decoding.
        channel: What is heard of a recording of several channels.

    Attributes:
        name: The file as it was named, with the channel where the name had one.
        promised: What the header tells, once the first window is read.
        seconds: Seconds read so far.
        notes: What should be known of what was read, each said once.
    """

    def __init__(self, path: str | Path, max_duration_s: float, channel: Channel = "mix") -> None:
        self.name = str(path)
        self.path, self.channel = channel_of(path, channel)
        self.max_duration_s = max_duration_s
        self.promised = Promised(None, None)
        self.seconds = 0.0
        self.notes: list[str] = []
        self._head = _head(self.path)

    def windows(self) -> Iterator[tuple[Samples, int]]:
        """Yield the samples of each window, ``[n]``, mono, at the file's own rate, with this rate in Hz.

        Raises:
            AudioError: As ``decode``.
        """
        reasons: list[str] = []
        given = 0
        for decoder in (by_soundfile, by_ffmpeg):
            try:
                for number, window in enumerate(self._mixed(decoder(self.path))):
                    if number < given:
                        continue  # the decoder before gave it
                    given += 1
                    self.seconds += len(window.samples) / window.rate
                    if window.note and window.note not in self.notes:
                        self.notes.append(window.note)
                    yield window.samples, window.rate
                return
            except Unreadable as error:
                reasons.append(str(error))
        if given:
            self.notes.append(f"damaged: nothing after {self.seconds:.2f} s could be read")
        else:
            raise AudioError(
                f"{self.path}: not audio, or corrupt: begins with {self._head[:8]!r} ({'; '.join(reasons)}); {REMEDY}"
            )

    def cut(self) -> str:
        """Return what is missing at the end of the file, as a sentence, once all is read; empty where nothing is."""
        promised, seconds = self.promised.seconds or 0.0, self.seconds
        if promised - seconds > max(CUT_S, CUT_SHARE * promised):
            return f"cut: {seconds:.2f} of {promised:.2f} s are there"
        return "" if self.promised.complete else f"cut: the file ends in the middle, after {seconds:.2f} s"

    def _mixed(self, decoding: Decoding) -> Iterator[_Window]:
        """Gather the pieces of a decoder into windows of a minute, or as ``HELD`` allows, and mix their channels."""
        promised = next(decoding)
        assert isinstance(promised, Promised)
        self.promised = promised
        if promised.rate is not None:
            _refuse_rate(self.path, promised.rate)
        self._refuse_long(promised.seconds or 0.0)
        held: list[Block] = []
        count, seconds, shape = 0, 0.0, (0, 0)
        for piece in self._in_range(decoding):
            own = (piece.rate, piece.block.shape[1])
            if held and own != shape:  # the next of several joined files
                yield self._mix(np.concatenate(held), shape[0])
                held, count = [], 0
            held.append(piece.block)
            shape, count, seconds = own, count + len(piece.block), seconds + len(piece.block) / piece.rate
            self._refuse_long(seconds)
            # a small file may decode to gigabytes: silence of 8 channels at 655 kHz
            window = piece.rate * max(1, min(WINDOW_S, HELD // (piece.rate * own[1])))
            while count >= window:
                block = np.concatenate(held)
                yield self._mix(block[:window], piece.rate)
                held = [block[window:]]
                count = len(held[0])
        if count:
            yield self._mix(np.concatenate(held), shape[0])

    def _mix(self, block: Block, rate: int) -> _Window:
        count = block.shape[1]
        if self.channel == "right" and count < 2:
            raise AudioError(f"{self.path}: has one channel, so none on the right; leave --channel out")
        if self.channel != "mix" or count == 1:
            return _Window(np.ascontiguousarray(block[:, 1 if self.channel == "right" else 0]), rate, "")
        mono: Samples = block.mean(axis=1)
        power = np.square(block, dtype=np.float64).mean(axis=0)
        if float(np.square(mono, dtype=np.float64).mean()) >= CANCELLED * float(power.mean()):
            return _Window(mono, rate, "")
        loudest = int(power.argmax())
        name = ("left", "right")[loudest] if loudest < 2 else f"number {loudest + 1}"
        note = f"its channels cancel each other out, so only one of them ({name}) was heard"
        return _Window(np.ascontiguousarray(block[:, loudest]), rate, note)

    def _in_range(self, decoding: Decoding) -> Iterator[Piece]:
        """Yield the pieces whose rate and samples are in range."""
        place = 0
        for piece in decoding:
            assert isinstance(piece, Piece)
            _refuse_rate(self.path, piece.rate)
            size = np.abs(piece.block).max(axis=1)
            worst = int(size.argmax())  # the first that is not a number, where there is one
            if not size[worst] <= LOUDEST:
                remedy = "divide by the full scale, such as 32768 for 16-bit integers"
                remedy = remedy if np.isfinite(size[worst]) else "record it again"
                raise AudioError(
                    f"{self.path}: sample {place + worst} is {size[worst]:g}, full scale is 1; {remedy}, or convert it "
                    "again"
                )
            place += len(piece.block)
            yield piece

    def _refuse_long(self, duration_s: float) -> None:
        if duration_s > self.max_duration_s:
            raise AudioError(
                f"{self.path}: {duration_s:.1f} s long, at most {self.max_duration_s:g} s are read; cut it or raise "
                "max_duration_s"
            )


def decode(path: str | Path, max_duration_s: float = 60.0, channel: Channel = "mix") -> Clip:
    """Decode a file, downmix it by averaging its channels and resample it to 16 kHz.

    Channels whose mean cancels out, as those of opposite phase do, are not averaged: the louder one is taken, with a
    warning. A file that ends before its header says so is read as far as it goes, with a warning.

    Args:
        path: File that libsndfile or FFmpeg can read, with ``#left`` or ``#right`` for one of its channels; 8-bit,
            stereo and 192 kHz are supported.
        max_duration_s: Maximum duration in seconds. Where the header gives the duration, it is checked before decoding.
        channel: What is heard of a recording of several channels.

    Raises:
        AudioError: The file is missing, empty, not audio or silent, has samples that are no numbers or out of range,
            lacks the channel, or is shorter than 0.1 s or too long.
    """
    with fault_of(path):
        reading = Reading(path, max_duration_s, channel)
        windows = list(reading.windows())
        _check_samples(reading, [samples for samples, _ in windows])
        samples = np.concatenate([_resample(samples, rate) for samples, rate in _joined(windows)])
        cut = reading.cut()
        return Clip(samples, windows[0][1], cut, (*([cut] if cut else []), *reading.notes))


@contextmanager
def fault_of(file: str | Path) -> Iterator[None]:
    """Turn whatever a library raises while one file is read or encoded into an ``AudioError`` that names the file."""
    try:
        yield
    except AlignCapError:
        raise
    except Exception as error:
        raise AudioError(f"{file}: {type(error).__name__}: {one_line(error)[:200]}; {REMEDY}") from error


def resampled(windows: Iterable[tuple[Samples, int]]) -> Iterator[Samples]:
    """Bring windows to 16 kHz one by one, with the samples that resampling all of them at once would give.

    Args:
        windows: Samples with their rate in Hz; all but the last of each rate are whole seconds long.
    """
    for rate, group in groupby(windows, key=lambda window: window[1]):
        before: Samples = np.zeros(0, np.float32)
        waiting: Samples | None = None
        for samples in chain((own for own, _ in group), [None]):  # never all of them at once
            if waiting is not None:
                after = np.zeros(0, np.float32) if samples is None else samples[:rate]
                around = _resample(np.concatenate([before, waiting, after]), rate)
                start = len(before) * SAMPLE_RATE // rate
                end = None if samples is None else start + len(waiting) * SAMPLE_RATE // rate
                yield around[start:end]
                before = waiting[-rate:]
            waiting = samples


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


def _refuse_rate(file: Path, rate: int) -> None:
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise AudioError(f"{file}: sample rate {rate} Hz, expected {RATES_HZ[0]} to {RATES_HZ[1]} Hz; {REMEDY}")


def _joined(windows: list[tuple[Samples, int]]) -> Iterator[tuple[Samples, int]]:
    """Join neighbouring windows of the same rate."""
    for rate, group in groupby(windows, key=lambda window: window[1]):
        yield np.concatenate([samples for samples, _ in group]), rate


def _check_samples(reading: Reading, parts: list[Samples]) -> None:
    file, seconds = reading.path, reading.seconds
    if seconds < MIN_DURATION_S:
        raise AudioError(f"{file}: {seconds:.3f} s long, at least {MIN_DURATION_S} s are needed; {REMEDY}")
    peak = max(float(np.abs(samples).max()) for samples in parts)
    if peak < SILENCE:
        raise AudioError(f"{file}: silent (peak {peak:.1e} of full scale); record it again or take it out")


def _resample(samples: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE:
        return samples
    from scipy.signal import resample_poly

    shared = math.gcd(rate, SAMPLE_RATE)
    return resample_poly(samples, SAMPLE_RATE // shared, rate // shared).astype(np.float32)
