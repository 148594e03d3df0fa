"""Inputs of the fuzzer: valid files and texts that are damaged in every way, and bytes that were never valid."""

import decimal
import functools
import importlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from hypothesis import strategies as st
from sounds import BY_FFMPEG, BY_SOUNDFILE, RATE, TONE, encode

from aligncap.clues.parser import words
from aligncap.corpora.manifest import COLUMNS

SHORT = TONE[2_000:8_000]  # 6,000 samples
WORDS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0"]
HEADS = [
    b"RIFF",
    b"RF64",
    b"fLaC",
    b"OggS",
    b"ID3",
    b"\xff\xfb\x90\0",
    b"\0\0\0\x18ftyp",
    b"\x1aE\xdf\xa3",
    b".snd",
    b"FORM",
]
KINDS_OF_DAMAGE = ("flip", "overwrite", "field", "cut", "remove", "repeat", "insert", "splice", "zeros", "fill")


@functools.cache
def recordings() -> list[bytes]:
    """A short tone in every third coding of libsndfile and all of FFmpeg, built here."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        for container, coding in BY_SOUNDFILE[::3]:
            rate = 8_000 if "GSM" in coding or "NMS" in coding or "G72" in coding else RATE
            soundfile.write(path, SHORT, rate, coding, format=container)
            found.append(path.read_bytes())
        for codec, container, rate in BY_FFMPEG:
            found.append(encode(path, codec, container, rate, SHORT).read_bytes())
    return found


Damage = tuple[str, int, int, bytes]  # kind, place, length, bytes
damages = st.lists(
    st.tuples(
        st.sampled_from(KINDS_OF_DAMAGE),
        st.one_of(st.integers(0, 255), st.integers(0, 1 << 20)),  # half of them in the header
        st.integers(0, 4_096),
        st.one_of(st.sampled_from(WORDS), st.binary(min_size=1, max_size=8)),
    ),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, changes: Sequence[Damage], other: bytes = b"") -> bytes:
    """Apply damage after damage; ``other`` is what is spliced in."""
    for kind, where, length, value in changes:
        at = where % (len(data) + 1)
        end = at + 1 + length % 512
        if kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << length % 8)]) + data[at + 1 :]
        elif kind == "overwrite":
            data = data[:at] + value + data[at + len(value) :]
        elif kind == "field":  # as headers hold them, at a place that is a multiple of 4
            at -= at % 4
            data = data[:at] + (length * 16 + 1).to_bytes(4, "little" if value[0] % 2 else "big") + data[at + 4 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "remove":
            data = data[:at] + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[at:end] * (1 + value[0] % 16) + data[end:]
        elif kind == "insert":
            data = data[:at] + value * (1 + length % 64) + data[at:]
        elif kind == "splice":
            data = data[:at] + other[where % (len(other) + 1) :]
        elif kind == "zeros":
            data = data[:at] + bytes(len(data[at:end])) + data[end:]
        elif kind == "fill":
            data = data[:at] + b"\xff" * len(data[at:end]) + data[end:]
    return data[: 1 << 20]


def audio_files() -> st.SearchStrategy[bytes]:
    """Damaged recordings, and bytes that begin like one."""
    valid = st.sampled_from(recordings())
    raw = st.builds(
        lambda head, rest, times: head + rest * times,
        st.sampled_from([b"", *HEADS]),
        st.binary(max_size=600),
        st.integers(1, 40),
    )
    return st.one_of(*[st.builds(damaged, valid, damages, valid)] * 6, raw)


def _listed(*tables: Any) -> list[str]:
    """Words of the parser's tables."""
    text = " ".join(" ".join(table.values()) if isinstance(table, dict) else table for table in tables)
    return sorted(set(re.split(r"[\s]+", text)) - {""})


SAID = """
    she he they the a voice speaker sounds is not never no without but and or though although very slightly a bit of
    with in , . ; ! ? - ' " ( ) … — neither nor hardly barely perhaps maybe seems rather than as if trying to hide under
""".split()
ODD = [
    "İ",
    "ß",
    "ﬁ",
    "\u0301",
    "\u200b",
    "\u202e",
    "\x00",
    "\x1b[31m",
    "\n",
    "\t",
    "\ufeff",
    "😀",
    "＝",
    "ａｎｇｒｙ",
    "Ǆ",
    "<b>",
    "=1+1",
    "x" * 300,
]


