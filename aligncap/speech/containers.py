"""What the container of an audio file promises: how long it is, and whether the file ends before that.

libsndfile reads a file that was cut as if it had been shorter all along, and only the first of several Ogg streams that
were joined. Both are seen here, in the bytes of the container itself.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from aligncap.speech.streams import ends_whole

UNKNOWN = 0x7FFFF000  # sizes from here on are what a program writes that cannot go back and put the right one in
FIXED = frozenset({1, 3, 6, 7, 0xFFFE})  # kinds of WAV whose samples have a fixed size: PCM, float, A-law, mu-law
OGG_FIRST = 0x02  # flag of the first page of a stream

_RIFF = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<"}  # byte orders


class Promise(NamedTuple):
    """What a container says of its sound.

    Attributes:
        seconds: Length in seconds; None where it says nothing of use.
        held: Length in seconds of what the file does hold, where that can be told without decoding.
        complete: Whether the file holds all that it promises.
        streams: Number of streams one after the other; only Ogg can have several.
    """

    seconds: float | None = None
    held: float | None = None
    complete: bool = True
    streams: int = 1


def promise(path: Path) -> Promise:
    """Read what the container of a file promises; one that tells no length may still end in the middle."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] in _RIFF and head[8:12] == b"WAVE":
            return _of_wave(stream, size, _RIFF[head[:4]])
        if head[:4] == b".snd":
            return _of_au(stream, size)
        if head[:4] == b"OggS":
            return _of_ogg(stream, size)
        return Promise(complete=ends_whole(stream, size))


def _of_wave(stream: BinaryIO, size: int, order: str) -> Promise:
    byte_rate, place, large = 0, 12, 0
    while place + 8 <= size:
        stream.seek(place)
        chunk = stream.read(8)
        if len(chunk) < 8:
            break
        name, length = chunk[:4], struct.unpack(f"{order}I", chunk[4:])[0]
        if name == b"fmt " and length >= 16:
            found = stream.read(16)
            byte_rate = _byte_rate(found, order) if len(found) == 16 else 0
        if name == b"ds64" and length >= 16:  # RF64 has the size of its data here
            large = int.from_bytes(stream.read(16)[8:], "little")
        if name == b"data":
            return _promised(large or length, size - place - 8, byte_rate, unknown=0 if large else UNKNOWN)
        place += 8 + length + length % 2
    return Promise()


def _byte_rate(found: bytes, order: str) -> int:
    """Return the bytes a second of a format chunk; where samples have a fixed size, its own field may be wrong."""
    kind, _, rate, told, block, _ = struct.unpack(f"{order}HHIIHH", found)
    return rate * block if kind in FIXED and rate * block else int(told)


def _of_au(stream: BinaryIO, size: int) -> Promise:
    widths = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # bytes a sample, by encoding
    stream.seek(4)
    found = stream.read(20)
    if len(found) < 20:
        return Promise()
    start, length, encoding, rate, channels = struct.unpack(">5I", found)
    return _promised(length, size - start, widths.get(encoding, 0) * rate * channels)


def _promised(length: int, held: int, byte_rate: int, unknown: int = UNKNOWN) -> Promise:
    if length == 0 or byte_rate == 0 or 0 < unknown <= length:
        return Promise()
    return Promise(length / byte_rate, min(length, held) / byte_rate, held >= length)


def _of_ogg(stream: BinaryIO, size: int) -> Promise:
    """Count the streams, and tell whether the last page is whole; how long a stream is only its end would say."""
    streams, opening, complete = 0, False, True
    for flags, whole in _ogg_pages(stream, size):
        first = bool(flags & OGG_FIRST)
        streams += first and not opening
        opening, complete = first, whole
    return Promise(complete=complete, streams=max(1, streams))


def _ogg_pages(stream: BinaryIO, size: int) -> Iterator[tuple[int, bool]]:
    """Yield the flags of each page and whether the file holds the whole page."""
    place = 0
    while place < size:
        stream.seek(place)
        head = stream.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            return
        lengths = stream.read(head[26])
        end = stream.tell() + sum(lengths)
        yield head[5], len(lengths) == head[26] and end <= size
        place = stream.seek(end, os.SEEK_SET)
