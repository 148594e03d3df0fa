"""Streams that no header says the length of: whether the file ends in the middle of a frame or an element.

Such are MPEG audio (MP3), AAC as ADTS, AMR, and the WebM that a browser records. Each frame or element tells its own
size, so a file is cut where its last one promises more bytes than there are. A cut between two of them cannot be seen,
nor can one after damage: where a frame does not begin as it should, the file counts as whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

AMR = {  # beginning of the file -> bytes of a frame with its first one, by frame type
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1),
}
EBML = b"\x1aE\xdf\xa3"
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675  # elements of Matroska that hold the others
# kbit/s by index, of layers 1, 2 and 3 of MPEG 1, then of MPEG 2 and 2.5; index 0 is a rate that is not told
_MPEG_1 = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MPEG_2 = (
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44_100, 48_000, 32_000)  # Hz of MPEG 1; half of it in MPEG 2, a quarter in MPEG 2.5
_HEADER = 6  # bytes that tell the size of a frame
_TAG = 128  # bytes of the ID3 tag at the end of an MP3 file


def ends_whole(stream: BinaryIO, size: int) -> bool:
    """Return whether the last frame or element of a file is whole; true for a format that is none of these.

    Args:
        stream: The file, opened for reading bytes.
        size: Its length in bytes.
    """
    stream.seek(0)
    head = stream.read(10)
    if head[:4] == EBML:
        return _matroska_is_whole(stream, size)
    for magic, sizes in AMR.items():
        if head.startswith(magic):
            return _frames_are_whole(stream, len(magic), size, partial(_amr_size, sizes))
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        start += 10 * (head[5] >> 4 & 1)  # a footer
    if size >= _TAG:
        stream.seek(size - _TAG)
        size -= _TAG * (stream.read(3) == b"TAG")
    return _frames_are_whole(stream, start, size, _mpeg_size)


def _frames_are_whole(stream: BinaryIO, place: int, size: int, size_of: Callable[[bytes], int]) -> bool:
    """Go from frame to frame; ``size_of`` gives the bytes of the one that a header begins, 0 where it is none."""
    before = b""
    while place < size:
        stream.seek(place)
        found = stream.read(min(_HEADER, size - place))
        if len(found) < _HEADER and size_of is _mpeg_size:
            return found[:2] != before[: min(2, len(found))]  # the beginning of one more header
        length = size_of(found)
        if length == 0:
            return True
        place, before = place + length, found
    return place == size


def _amr_size(sizes: tuple[int, ...], header: bytes) -> int:
    return sizes[header[0] >> 3 & 15]


def _mpeg_size(header: bytes) -> int:
    """Return the bytes of a frame of ADTS or of MPEG audio."""
    if header[0] != 0xFF or header[1] < 0xE0:
        return 0
    if header[1] & 0xF6 == 0xF0:
        return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return 0
    bits = 1000 * (_MPEG_1 if version == 3 else _MPEG_2)[layer - 1][index]
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // rate + padding


def _matroska_is_whole(stream: BinaryIO, size: int) -> bool:
    """Go from element to element, into those that hold others; one of unknown size ends where the next one begins."""
    place = 0
    while place < size:
        stream.seek(place)
        found = stream.read(12)
        width = 9 - found[0].bit_length()  # of the identity, whose first bits tell it
        if width > 4:
            return True
        if len(found) <= width:
            return False
        own = 9 - found[width].bit_length()  # of the size, likewise
        if own > 8:
            return True
        if len(found) < width + own:
            return False
        place += width + own
        length = int.from_bytes(found[width : width + own], "big") & (1 << 7 * own) - 1
        known = length != (1 << 7 * own) - 1
        if known and place + length > size:
            return False
        identity = int.from_bytes(found[:width], "big")
        if identity == SEGMENT and known:
            size = place + length  # what follows belongs to something else
        if identity not in (SEGMENT, CLUSTER):
            if not known:
                return True
            place += length
    return True