def captions(chinese: bool = False) -> st.SearchStrategy[bytes]:
    """Captions of the parser's own words in every order, with odd letters and endless repetitions."""
    if chinese:
        zh = importlib.import_module("aligncap_zh.words")  # a plugin, in plugins/, which no lock names

        tables = (
            zh.EMOTION_WORDS,
            zh.ATTRIBUTE_WORDS,
            zh.NEGATORS,
            zh.CONTRAST,
            zh.CONCESSION,
            zh.APPEARANCE,
            zh.STRONG,
            zh.WEAK,
        )
        known = _listed(*tables, zh.DIMENSIONS, zh.SCALES, zh.HOLDING, zh.UNABLE, zh.UNABLE_AFTER, zh.STRONG_AFTER)
        common = list("的，。；！和而、他她声音不")
    else:
        known = _listed(
            words.EMOTION_WORDS,
            words.ATTRIBUTE_WORDS,
            words.INTENSITY,
            words.DIMENSIONS,
            words.SCALE_WORDS,
            words.FEELING_NOUNS,
        )
        common = SAID
    word = st.one_of(
        *[st.sampled_from(known)] * 3, *[st.sampled_from(common)] * 3, st.sampled_from(ODD), st.text(max_size=12)
    )
    between = st.sampled_from([" ", "", "-", "  ", "\n", ", "]) if not chinese else st.sampled_from(["", "", " ", "，"])
    text = st.builds(lambda join, said: join.join(said), between, st.lists(word, max_size=24))
    shouted = st.builds(lambda said, way: getattr(said, way)(), text, st.sampled_from(["upper", "title", "swapcase"]))
    endless = st.builds(
        lambda said, times: (said + " ") * times, st.builds(" ".join, st.lists(word, max_size=5)), st.integers(2, 120)
    )
    return st.one_of(text, text, text, shouted, endless, st.text(max_size=200)).map(
        lambda said: said.encode("utf-8", "replace")
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
points = st.one_of(st.floats(1, 5), st.integers(0, 6), values)


def answers() -> st.SearchStrategy[bytes]:
    """Answers of a judge with prose, fences and damage around them; the first byte says who reads them."""
    right = st.fixed_dictionaries({"factuality": points, "faithfulness": points, "why": st.text(max_size=40) | values})
    more = st.builds(
        lambda own, further: own | further, right, st.dictionaries(st.text(max_size=8), values, max_size=2)
    )
    wanted = st.one_of(right, right, more, values).map(lambda own: json.dumps(own, ensure_ascii=False))
    prose = st.sampled_from(
        [
            "",
            "```json\n",
            "Here: ",
            "{",
            "{{",
            '{"a":',
            "[",
            "\n```",
            "}",
            '"',
            "\\",
            "{" * 999,
            '{"a":' * 999,
            "[" * 3_000,
            "9" * 5_000,
        ]
    )
    said = st.builds(lambda parts: "".join(parts), st.lists(st.one_of(wanted, prose, st.text(max_size=40)), max_size=5))
    person = st.fixed_dictionaries(
        {"corpus": st.just("c") | values, "utterance_id": st.just("u") | values},
        optional={name: st.text(max_size=9) | values for name in ("candidate", "candidate_a", "candidate_b", "why")}
        | {"factuality": points, "preferred": st.sampled_from(["a", "b", "tie", "x"]) | values},
    )
    people = st.lists(person.map(json.dumps), max_size=4).map("\n".join)
    read = said.map(lambda text: b"a" + text.encode("utf-8", "replace"))
    stored = st.one_of(wanted, said).map(lambda text: b"c" + text.encode("utf-8", "replace"))
    listed = people.map(lambda text: b"h" + text.encode("utf-8", "replace"))
    spoiled = st.builds(lambda own, changes: own[:1] + damaged(own[1:], changes), st.one_of(stored, listed), damages)
    return st.one_of(read, read, read, stored, listed, spoiled)


cells = st.one_of(
    st.sampled_from(
        [
            "good.wav",
            "good.wav",
            "sad",
            "angry",
            "en",
            "zh",
            "",
            "nan",
            "1.0",
            "good.wav#left",
            "../x",
            "=1+1",
            "<b>",
            "a\0b",
        ]
    ),
    st.text(max_size=12),
)
names = st.one_of(*[st.sampled_from(COLUMNS)] * 4, st.text(max_size=6))
rows = st.lists(st.dictionaries(names, cells | values, max_size=8), min_size=1, max_size=5)


def _sheet(extension: str, header: Sequence[str], body: Sequence[Sequence[str]], quoted: bool, fit: bool) -> bytes:
    between = "," if extension == "csv" else "\t"
    if fit:  # rows that get beyond the first check
        body = [["good.wav", "sad", *line, *header][: len(header)] for line in body]
    written = [[f'"{cell}"' if quoted else cell for cell in line] for line in (header, *body)]
    text = "\n".join(between.join(line) for line in written)
    return f"{extension}\n".encode() + text.encode("utf-8", "replace")


def _lines(extension: str, found: Sequence[Any], fit: bool) -> bytes:
    if fit:
        fine = {"audio_path": "good.wav", "emotion": "sad"}
        found = [
            {**fine, "utterance_id": f"u{n}", **row} if isinstance(row, dict) else row for n, row in enumerate(found)
        ]
    return f"{extension}\n".encode() + "\n".join(json.dumps(row) for row in found).encode("utf-8", "replace")


STRANGE: list[tuple[pa.DataType, Any]] = [
    (pa.timestamp("s"), 1 << 60),
    (pa.timestamp("ns", "Mars/Olympus"), 5),
    (pa.timestamp("us", "Europe/Berlin"), -(1 << 62)),
    (pa.date64(), 1 << 55),
    (pa.date32(), -(1 << 31)),
    (pa.time64("us"), 1 << 50),
    (pa.duration("s"), 1 << 62),
    (pa.binary(), b"\xff\0"),
    (pa.large_string(), "good.wav"),
    (pa.float32(), float("nan")),
    (pa.float64(), float("inf")),
    (pa.decimal128(38, 3), decimal.Decimal("1e30")),
    (pa.list_(pa.string()), ["She is sad.", None]),
    (pa.list_(pa.list_(pa.int8())), [[1], None]),
    (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), {"bytes": b"x", "path": "y"}),
    (pa.map_(pa.string(), pa.int64()), [("a", 1)]),
    (pa.dictionary(pa.int32(), pa.string()), "sad"),
    (pa.bool_(), True),
    (pa.null(), None),
]


