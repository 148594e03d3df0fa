"""Whether the last element of a stream is whole, in bytes made by hand."""

import io

import pytest

from aligncap.speech.streams import ends_whole

UNKNOWN = b"\x01" + b"\xff" * 7
HEADER = b"\x1aE\xdf\xa3\x84webm"  # 4 bytes of content
BLOCK = b"\xa3\x86block!"  # 6 bytes of content
CLUSTER = b"\x1fC\xb6u"
SEGMENT = b"\x18S\x80g"
LIVE = HEADER + SEGMENT + UNKNOWN + CLUSTER + UNKNOWN + BLOCK + BLOCK + CLUSTER + UNKNOWN + BLOCK
KNOWN = HEADER + SEGMENT + b"\x95" + CLUSTER + b"\x90" + BLOCK + BLOCK


def whole(data: bytes) -> bool:
    return ends_whole(io.BytesIO(data), len(data))


@pytest.mark.parametrize("data", [LIVE, KNOWN, KNOWN + b"what another program left"])
def test_a_recording_of_a_browser_that_is_whole(data: bytes) -> None:
    assert whole(data)


@pytest.mark.parametrize("lost", [1, 6, 7])
@pytest.mark.parametrize("data", [LIVE, KNOWN])
def test_a_block_or_its_head_is_cut(data: bytes, lost: int) -> None:
    assert not whole(data[:-lost])


def test_between_two_blocks_nothing_tells_that_more_was_to_come() -> None:
    assert whole(LIVE[: -len(BLOCK)])
    assert not whole(KNOWN[: -len(BLOCK)]), "but a cluster of known size does"


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xfb", b"#!AMR\n", b"ID3", b"\x1aE\xdf\xa3", b"\0" * 99, b"\xff" * 99]
)
def test_what_is_none_of_these_is_no_error(data: bytes) -> None:
    assert whole(data) in (True, False)


def test_frames_of_mpeg_audio_by_their_tables() -> None:
    frames = {  # header -> bytes, by the formulas of the standard
        b"\xff\xfb\x90\x00": 417,  # MPEG 1 layer 3, 128 kbit/s, 44.1 kHz
        b"\xff\xfb\x92\x00": 418,  # and padded
        b"\xff\xf3\x40\x00": 104,  # MPEG 2 layer 3, 32 kbit/s, 22.05 kHz
        b"\xff\xe3\x48\x00": 288,  # MPEG 2.5 layer 3, 32 kbit/s, 8 kHz
        b"\xff\xfd\xa0\x00": 626,  # MPEG 1 layer 2, 192 kbit/s, 44.1 kHz
        b"\xff\xff\xc0\x00": 416,  # MPEG 1 layer 1, 384 kbit/s, 44.1 kHz
    }
    for header, size in frames.items():
        frame = header + bytes(size - len(header))
        assert whole(frame * 3), header.hex()
        assert not whole((frame * 3)[:-1]), header.hex()
