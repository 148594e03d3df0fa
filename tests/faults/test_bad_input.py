"""Bad input of every kind gives one line that names what, where, the value and the remedy; ``on_error`` decides."""

import json
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

RATE = 16_000
SOUND = 0.3 * np.sin(np.arange(RATE) / 10)


def wav(path: Path, samples: np.ndarray = SOUND, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, rate, subtype, format="WAV")
    return path


def one_line(error: AlignCapError) -> str:
    message = str(error)
    assert "\n" not in message
    assert len(message) < 500
    return message


BAD_FILES = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "0 bytes"),
    "pdf": (lambda path: path.write_bytes(b"%PDF-1.7\n" + b"x" * 500), "%PDF"),
    "text": (lambda path: path.write_text("just words\n" * 50), "not audio"),
    "header only": (lambda path: path.write_bytes(b"RIFF\x24\x00\x00\x00WAVE"), "not audio|corrupt"),
    "no samples": (lambda path: wav(path, np.zeros(0)), "0.000 s long"),
    "noise bytes": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5_000)), "not audio"),
    "silent": (lambda path: wav(path, np.zeros(RATE)), "silent"),
    "nan": (lambda path: wav(path, np.where(np.arange(RATE) == 7, np.nan, SOUND), subtype="FLOAT"), "sample 7 is nan"),
    "infinite": (lambda path: wav(path, np.where(np.arange(RATE) == 9, np.inf, SOUND), subtype="FLOAT"), "9 is inf"),
    "too short": (lambda path: wav(path, SOUND[:800]), "0.050 s long"),
    "too long": (lambda path: wav(path, np.tile(SOUND, 61)), "61.0 s long, at most 60 s"),
    "odd rate": (lambda path: wav(path, SOUND, rate=100), "sample rate 100 Hz"),
}