def _column(kind: tuple[pa.DataType, Any], count: int) -> pa.Array:
    form, value = kind
    if isinstance(value, int) and not pa.types.is_boolean(form):
        width = pa.int32() if form == pa.date32() else pa.int64()
        return pa.array([value] * count, width).cast(form, safe=False)
    return pa.array([value] * count, form)


def _parquet(found: Sequence[dict[str, Any]], strange: Sequence[tuple[str, tuple[pa.DataType, Any]]]) -> bytes:
    columns = {"audio_path": pa.array([str(row.get("audio_path", "good.wav")) for row in found])}
    columns["emotion"] = pa.array(["sad"] * len(found))
    arrays, heads = list(columns.values()), list(columns)
    for name, kind in strange:
        arrays.append(_column(kind, len(found)))
        heads.append(name)
    stream = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_arrays(arrays, heads), stream)
    except (pa.ArrowException, ValueError):  # what cannot be written
        return b"parquet\nPAR1"
    return b"parquet\n" + stream.getvalue()


def _shard(found: Sequence[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in found:
            member = tarfile.TarInfo(name.replace("\0", "") or "x")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return b"tar\n" + stream.getvalue()


def manifests() -> st.SearchStrategy[bytes]:
    """Tables as CSV, TSV, JSONL, NDJSON and Parquet, and shards, half of them damaged."""
    # Each column once, for a table that has one twice is refused at once.
    header = st.lists(names, max_size=5).map(lambda found: list(dict.fromkeys(["audio_path", "emotion", *found])))
    body = st.lists(st.lists(cells, min_size=1, max_size=7), min_size=1, max_size=5)
    sheets = st.builds(_sheet, st.sampled_from(["csv", "tsv"]), header, body, st.booleans(), st.booleans())
    lines = st.builds(_lines, st.sampled_from(["jsonl", "ndjson"]), rows | st.lists(values, max_size=4), st.booleans())
    tables = st.builds(_parquet, rows, st.lists(st.tuples(names, st.sampled_from(STRANGE)), max_size=4))
    told = st.dictionaries(names, cells | values, max_size=5).map(lambda own: json.dumps(own).encode())
    sound = st.sampled_from(recordings()[:3])
    member = st.tuples(
        st.sampled_from(["a", "b", "x/a", "../a", "a.b", ""]),
        st.sampled_from([".json", ".txt", ".wav", ".cls", ".FLAC"]),
    ).map("".join)
    shards = st.lists(st.tuples(member, told | sound | st.binary(max_size=60)), max_size=6).map(_shard)
    whole = st.one_of(sheets, lines, tables, shards)

    def spoil(data: bytes, changes: Sequence[Damage]) -> bytes:
        kind, _, content = data.partition(b"\n")
        return kind + b"\n" + damaged(content, changes)

    raw = st.builds(
        lambda kind, data: kind + b"\n" + data,
        st.sampled_from([b"csv", b"jsonl", b"parquet", b"tar", b"x"]),
        st.binary(max_size=300),
    )
    return st.one_of(whole, whole, st.builds(spoil, whole, damages), st.builds(spoil, whole, damages), raw)
