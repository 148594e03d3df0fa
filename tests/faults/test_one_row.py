"""One row, one file or one shard that cannot be read is listed, and what is beside it is read."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from shards import write_shard

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.base import BadRow, Utterance
from aligncap.corpora.captions import write_references
from aligncap.corpora.prepare import prepare_corpus
from aligncap.corpora.registry import make_adapter
from aligncap.errors import CorpusError
from aligncap.speech.prosody import measure_prosody

SOUND = 0.3 * np.sin(np.arange(16_000) / 10)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def wav(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, SOUND, 16_000, format="WAV")
    return path


def read(adapter: str, root: Path, **settings: Any) -> list[Utterance | BadRow]:
    corpus = Corpus(adapter=adapter, role="train", root=str(root), **settings)
    return list(make_adapter(corpus, 0, root.parent / "unpacked").iter_utterances())


def prepare(out: Path, adapter: str, root: Path, **settings: Any) -> tuple[list[str], list[str]]:
    """Ids of the clips, and reasons of the side table; with ``on_error: fail`` the first reason is the error."""
    paths = [out / f"{name}.parquet" for name in ("audio", "labels", "skipped")]
    corpus = Corpus(**{"adapter": adapter, "role": "train", "root": str(root), "language": "en", **settings})
    prepare_corpus("c", corpus, SpeechSettings(detector="off"), 0, *paths)
    reasons = [row["reason"] for row in artifacts.read_rows(paths[2], "skipped")]
    assert not any("\n" in reason for reason in reasons)
    return [row["utterance_id"] for row in artifacts.read_rows(paths[0], "audio")], reasons


CSV = "audio_path,emotion,caption\n"


QUOTED = 'c.wav,sad,"She is sad,\nand quiet."\nd.wav,sad,He is.\n'


@pytest.mark.parametrize(
    ("line", "rest", "told"),
    [
        ('b.wav,sad,"He is sad.', QUOTED, "4 cells, the header has 3; close its quotation marks"),
        ('b.wav,sad,"He is sad.', "c.wav,sad,She is.\nd.wav,sad,He is.\n", "not a row .*close its quotation marks"),
        ('b.wav,sad,"' + "x" * 140_000 + '"', QUOTED, "not a row of a table .field larger than field limit"),
        ("b.wav,sad,He is very, sad.", QUOTED, "4 cells, the header has 3; quote cells that hold a ','"),
    ],
)
def test_a_row_with_stray_quotation_marks_takes_no_other_with_it(
    tmp_path: Path, line: str, rest: str, told: str
) -> None:
    for name in "abcd":
        wav(tmp_path / f"{name}.wav")
    (tmp_path / "m.csv").write_text(f"{CSV}a.wav,sad,She is sad.\n{line}\n{rest}", encoding="utf-8")
    ids, _ = prepare(tmp_path / "out", "manifest", tmp_path / "m.csv")
    assert ids == ["a", "c", "d"]
    with pytest.raises(CorpusError, match=f"m.csv: line 3: {told}"):
        prepare(tmp_path / "out", "manifest", tmp_path / "m.csv", on_error="fail")


@pytest.mark.parametrize("column", ["utterance_id", "speaker", "session"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_id_that_became_a_fraction_is_a_bad_row(tmp_path: Path, column: str, kind: str) -> None:
    rows = [{"audio_path": "a.wav", "emotion": "sad", column: 12.0}]
    table = tmp_path / f"m.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), table)
    elif kind == "csv":
        table.write_text(f"audio_path,emotion,{column}\na.wav,sad,12.0\n", encoding="utf-8")
    else:
        table.write_text(json.dumps(rows[0]), encoding="utf-8")
    (bad,) = read("manifest", table)
    assert isinstance(bad, BadRow)
    assert f"'{column}' is 12.0, a whole number that pandas or a spreadsheet made a fraction" in bad.reason
    assert "write 12 (in pandas: read the table with dtype=str)" in bad.reason and "m." in bad.reason


def test_an_id_that_is_no_text_and_a_caption_that_is_none_are_bad_rows(tmp_path: Path) -> None:
    rows = [
        {"audio_path": "a.wav", "speaker": ["Ann"]},
        {"audio_path": "b.wav", "caption": {"en": "Sad."}},
        {"audio_path": "c.wav", "caption": [1]},
        {"audio_path": "d.wav", "speaker": float("nan"), "caption": float("nan")},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    *bad, good = read("manifest", tmp_path / "m.jsonl")
    told = ("'speaker' is ['Ann'], expected text", "'caption' holds {'en'", "'caption' holds 1, expected a caption")
    assert all(isinstance(row, BadRow) and text in row.reason for row, text in zip(bad, told, strict=True))
    assert isinstance(good, Utterance) and (good.speaker, good.captions) == ("", ())


def test_a_parquet_row_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    names = pa.array([b"a.wav", b"b\xff.wav", b"c.wav"]).view(pa.string())
    pq.write_table(pa.table({"audio_path": names, "emotion": ["sad"] * 3}), tmp_path / "m.parquet")
    first, bad, last = read("manifest", tmp_path / "m.parquet")
    assert isinstance(bad, BadRow) and "m.parquet: row 2: cannot be read" in bad.reason
    assert isinstance(first, Utterance) and isinstance(last, Utterance)


def test_names_that_no_artifact_can_hold_are_bad_rows(tmp_path: Path) -> None:
    for name in (b"1001_DFA_ANG_XX.wav", b"1002_\xff.wav", b"caf\xe9/1003_DFA_ANG_XX.wav"):
        path = Path(os.fsdecode(bytes(tmp_path / "corpus") + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        wav(tmp_path / "a.wav").rename(path)
    ids, reasons = prepare(tmp_path / "out", "crema_d", tmp_path / "corpus")
    assert ids == ["1001_DFA_ANG_XX"] and len(reasons) == 2
    assert "name is not as in CREMA-D's" in reasons[0] and "\\xff" in reasons[0].replace("\\udcff", "\\xff")
    assert "audio_path: bytes that are not UTF-8; rename the file" in reasons[1]


def test_a_newline_in_an_id_and_a_name_that_is_too_long_are_told_in_one_line(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    rows = [
        {"audio_path": "a.wav", "emotion": "sad"},
        {"audio_path": "b\n.wav", "emotion": "sad"},
        {"audio_path": "x" * 300, "emotion": "sad"},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    ids, reasons = prepare(tmp_path / "out", "manifest", tmp_path / "m.jsonl")
    assert ids == ["a"] and len(reasons) == 2


MELD = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"


def test_meld_names_a_missing_clip_and_ids_with_a_fraction(tmp_path: Path) -> None:
    lines = MELD + "Hi.,Joey,joy,positive,0,0\nHi.,Joey,joy,positive,0,1\n"
    (tmp_path / "train_sent_emo.csv").write_text(lines, encoding="utf-8")
    with pytest.raises(CorpusError, match="train_splits: no such folder, .*unpack the recordings of this table there"):
        prepare(tmp_path / "out", "meld", tmp_path)
    wav(tmp_path / "train_splits/dia0_utt0.mp4")
    lines += "Hi.,Joey,joy,positive,5.0,2\n" + "x" * 300 + "\n"
    (tmp_path / "train_sent_emo.csv").write_text(lines, encoding="utf-8")
    ids, (fraction, width, missing) = prepare(tmp_path / "out", "meld", tmp_path)
    assert ids == ["train_dia0_utt0"]
    assert "line 4: 'Dialogue_ID' is 5.0" in fraction and "line 5: 1 cells" in width
    assert "line 3: " in missing and "train_splits/dia0_utt1.wav: no such clip, where a clip may end with" in missing
    with pytest.raises(CorpusError, match="line 4: 'Dialogue_ID' is 5.0"):
        prepare(tmp_path / "out", "meld", tmp_path, on_error="fail")


def test_a_name_that_the_system_refuses_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train-label.csv").write_text(f"name,discrete\n{'x' * 300},sad\n\0,sad\n", encoding="utf-8")
    long, _ = read("mer2023", tmp_path)
    assert isinstance(long, BadRow) and "train-label.csv: line 2" in long.reason and "too long" in long.reason


def test_nnime_names_a_share_that_is_no_number(tmp_path: Path) -> None:
    names = "angry,frustrated,disappointed,sad,fear,neutral,surprise,excited,happy,relax,joy"
    rows = f"a.wav,{'0,' * 10}much\nb.wav,{'0.0,' * 10}1.0\n"
    (tmp_path / "labels_consensus_1.csv").write_text(f",{names}\n{rows}", encoding="utf-8")
    bad, good = read("nnime", tmp_path)
    assert isinstance(good, Utterance) and good.emotion == "happy"
    assert isinstance(bad, BadRow) and "line 2: 'joy' is 'much', expected a share, 0-1" in bad.reason


def iemocap(root: Path, labels: str) -> Path:
    dialog = root / "Session3/dialog"
    for folder in ("EmoEvaluation", "transcriptions"):
        (dialog / folder).mkdir(parents=True)
    (dialog / "EmoEvaluation/Ses03F_impro01.txt").write_text(labels, encoding="utf-8")
    for turn in ("F000", "F001", "F002", "F003"):
        wav(root / f"Session3/sentences/wav/Ses03F_impro01/Ses03F_impro01_{turn}.wav")
    return dialog


def test_an_unlabelled_or_broken_turn_is_listed(tmp_path: Path) -> None:
    lines = (
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]",
        "[6.29 - 8.23]\tSes03F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "C-E2:\tNeutral;\t()",
        "[14.01 - 15.39]\tSes03F_impro01_F001\txxx\t[2.0, 1.5, 2.5]",
        "[16.01 - 17.39]\tSes03F_impro01_F002\t\t[2.0, 1.5, 2.5]",
        "[18.01 - 19.39]\tSes03F_impro01_F003",
    )
    dialog = iemocap(tmp_path, "\n".join(lines))
    (dialog / "transcriptions/Ses03F_impro01.txt").write_bytes(
        b"Ses03F_impro01_F000 [6.29-8.23]: caf\xe9\nSes03F_impro01_F001 [14.01-15.39]: Yes.\n"
    )
    (dialog / "EmoEvaluation/Ses03F_impro02.txt").symlink_to(tmp_path / "nowhere")
    ids, reasons = prepare(tmp_path / "out", "iemocap", tmp_path)
    assert ids == ["Ses03F_impro01_F000"] and len(reasons) == 4
    for told in ("line 4: emotion None", "line 5: emotion None", "line 6: '[18.01", "impro02.txt: No such file"):
        assert any(told in reason for reason in reasons), told
    with pytest.raises(CorpusError, match="line 4: emotion None"):
        prepare(tmp_path / "out", "iemocap", tmp_path, on_error="fail")
    texts = {row.utterance_id: row.transcript for row in read("iemocap", tmp_path) if isinstance(row, Utterance)}
    assert texts["Ses03F_impro01_F000"] is None and texts["Ses03F_impro01_F001"] == "Yes."


def test_a_transcript_that_cannot_be_read_is_left_to_the_asr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("nea00001", "nea00002", "nea00003", "nea00004"):
        wav(tmp_path / f"koremo/nea/wav/{name}.wav")
    folder = tmp_path / "koremo/nea/transcript"
    folder.mkdir()
    (folder / "nea00001.txt").write_text("하나", encoding="utf-8")
    (folder / "nea00002.txt").write_bytes(b"\xff\xfa\xfb")
    (folder / "nea00003.txt").mkdir()
    (folder / "nea00004.txt").write_text(POINTER)
    assert [row.transcript for row in read("koremo", tmp_path / "koremo")] == ["하나", None, None, None]
    for told in (
        "nea00002.txt: line 1: bytes that are not utf-8",
        "nea00003.txt: ",
        "nea00004.txt: is a Git LFS pointer",
    ):
        assert told in caplog.text
    for name in ("0001_000351", "0001_000352"):
        wav(tmp_path / f"esd/0001/Angry/{name}.wav")
    (tmp_path / "esd/0001/0001.txt").write_bytes(
        "0001_000351\t打\tAngry\n0001_000352\t".encode("gb18030") + b"\xff\tAngry"
    )
    assert [row.transcript for row in read("esd", tmp_path / "esd")] == ["打", None]
    for name in ("SK0_anger_1", "SK0_anger_2", "SK0_anger_3"):
        wav(tmp_path / f"nemo/samples/{name}.wav")
    table = "file_id\traw_text\nSK0_anger_1.wav\tTak.\nSK0_anger_2.wav\nSK0_anger_3.wav\t \n"
    (tmp_path / "nemo/data.tsv").write_text(table, encoding="utf-8")
    assert [row.transcript for row in read("nemo", tmp_path / "nemo")] == ["Tak.", None, None]
    assert "data.tsv: line 3: 1 cells" in caplog.text


def clip(name: str, **told: Any) -> dict[str, bytes]:
    stream = io.BytesIO()
    soundfile.write(stream, SOUND, 16_000, format="FLAC")
    return {f"{name}.flac": stream.getvalue(), f"{name}.json": json.dumps({"emotion": "sad", **told}).encode()}


def test_one_shard_that_is_none_or_is_cut_leaves_the_others(tmp_path: Path) -> None:
    write_shard(tmp_path / "s/0.tar", clip("a"))
    (tmp_path / "s/1.tar").write_bytes(b"PK not a tar")
    (tmp_path / "s/2.tar").write_text(POINTER)
    whole = write_shard(tmp_path / "s/3.tar", clip("b") | clip("c")).read_bytes()
    (tmp_path / "s/3.tar").write_bytes(whole[: len(whole) // 2])
    write_shard(tmp_path / "s/4.tar", clip("d") | {"e.json": b'{"emotion": "sad", "speaker": "\\ud800"}'})
    ids, reasons = prepare(tmp_path / "out", "webdataset", tmp_path / "s")
    assert ids == ["a", "b", "d"]
    for told in ("1.tar: not a plain tar archive", "2.tar: cannot be read: is a Git LFS pointer", "3.tar: not a plain"):
        assert any(told in reason for reason in reasons), told
    assert any("4.tar: e: .json cannot be read (not JSON" in reason for reason in reasons)
    with pytest.raises(CorpusError, match="is a Git LFS pointer, not the file; fetch it with 'git lfs pull'"):
        prepare(tmp_path / "out", "webdataset", tmp_path / "s/2.tar")


def test_a_class_that_is_none_is_a_bad_row(tmp_path: Path) -> None:
    import datasets

    audio = [{"bytes": clip("x")["x.flac"], "path": f"{n}.flac"} for n in range(3)]
    plain = datasets.Dataset(pa.table({"audio": audio, "label": pa.array([1, -1, 7], pa.int64())}))
    features = plain.features.copy()
    features["audio"] = datasets.Audio(decode=False)
    features["label"] = datasets.ClassLabel(names=["anger", "sadness"])
    table = plain.data.table.replace_schema_metadata(features.arrow_schema.metadata)
    datasets.Dataset(table, info=datasets.DatasetInfo(features=features)).save_to_disk(tmp_path / "saved")
    ids, reasons = prepare(tmp_path / "out", "huggingface", tmp_path / "saved", columns={"emotion": "label"})
    assert ids == ["0"] and len(reasons) == 2
    assert "row 2: emotion None" in reasons[0] and "row 3: 'label' is 7, expected a class from 0 to 1" in reasons[1]


SCALES = {"level": "any", "pitch": "any", "rate": "any"}


def references(out: Path, bank: Path, **settings: Any) -> tuple[list[str], list[str]]:
    """Captions of two sad clips, and reasons of the side table of the bank that they come from."""
    for name in "ab":
        wav(out / f"wav/03-01-04-01-01-0{'ab'.index(name) + 1}-01.wav")
    captions = {"source": "bank", "bank": str(bank)}
    prepare(out, "ravdess", out / "wav", captions=captions)
    measure_prosody(out / "audio.parquet", out / "prosody.parquet", False)
    corpus = Corpus(adapter="ravdess", role="train", root=str(out / "wav"), captions=captions, **settings)
    paths = [out / f"{name}.parquet" for name in ("audio", "labels", "prosody", "references", "skipped_captions")]
    write_references(corpus, *paths, "test")
    reasons = [row["reason"] for row in artifacts.read_rows(paths[-1], "skipped")]
    return [text for row in artifacts.read_rows(paths[-2], "labels") for text in row["captions"]], reasons


def test_a_bad_row_of_a_caption_bank_is_listed_and_the_others_are_used(tmp_path: Path) -> None:
    good = {"caption": "She sounds sad.", "emotion": "sad", "intensity": "any", **SCALES}
    lines = [
        json.dumps(good),
        "{not JSON",
        json.dumps(good | {"caption": " "}),
        json.dumps(good | {"caption": ["a", "list"]}),
        json.dumps(good | {"level": "loud"}),
        json.dumps({"caption": "No emotion."}),
        json.dumps(good | {"caption": "He sounds sad."}),
    ]
    bank = tmp_path / "bank.jsonl"
    bank.write_text("\n".join(lines), encoding="utf-8")
    captions, reasons = references(tmp_path / "out", bank)
    assert set(captions) == {"She sounds sad.", "He sounds sad."}
    told = (
        "line 2: ",
        "line 3: 'caption' is empty; write one or delete the row",
        "line 4: 'caption' is ['a', 'list'], expected a text",
        "line 5: level 'loud', expected one of low, mid, high, any",
        "line 6: emotion '', expected one of",
    )
    assert len(reasons) == len(told)
    assert all("bank.jsonl: " in reason and text in reason for reason, text in zip(reasons, told, strict=True))
    with pytest.raises(CorpusError, match="bank.jsonl: line 2: "):
        references(tmp_path / "out", bank, on_error="fail")


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.parquet"])
def test_a_table_that_is_a_pointer_of_git_lfs_is_called_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(CorpusError, match=f"{name}: cannot be read: is a Git LFS pointer, .*'git lfs pull'"):
        read("manifest", tmp_path / name)


def test_a_data_set_of_pointers_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.parquet").write_text(POINTER)
    with pytest.raises(CorpusError, match="train-0.parquet: is a Git LFS pointer, .*'git lfs pull'"):
        read("huggingface", tmp_path / "data")