@pytest.mark.parametrize("fault", sorted(BAD_FILES))
def test_bad_audio(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "clip.wav"
    make, expected = BAD_FILES[fault]
    make(path)
    with pytest.raises(AudioError, match=expected) as caught:
        decode(path)
    assert str(path) in one_line(caught.value)


def test_three_hours_are_refused_by_the_header(tmp_path: Path) -> None:
    path = wav(tmp_path / "long.wav", np.zeros(1), rate=8_000, subtype="PCM_U8")
    size = 3 * 3600 * 8_000
    with path.open("r+b") as stream:  # a sparse file of three hours
        stream.seek(4)
        stream.write((36 + size).to_bytes(4, "little"))
        stream.seek(40)
        stream.write(size.to_bytes(4, "little"))
        stream.truncate(44 + size)
    with pytest.raises(AudioError, match="10800.0 s long"):
        decode(path)


def prepare(folder: Path, **settings: Any) -> tuple[list[dict], list[dict]]:
    corpus = Corpus(**{"adapter": "manifest", "role": "train", "language": "en", **settings})
    out = folder / "out"
    prepare_corpus("c", corpus, SpeechSettings(detector="off"), 0, out / "audio", out / "labels", out / "skipped")
    return artifacts.read_rows(out / "audio", "audio"), artifacts.read_rows(out / "skipped", "skipped")


GOOD = {"audio_path": "good.wav", "utterance_id": "good", "emotion": "sad"}
BAD_ROWS = {
    "duplicate id": (json.dumps(GOOD), "line 2: utterance id 'good' is taken by .*line 1"),
    "empty id": (json.dumps(GOOD | {"utterance_id": " "}), "line 2: the utterance id is empty"),
    "empty path": (json.dumps(GOOD | {"audio_path": None}), "line 2: 'audio_path' is empty"),
    "nul in path": (json.dumps(GOOD | {"audio_path": "a\0b"}), "line 2: 'audio_path' is"),
    "no such file": (json.dumps(GOOD | {"utterance_id": "x", "audio_path": "gone.wav"}), "line 2: .*no such file"),
    "unknown emotion": (json.dumps(GOOD | {"utterance_id": "x", "emotion": "hangry"}), "line 2: emotion 'hangry'"),
    "no emotion": (json.dumps(GOOD | {"utterance_id": "x", "emotion": ""}), "line 2: emotion None"),
    "other emotion": (json.dumps(GOOD | {"utterance_id": "x", "emotion": "other"}), "line 2: emotion 'other'"),
    "no language": (json.dumps(GOOD | {"utterance_id": "x", "language": "eng"}), "line 2: language 'eng' is no ISO"),
    "not JSON": ("{oops", "line 2: not JSON"),
    "not an object": ("[1, 2]", "line 2: holds"),
    "lone surrogate": ('{"audio_path": "good.wav", "utterance_id": "\\ud800", "emotion": "sad"}', "line 2: not JSON"),
}


@pytest.mark.parametrize("fault", sorted(BAD_ROWS))
def test_bad_row_is_skipped_or_fails(tmp_path: Path, fault: str) -> None:
    line, expected = BAD_ROWS[fault]
    wav(tmp_path / "good.wav")
    table = tmp_path / "m.jsonl"
    table.write_text(json.dumps(GOOD) + "\n" + line + "\n", encoding="utf-8")
    audio, skipped = prepare(tmp_path, root=str(table))
    assert [row["utterance_id"] for row in audio] == ["good"]
    assert len(skipped) == 1
    with pytest.raises(AlignCapError, match=expected) as caught:
        prepare(tmp_path, root=str(table), on_error="fail")
    assert one_line(caught.value) == skipped[0]["reason"]


def test_a_clip_that_was_cut_is_a_bad_row(tmp_path: Path) -> None:
    """Its label and caption are of the whole; ``aligncap caption`` reads it with a warning."""
    wav(tmp_path / "a.wav")
    whole = wav(tmp_path / "b.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "m.csv").write_text("audio_path,emotion\na.wav,sad\nb.wav,sad\n", encoding="utf-8")
    audio, skipped = prepare(tmp_path, root=str(tmp_path / "m.csv"))
    assert [row["utterance_id"] for row in audio] == ["a"]
    assert "line 3: " in skipped[0]["reason"] and "cut: 0.50 of 1.00 s are there" in skipped[0]["reason"]


def test_empty_caption_is_a_bad_row(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    wav(tmp_path / "b.wav")
    table = tmp_path / "m.csv"
    table.write_text("audio_path,caption\na.wav,She sounds sad.\nb.wav,  \n", encoding="utf-8")
    audio, skipped = prepare(tmp_path, root=str(table))
    assert [row["utterance_id"] for row in audio] == ["a"]
    assert "line 3: the caption is empty" in skipped[0]["reason"]


def test_row_that_is_not_utf8(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    wav(tmp_path / "b.wav")
    table = tmp_path / "m.csv"
    table.write_bytes("audio_path,emotion,transcript\na.wav,sad,ok\nb.wav,sad,café\n".encode("latin-1"))
    audio, skipped = prepare(tmp_path, root=str(table))
    assert len(audio) == 1
    assert "line 3: byte 0xe9 is not UTF-8" in skipped[0]["reason"]


def test_row_with_too_many_cells(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    table = tmp_path / "m.csv"
    table.write_text("audio_path,emotion\na.wav,sad\nb.wav,sad,very\n", encoding="utf-8")
    _, skipped = prepare(tmp_path, root=str(table))
    assert "line 3: 3 cells, the header has 2" in skipped[0]["reason"]


BAD_TABLES = {
    "no table": (None, {}, "m.csv: no such file"),
    "no rows": ("audio_path\n", {}, "has no rows"),
    "empty file": ("", {}, "has no rows"),
    "no path column": ("file,emotion\na.wav,sad\n", {}, "no column 'audio_path'; it has file, emotion"),
    "mapped column absent": ("audio_path\na.wav\n", {"columns": {"emotion": "mood"}}, "no column 'mood'"),
    "unknown column of ours": ("audio_path\na.wav\n", {"columns": {"moods": "x"}}, "columns.moods"),
    "no captions": (
        "audio_path,emotion\na.wav,sad\n",
        {"captions": {"source": "corpus"}},
        "captions.source is 'corpus' but",
    ),
    "a column twice": ("audio_path,emotion,emotion\na.wav,sad,\n", {}, "header: 'emotion' is there twice"),
    "all skipped": ("audio_path,emotion\ngone.wav,sad\n", {}, "all 1 clips were skipped.*gone.wav"),
    "no language": ("audio_path,emotion\na.wav,sad\n", {"language": None}, "language unknown"),
}


@pytest.mark.parametrize("fault", sorted(BAD_TABLES))
def test_table_that_is_no_corpus_is_an_error_even_when_rows_are_skipped(tmp_path: Path, fault: str) -> None:
    text, settings, expected = BAD_TABLES[fault]
    wav(tmp_path / "a.wav")
    if text is not None:
        (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=expected) as caught:
        prepare(tmp_path, root=str(tmp_path / "m.csv"), on_error="skip", **settings)
    one_line(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_column_whose_name_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    """Found by the fuzzer."""
    table = pa.table({"audio_path": ["a.wav"], "emotion": ["sad"]})
    pq.write_table(table, tmp_path / "m.parquet", store_schema=False)
    data = (tmp_path / "m.parquet").read_bytes()
    (tmp_path / "m.parquet").write_bytes(data.replace(b"emotion", b"e,\xdc\xd9[on"))
    with pytest.raises(CorpusError, match="m.parquet: not a Parquet file") as caught:
        prepare(tmp_path, root=str(tmp_path / "m.parquet"))
    one_line(caught.value)


def test_a_column_or_a_key_that_is_there_twice_hides_none(tmp_path: Path) -> None:
    sad = pa.array(["sad"])
    table = pa.Table.from_arrays([pa.array(["a.wav"]), sad, sad], ["audio_path", "emotion", "emotion"])
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(CorpusError, match="columns: 'emotion' is there twice; rename or remove one"):
        prepare(tmp_path, root=str(tmp_path / "m.parquet"))
    wav(tmp_path / "a.wav")
    lines = ['{"audio_path": "a.wav", "emotion": "sad"}', '{"audio_path": "b.wav", "emotion": "sad", "emotion": ""}']
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    _, skipped = prepare(tmp_path, root=str(tmp_path / "m.jsonl"))
    assert "line 2: not JSON ('emotion' is there twice; rename or remove one)" in skipped[0]["reason"]


@pytest.mark.parametrize(("name", "expected"), [("m.xlsx", "extension '.xlsx'"), ("m.parquet", "not a Parquet file")])
def test_other_formats(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 something")
    with pytest.raises(CorpusError, match=expected):
        prepare(tmp_path, root=str(tmp_path / name))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder; set 'root'"):
        prepare(tmp_path, adapter="ravdess", root=str(tmp_path / "nowhere"))


def test_nothing_in_the_side_table_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wav(tmp_path / "good.wav")
    (tmp_path / "m.jsonl").write_text(
        json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"utterance_id": "x", "audio_path": "gone.wav"})
    )
    _, skipped = prepare(tmp_path, root=str(tmp_path / "m.jsonl"))
    assert str(tmp_path) not in json.dumps(skipped)
    assert skipped[0]["reason"].startswith("m.jsonl: line 2: gone.wav: no such file")
