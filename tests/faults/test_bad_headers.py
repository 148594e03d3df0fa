"""Recordings whose headers lie, and tables that no program meant to write: one line each, or read as far as they go."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.prepare import prepare_corpus
from aligncap.errors import AlignCapError, AudioError, CorpusError
from aligncap.speech.audio import decode

SOUND = 0.3 * np.sin(np.arange(8_000) / 10)


def chunk(name: bytes, data: bytes, length: int | None = None, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(data) if length is None else length) + data


def wave(
    rate: int = 16_000, channels: int = 1, bits: int = 16, coding: int = 1, align: int | None = None, **own: Any
) -> bytes:
    """A WAV file; ``own``: the data, its length as the header has it, and chunks before it."""
    width = channels * bits // 8 if align is None else align
    fmt = struct.pack("<HHIIHH", coding, channels, rate, rate * width & 0xFFFFFFFF, width & 0xFFFF, bits)
    data = own.get("data", (SOUND * 32_767).astype("<i2").tobytes())
    body = chunk(b"fmt ", fmt) + own.get("before", b"") + chunk(b"data", data, own.get("length"))
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def sound_as(container: str, coding: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, SOUND, 16_000, coding, format=container)
    return stream.getvalue()


def patched(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


OGG, FLAC, AU, AIFF, CAF = (sound_as(kind) for kind in ("OGG", "FLAC", "AU", "AIFF", "CAF"))
LIES = {
    "no channels": wave(channels=0),
    "65535 channels": wave(channels=65_535),
    "no rate": wave(rate=0),
    "a rate of 4 GHz": wave(rate=0xFFFFFFFF),
    "a rate of 1 Hz": wave(rate=1),
    "no bits": wave(bits=0),
    "7 bits": wave(bits=7),
    "65535 bits": wave(bits=65_535),
    "an unknown coding": wave(coding=0x4242),
    "an extensible format without its rest": wave(coding=0xFFFE),
    "no frames by its alignment": wave(align=0),
    "another alignment": wave(align=999),
    "data of odd length": wave(data=b"\1\2\3"),
    "one sample": wave(data=b"\1\2"),
    "no data": wave(data=b""),
    "a data chunk of 4 GB": wave(length=0xFFFFFFF0),
    "a chunk of 4 GB before the data": wave(before=chunk(b"LIST", b"", 0xFFFFFFF0)),
    "a thousand chunks before the data": wave(before=chunk(b"junk", b"") * 1_000),
    "two formats": wave(before=chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 8_000, 32_000, 4, 16))),
    "no format": b"RIFF\x10\0\0\0WAVE" + chunk(b"data", b"\0\1" * 4_000),
    "RIFF of something else": b"RIFF\x10\0\0\0AVI " + chunk(b"data", b"\0\1" * 4_000),
    "RF64 without its sizes": b"RF64" + wave()[4:],
    "RIFX of the other order": b"RIFX" + wave()[4:],
    "FLAC without blocks": b"fLaC" + bytes(4_000),
    "FLAC of no bits": patched(FLAC, 18, b"\0\0\0\0"),
    "FLAC whose block is 16 MB": patched(FLAC, 5, b"\xff\xff\xff"),
    "FLAC of only a head": FLAC[:42],
    "Ogg of one page": OGG[:58],
    "Ogg of 255 segments": patched(OGG, 26, b"\xff"),
    "Ogg without streams": b"OggS" + bytes(4_000),
    "Ogg of another checksum": patched(OGG, 22, b"\1\2\3\4"),
    "AU that begins after its end": patched(AU, 4, struct.pack(">I", 1 << 30)),
    "AU of an unknown coding": patched(AU, 12, struct.pack(">I", 99)),
    "AU without channels": patched(AU, 20, struct.pack(">I", 0)),
    "AIFF of 2**31 frames": patched(AIFF, 22, struct.pack(">I", 1 << 31)),
    "AIFF of a rate that is no number": patched(AIFF, 28, b"\x7f\xff" + b"\xff" * 8),
    "CAF of a negative size": patched(CAF, 12, b"\xff" * 8),
    "an MP4 of nested boxes": (struct.pack(">I", 8) + b"moov") * 2_000,
    "an MP4 whose box is its own parent": struct.pack(">I", 0) + b"ftypisom" + struct.pack(">I", 0) + b"moov",
    "an EBML head without end": b"\x1aE\xdf\xa3\x01" + b"\xff" * 2_000,
    "an ID3 tag of 256 MB": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(2_000),
    "only headers of MPEG frames": b"\xff\xfb\x90\0" * 2_000,
    "only headers of ADTS frames": b"\xff\xf1\x50\x80\0\x1f\xfc" * 2_000,
    "an AMR head": b"#!AMR\n" + b"\x3c" * 10,
    "a script": b"#!/bin/sh\nexit 0\n",
    "an ELF program": b"\x7fELF" + bytes(4_000),
    "a gzip of nothing": b"\x1f\x8b\x08" + bytes(100),
    "a SQLite file": b"SQLite format 3\0" + bytes(4_000),
    "zeros": bytes(100_000),
    "ones": b"\xff" * 100_000,
}


@pytest.mark.parametrize("fault", LIES)
def test_a_recording_that_lies_is_read_in_part_or_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(LIES[fault])
    try:
        clip = decode(path)
    except AudioError as error:
        told = str(error)
        assert told.startswith(f"{path}: ") and "\n" not in told and len(told) < 500
        assert not any(library in told for library in ("Traceback", "0x7f")), told
    else:
        assert np.isfinite(clip.samples).all() and np.abs(clip.samples).max() < 20
        assert len(clip.samples) < 40 * len(LIES[fault]), "no more sound than bytes"


REFUSED = ["no channels", "no rate", "no data", "one sample", "zeros", "a script", "no format", "FLAC of only a head"]


@pytest.mark.parametrize("fault", REFUSED)
def test_what_holds_no_sound_is_refused(tmp_path: Path, fault: str) -> None:
    (tmp_path / "clip.wav").write_bytes(LIES[fault])
    with pytest.raises(AudioError):
        decode(tmp_path / "clip.wav")


def test_a_table_of_recordings_that_lie_is_skipped_and_listed(tmp_path: Path) -> None:
    """One good clip among all of them: it is kept, and each other is kept or has its line in the side table."""
    soundfile.write(tmp_path / "good.wav", SOUND, 16_000)
    rows = [{"audio_path": "good.wav", "utterance_id": "good", "emotion": "sad"}]
    for number, data in enumerate(LIES.values()):
        (tmp_path / f"{number}.wav").write_bytes(data)
        rows.append({"audio_path": f"{number}.wav", "utterance_id": str(number), "emotion": "sad"})
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    ids, reasons = prepare(tmp_path, tmp_path / "m.jsonl")
    assert "good" in ids and len(ids) + len(reasons) == len(rows) and len(reasons) > 30
    assert all(f"m.jsonl: line {number}: " in reasons[at] for at, number in enumerate(sorted(_lines(reasons))))


def _lines(reasons: list[str]) -> list[int]:
    return [int(reason.partition("line ")[2].partition(":")[0]) for reason in reasons]


def prepare(folder: Path, table: Path, **settings: Any) -> tuple[list[str], list[str]]:
    """Ids of the clips, and reasons of the side table."""
    out = [folder / "out" / f"{name}.parquet" for name in ("audio", "labels", "skipped")]
    corpus = Corpus(**{"adapter": "manifest", "role": "train", "root": str(table), "language": "en", **settings})
    prepare_corpus("c", corpus, SpeechSettings(detector="off"), 0, *out)
    reasons = [row["reason"] for row in artifacts.read_rows(out[2], "skipped")]
    assert all("\n" not in reason and len(reason) < 2_000 for reason in reasons)
    return [row["utterance_id"] for row in artifacts.read_rows(out[0], "audio")], reasons


HEAD = "audio_path\tutterance_id\temotion\n"
SHEETS = {  # a good row stands before each
    "a bare quotation mark": ('good.wav\t"b\tsad', "not a row of a table|cells"),
    "a cell too few": ("good.wav\tb", "2 cells, the header has 3"),
    "a cell too many": ("good.wav\tb\tsad\tx", "4 cells, the header has 3"),
    "an emotion of another list": ("good.wav\tb\tgrumpy", "emotion 'grumpy', expected one of"),
    "an emotion that is a number": ("good.wav\tb\t3", "emotion '3', expected one of"),
    "a formula for an emotion": ("good.wav\tb\t=A1", "emotion '=A1', expected one of"),
    "a folder": (".\tb\tsad", "no such file"),
    "a path of blanks": ("  \tb\tsad", "'audio_path' is empty"),
    "a path of a website": ("https://example.org/a.wav\tb\tsad", "no such file"),
    "a path of a shell": ("$(true).wav\tb\tsad", "no such file"),
    "a name of 300 letters": ("x" * 300 + ".wav\tb\tsad", "File name too long|no such file"),
    "an id that is taken": ("good.wav\tgood\tsad", "utterance id 'good' is taken by"),
    "an id with an escape": ("good.wav\t\x1b[31m\tsad", "control character"),
    "an id that became a fraction": ("good.wav\t7.0\tsad", "write 7"),
    "no id": ("good.wav\t\tsad", "the utterance id is empty"),
    "an id of blanks": ("good.wav\t \tsad", "the utterance id is empty"),
}


@pytest.mark.parametrize("fault", SHEETS)
def test_a_row_of_a_tsv_is_named(tmp_path: Path, fault: str) -> None:
    line, told = SHEETS[fault]
    soundfile.write(tmp_path / "good.wav", SOUND, 16_000)
    table = tmp_path / "m.tsv"
    table.write_text(f"{HEAD}good.wav\tgood\tsad\n{line}\n", encoding="utf-8")
    ids, reasons = prepare(tmp_path, table)
    assert ids == ["good"] and len(reasons) == 1
    with pytest.raises(AlignCapError, match=f"m.tsv: line 3: .*({told})") as caught:
        prepare(tmp_path, table, on_error="fail")
    assert str(caught.value) == reasons[0]


STRANGE = {
    "a date beyond Python's": (pa.array([1 << 55], pa.int64()).cast(pa.date64(), safe=False), "cannot be read"),
    "a date before Python's": (pa.array([-(1 << 31)], pa.int32()).cast(pa.date32(), safe=False), "cannot be read"),
    "seconds beyond Python's": (pa.array([1 << 50], pa.timestamp("s")), "cannot be read"),
    "a time zone of Mars": (pa.array([5], pa.timestamp("us", "Mars/Olympus")), "cannot be read"),
    "text that is no UTF-8": (pa.array([b"\xff\xfe"]).view(pa.string()), "cannot be read"),
    "bytes": (pa.array([b"\xff\0"]), "'speaker' is"),
    "a list": (pa.array([["a", "b"]]), "'speaker' is"),
    "a struct": (pa.array([{"a": 1}]), "'speaker' is"),
    "a truth value": (pa.array([True]), "'speaker' is"),
    "a fraction": (pa.array([12.0]), "write 12"),
}


@pytest.mark.parametrize("fault", STRANGE)
def test_a_row_of_parquet_with_a_strange_value_is_named(tmp_path: Path, fault: str) -> None:
    """The first is what the fuzzer found: one date of the year 36,000,000 ended the stage with a traceback."""
    column, told = STRANGE[fault]
    soundfile.write(tmp_path / "good.wav", SOUND, 16_000)
    both = pa.concat_arrays([pa.nulls(1, column.type), column])
    names = {"audio_path": ["good.wav"] * 2, "utterance_id": ["good", "bad"], "emotion": ["sad"] * 2}
    table = tmp_path / "m.parquet"
    pq.write_table(pa.table({**names, "speaker": both}), table)
    ids, reasons = prepare(tmp_path, table)
    assert ids == ["good"] and len(reasons) == 1
    with pytest.raises(CorpusError, match=f"m.parquet: row 2: .*{told}"):
        prepare(tmp_path, table, on_error="fail")


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"audio_path": ["good.wav"] * 50, "emotion": ["sad"] * 50}), stream)
    return stream.getvalue()


BROKEN = {
    "an empty Parquet file": ("parquet", lambda data: b""),
    "only its magic": ("parquet", lambda data: b"PAR1"),
    "no end": ("parquet", lambda data: data[: len(data) // 2]),
    "no beginning": ("parquet", lambda data: data[len(data) // 2 :]),
    "a footer of 4 GB": ("parquet", lambda data: data[:-8] + b"\xff\xff\xff\xff" + data[-4:]),
    "a negative footer": ("parquet", lambda data: data[:-8] + b"\0\0\0\x80" + data[-4:]),
    "no footer": ("parquet", lambda data: data[:-8] + b"\0\0\0\0" + data[-4:]),
    "an encrypted footer": ("parquet", lambda data: data[:-4] + b"PARE"),
    "zeros in its footer": ("parquet", lambda data: data[:-60] + bytes(52) + data[-8:]),
    "a table of Arrow": ("parquet", lambda data: b"ARROW1\0\0" + data[8:]),
    "lines of numbers": ("jsonl", lambda data: b"1\n2\n3\n"),
    "lines of brackets": ("jsonl", lambda data: b"[" * 50_000 + b"\n"),
    "a JSON file over several lines": ("jsonl", lambda data: b'[\n{"audio_path":\n"good.wav"}\n]\n'),
    "binary lines": ("jsonl", lambda data: data),
    "a header of NULs": ("csv", lambda data: bytes(300) + b"\n" + bytes(30)),
    "UTF-16": ("csv", lambda data: "audio_path,emotion\ngood.wav,sad\n".encode("utf-16")),
    "a binary file": ("csv", lambda data: data),
    "a header twice": ("csv", lambda data: b"audio_path,emotion\naudio_path,emotion\n"),
    "an HTML page": ("csv", lambda data: b"<!doctype html><html><body>404</body></html>"),
    "a Git LFS pointer": ("csv", lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "a zip archive": ("tsv", lambda data: b"PK\x03\x04" + data),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_table_that_is_broken_is_one_line(tmp_path: Path, fault: str) -> None:
    extension, change = BROKEN[fault]
    soundfile.write(tmp_path / "good.wav", SOUND, 16_000)
    table = tmp_path / f"m.{extension}"
    table.write_bytes(change(parquet()))
    with pytest.raises(CorpusError) as caught:
        prepare(tmp_path, table)
    told = str(caught.value)
    assert "\n" not in told and len(told) < 2_000 and f"m.{extension}" in told
    assert not (tmp_path / "out").exists()
