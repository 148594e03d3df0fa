"""Corpora whose clips lie inside other files: data sets of the library ``datasets``, and WebDataset shards."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from shards import write_shard

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.prepare import prepare_corpus
from aligncap.corpora.registry import make_adapter
from aligncap.errors import CorpusError

Add = Callable[[str, bytes], None]


def flac(pitch: float = 10.0) -> bytes:
    """Half a second of a tone."""
    stream = io.BytesIO()
    soundfile.write(stream, 0.3 * np.sin(np.arange(8_000) / pitch), 16_000, format="FLAC")
    return stream.getvalue()


def prepare(out: Path, **settings: Any) -> tuple[list[dict], list[dict], list[dict]]:
    paths = {name: out / f"{name}.parquet" for name in ("audio", "labels", "skipped")}
    prepare_corpus("c", Corpus(role="train", **settings), SpeechSettings(detector="off"), 0, *paths.values())
    audio, labels, skipped = (artifacts.read_rows(path, name) for name, path in paths.items())
    return audio, labels, skipped


def clip(name: str, emotion: str, pitch: float, text: str = "Hello.") -> dict[str, bytes]:
    told = json.dumps({"emotion": emotion, "who": name[0], "caption": f"It sounds {emotion}."})
    return {f"{name}.flac": flac(pitch), f"{name}.json": told.encode(), f"{name}.txt": text.encode()}


def test_webdataset_shards(tmp_path):
    write_shard(tmp_path / "shards/001.tar", clip("a/2", "sad", 12) | clip("b/1", "angry", 14))
    write_shard(tmp_path / "shards/000.tar", clip("a/1", "happy", 10, "Well done."))
    settings = {
        "adapter": "webdataset",
        "root": str(tmp_path / "shards"),
        "language": "en",
        "columns": {"speaker": "who"},
    }
    audio, labels, skipped = prepare(tmp_path / "out", **settings)
    assert [row["utterance_id"] for row in audio] == ["a/1", "a/2", "b/1"] and not skipped
    assert [row["speaker"] for row in audio] == ["a", "a", "b"]
    assert [(row["emotion"], row["captions"], row["transcript"]) for row in labels][0] == (
        "happy",
        ["It sounds happy."],
        "Well done.",
    )
    laid = sorted(path.name for path in (tmp_path / "out/wav").iterdir())
    assert laid == ["0000000.flac", "0000001.flac", "0000002.flac"]
    assert audio[1]["audio_sha256"] == artifacts.file_digest(tmp_path / "out/wav/0000001.flac")
    assert (tmp_path / "out/wav/0000001.flac").read_bytes() == flac(12)
    again, _, _ = prepare(tmp_path / "out", **settings)
    assert again == audio


def test_keys_that_each_shard_counts_for_itself_are_told_apart_by_the_shard(tmp_path):
    for number, pitch in enumerate((10, 12)):
        write_shard(tmp_path / f"shards/00{number}.tar", clip("0000", "sad", pitch))
    audio, _, skipped = prepare(
        tmp_path / "out", adapter="webdataset", root=str(tmp_path / "shards"), language="en", columns={"speaker": "who"}
    )
    assert [row["utterance_id"] for row in audio] == ["000/0000", "001/0000"] and not skipped


def test_only_clips_that_are_taken_are_laid_down(tmp_path):
    shard = write_shard(tmp_path / "s.tar", {k: v for n in range(6) for k, v in clip(f"{n}", "sad", 10 + n).items()})
    audio, _, _ = prepare(tmp_path / "out", adapter="webdataset", root=str(shard), language="en", limit=2)
    assert len(audio) == 2 and len(list((tmp_path / "out/wav").iterdir())) == 2


def test_names_in_a_shard_lead_nowhere(tmp_path):
    members = clip("../../evil", "sad", 10) | {"/tmp/abs.flac": flac(), "/tmp/abs.json": b'{"emotion": "sad"}'}
    shard = write_shard(tmp_path / "deep/down/s.tar", members)
    with tarfile.open(shard, "a") as archive:
        link = tarfile.TarInfo("x.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    settings = {"adapter": "webdataset", "root": str(shard), "language": "en", "captions": {"source": "grammar"}}
    audio, _, _ = prepare(tmp_path / "deep/out", **settings)
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert len(audio) == 2 and all(path.is_relative_to(tmp_path / "deep/out") for path in made)


def test_what_is_wrong_in_a_shard_is_named(tmp_path):
    broken = clip("1", "sad", 10) | {
        "2.json": b'{"emotion": "sad"}',
        "3.flac": flac(),
        "3.json": b"{",
        "4.flac": b"RIFF",
    }
    broken |= {"4.json": b'{"emotion": "sad", "caption": "Sad."}'}
    shard = write_shard(tmp_path / "s.tar", broken)
    audio, _, skipped = prepare(tmp_path / "out", adapter="webdataset", root=str(shard), language="en")
    assert [row["utterance_id"] for row in audio] == ["1"]
    reasons = " ".join(row["reason"] for row in skipped)
    assert len(skipped) == 3 and "s.tar: 2: no audio" in reasons and "s.tar: 3: .json cannot be read" in reasons
    (tmp_path / "s.tar").write_bytes(b"PK not a tar")
    with pytest.raises(CorpusError, match="not a plain tar archive"):
        prepare(tmp_path / "out", adapter="webdataset", root=str(shard), language="en")


def test_a_column_that_no_clip_has_is_refused(tmp_path):
    shard = write_shard(tmp_path / "s.tar", clip("1", "sad", 10))
    with pytest.raises(CorpusError, match="no clip has 'speeker'; there are caption, emotion, txt, who"):
        prepare(tmp_path / "o", adapter="webdataset", root=str(shard), language="en", columns={"speaker": "speeker"})


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two splits with an audio column, as ``datasets`` makes them; its cache is the test's own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def split(names: list[str], pitch: float) -> datasets.Dataset:
        rows = {
            "audio": [{"bytes": flac(pitch + n), "path": f"{name}.flac"} for n, name in enumerate(names)],
            "label": [n % 2 for n, _ in enumerate(names)],
            "who": ["Ann", "Ben", "Cid"][: len(names)],
            "text": ["One.", "Two.", "Three."][: len(names)],
        }
        plain = datasets.Dataset(pa.table(rows))  # from Python objects it would want torchcodec to encode them
        plain = plain.cast_column("label", datasets.ClassLabel(names=["anger", "sadness"]))
        return plain.cast_column("audio", datasets.Audio(decode=False))

    return datasets.DatasetDict({"train": split(["a", "b", "c"], 10), "test": split(["d", "e"], 20)})


COLUMNS = {"emotion": "label", "speaker": "who", "transcript": "text"}


def settings(root: Path, **more: Any) -> dict[str, Any]:
    return {"adapter": "huggingface", "root": str(root), "language": "en", "columns": COLUMNS, **more}


def test_a_data_set_saved_to_disk(tmp_path, data):
    data.save_to_disk(tmp_path / "saved")
    audio, labels, skipped = prepare(tmp_path / "out", **settings(tmp_path / "saved"))
    assert [(row["utterance_id"], row["speaker"]) for row in audio] == [
        ("a", "Ann"),
        ("b", "Ben"),
        ("c", "Cid"),
        ("d", "Ann"),
        ("e", "Ben"),
    ]
    assert [row["emotion"] for row in labels] == ["angry", "sad", "angry", "angry", "sad"] and not skipped
    assert [row["transcript"] for row in labels[:2]] == ["One.", "Two."]
    assert (tmp_path / "out/wav/0000003.flac").read_bytes() == flac(20)
    audio, _, _ = prepare(tmp_path / "test", **settings(tmp_path / "saved", split="test"))
    assert [row["utterance_id"] for row in audio] == ["d", "e"]
    with pytest.raises(CorpusError, match="cannot be read by datasets"):
        prepare(tmp_path / "none", **settings(tmp_path / "saved", split="dev"))


def test_a_folder_of_parquet_files_as_hubs_have_them(tmp_path, data):
    (tmp_path / "parquet/data").mkdir(parents=True)
    for name, split in data.items():
        split.to_parquet(tmp_path / f"parquet/data/{name}-00000-of-00001.parquet")
    audio, labels, _ = prepare(tmp_path / "out", **settings(tmp_path / "parquet"))
    assert [row["utterance_id"] for row in audio] == ["a", "b", "c", "d", "e"]
    assert [row["emotion"] for row in labels][:2] == ["angry", "sad"]
    audio, _, _ = prepare(tmp_path / "test", **settings(tmp_path / "parquet", split="train[:2]"))
    assert [row["utterance_id"] for row in audio] == ["a", "b"]


def test_names_that_each_split_counts_for_itself_are_numbered(tmp_path, data):
    import datasets

    def split(*pitches):
        rows = {"audio": [{"bytes": flac(p), "path": f"{n}.flac"} for n, p in enumerate(pitches)]}
        return datasets.Dataset(pa.table(rows | {"label": ["fear"] * len(pitches)}))

    datasets.DatasetDict(train=split(7, 8), test=split(9, 10)).save_to_disk(tmp_path / "saved")
    mine = settings(tmp_path / "saved", split=None) | {"columns": {"emotion": "label"}}
    audio, _, skipped = prepare(tmp_path / "out", **mine)
    assert len({row["utterance_id"] for row in audio}) == 4 and not skipped


def test_clips_whose_names_tell_nothing_are_numbered(tmp_path, data):
    import datasets

    rows = {"audio": [{"bytes": flac(n), "path": None} for n in (7, 9)], "label": ["fear", "joy"]}
    datasets.Dataset(pa.table(rows)).save_to_disk(tmp_path / "saved")
    audio, _, _ = prepare(tmp_path / "out", **settings(tmp_path / "saved", limit=1) | {"columns": {"emotion": "label"}})
    assert audio[0]["utterance_id"].startswith("all_000000")
    assert len(list((tmp_path / "out/wav").iterdir())) == 1


def test_a_folder_of_audio_files_is_told_to_be_a_manifest(tmp_path: Path) -> None:
    """The library ``datasets`` reads such a folder with torchcodec alone, which would decode the audio, too."""
    (tmp_path / "data").mkdir()
    for number in range(2):
        (tmp_path / "data" / f"{number}.flac").write_bytes(flac(10.0 + number))
    (tmp_path / "data" / "metadata.csv").write_text("file_name,mood\n0.flac,sad\n1.flac,happy\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"take 'adapter: manifest' with its metadata.csv as 'root'"):
        prepare(tmp_path, adapter="huggingface", root=str(tmp_path / "data"), columns={"emotion": "mood"})
    columns = {"audio_path": "file_name", "emotion": "mood"}
    table = str(tmp_path / "data" / "metadata.csv")
    _, labels, _ = prepare(tmp_path, adapter="manifest", root=table, columns=columns, language="en")
    assert [row["emotion"] for row in labels] == ["sad", "happy"]


def test_audio_that_is_not_asked_for_is_not_decoded(tmp_path, data):
    """The library would want torchcodec for each column of audio that it is asked for as it is."""
    import datasets

    told = data["train"].add_column("answer", data["train"]["audio"], feature=datasets.Audio(decode=False))
    told.cast_column("answer", datasets.Audio()).cast_column("audio", datasets.Audio()).save_to_disk(tmp_path / "saved")
    audio, _, skipped = prepare(tmp_path / "out", **settings(tmp_path / "saved"))
    assert [row["utterance_id"] for row in audio] == ["a", "b", "c"] and not skipped


def test_audio_outside_the_data_set_is_read_by_its_path(tmp_path, data):
    import datasets

    (tmp_path / "x.flac").write_bytes(flac(33))
    rows = {"sound": [str(tmp_path / "x.flac")], "emotion": ["fear"]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    audio, labels, _ = prepare(tmp_path / "out", **settings(tmp_path / "saved") | {"columns": {"audio_path": "sound"}})
    assert (audio[0]["utterance_id"], labels[0]["emotion"]) == ("x", "fearful")
    assert (tmp_path / "out/wav/0000000.flac").read_bytes() == flac(33)


def test_mistakes_about_a_data_set_are_named(tmp_path, data):
    data["test"].save_to_disk(tmp_path / "saved")
    for changes, told in (
        ({"columns": {"speaker": "speeker"}}, "no column 'speeker'; it has audio, label, who, text"),
        ({"columns": {"audio_path": "label"}}, "column 'label' is no audio"),
        ({"root": str(tmp_path / "nowhere")}, "no such folder"),
        ({"root": "hf://org/name"}, "give a revision"),
        ({"columns": {"spekaer": "who"}}, "columns.spekaer: no column of ours"),
    ):
        with pytest.raises(CorpusError, match=told) as caught:
            make_adapter(Corpus(role="train", **settings(tmp_path / "saved") | changes), 0, tmp_path / "wav")
        assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_an_error_in_one_line(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CorpusError, match="hf://org/name@abc: cannot be read by datasets") as caught:
        make_adapter(Corpus(role="test", adapter="huggingface", root="hf://org/name@abc"), 0, tmp_path / "wav")
    assert "\n" not in str(caught.value)
