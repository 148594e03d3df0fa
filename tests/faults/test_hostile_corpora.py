"""Tables and archives made to do harm: what they name outside their folder is not written, and nothing is run."""

import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.prepare import prepare_corpus
from aligncap.errors import AlignCapError


def flac() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, 0.3 * np.sin(np.arange(16_000) / 10), 16_000, format="FLAC")
    return stream.getvalue()


def prepare(out: Path, adapter: str, root: Path | str, **settings: Any) -> tuple[list[str], list[str]]:
    """Ids of the clips, and reasons of the side table."""
    paths = [out / f"{name}.parquet" for name in ("audio", "labels", "skipped")]
    corpus = Corpus(**{"adapter": adapter, "role": "train", "root": str(root), "language": "en", **settings})
    prepare_corpus("c", corpus, SpeechSettings(detector="off"), 0, *paths)
    reasons = [row["reason"] for row in artifacts.read_rows(paths[2], "skipped")]
    return [row["utterance_id"] for row in artifacts.read_rows(paths[0], "audio")], reasons


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def test_a_manifest_that_names_other_files_of_the_machine_reads_no_more_than_audio(tmp_path: Path) -> None:
    """Absolute paths and links are its right; what they lead to is audio, or a bad row."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a.flac").write_bytes(flac())
    (tmp_path / "far/secret.txt").write_text("a secret of many words")
    (tmp_path / "m").mkdir()
    (tmp_path / "m/link.flac").symlink_to(tmp_path / "far/a.flac")
    (tmp_path / "m/leak.flac").symlink_to(tmp_path / "far/secret.txt")
    (tmp_path / "m/loop.flac").symlink_to(tmp_path / "m/loop.flac")
    os.mkfifo(tmp_path / "m/pipe.flac")
    named = ["link.flac", str(tmp_path / "far/a.flac"), "leak.flac", "../far/secret.txt", "/etc/passwd", "/dev/zero"]
    rows = [{"audio_path": path, "emotion": "sad"} for path in (*named, "loop.flac", "pipe.flac", "/proc/self/mem")]
    (tmp_path / "m/m.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    before = files(tmp_path)
    ids, reasons = prepare(tmp_path / "out", "manifest", tmp_path / "m/m.jsonl")
    assert ids == ["link", "a"] and len(reasons) == 7
    assert not any("secret of many" in reason for reason in reasons)
    assert all(path.is_relative_to(tmp_path / "out") for path in files(tmp_path) - before)


def shard(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return path


def member(name: str, data: bytes, **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


LABEL = b'{"emotion": "sad"}'


def test_links_of_a_shard_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out.flac").write_bytes(flac())
    made = [member("good.flac", flac()), member("good.json", LABEL)]
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}
    for name, kind in kinds.items():
        for target in ("good.flac", str(tmp_path / "out.flac"), "../out.flac"):
            key = f"{name}{len(made)}"
            made += [member(f"{key}.flac", b"", type=kind, linkname=target), member(f"{key}.json", LABEL)]
    made += [member("text.flac", flac()), member("text.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")]
    made += [member("pipe.flac", b"", type=tarfile.FIFOTYPE), member("pipe.json", LABEL)]
    root = shard(tmp_path / "s.tar", *made)
    before = files(tmp_path)
    ids, reasons = prepare(tmp_path / "out", "webdataset", root)
    assert ids == ["good"] and len(reasons) == 8
    assert all("links are not followed, so store the file itself" in reason for reason in reasons)
    assert all(path.is_relative_to(tmp_path / "out") for path in files(tmp_path) - before)
    assert [path.name for path in (tmp_path / "out/wav").iterdir()] == ["0000000.flac"]


def test_names_of_a_shard_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "deep/down").mkdir(parents=True)
    names = ("../../evil", f"{tmp_path}/abs", "a/../../../b", "c\\d", "x/./y", "\u202egnp", "d\nnext")
    made = [one for name in names for one in (member(f"{name}.flac", flac()), member(f"{name}.json", LABEL))]
    root = shard(tmp_path / "deep/down/s.tar", *made)
    before = files(tmp_path)
    ids, reasons = prepare(tmp_path / "deep/out", "webdataset", root)
    assert len(ids) + len(reasons) == len(names) and "a control character" in reasons[-1]
    new = files(tmp_path) - before
    assert all(path.is_relative_to(tmp_path / "deep/out") for path in new)


def test_a_clip_of_a_huge_declared_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    read = tarfile.ExFileObject.read
    monkeypatch.setattr(tarfile.ExFileObject, "read", lambda self, size=-1: tried.append(size) or read(self, size))
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    sparse |= {"GNU.sparse.name": "sparse.flac", "GNU.sparse.map": f"0,0,{1 << 40},0"}
    made = [member("good.flac", flac()), member("good.json", LABEL), member("sparse.json", LABEL)]
    root = tmp_path / "s.tar"
    with tarfile.open(root, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in made:
            archive.addfile(info, io.BytesIO(data))
        info, data = member("sparse.flac", f"1\n0\n{1 << 40}\n".encode().ljust(512, b"\0"), pax_headers=sparse)
        archive.addfile(info, io.BytesIO(data))
        archive.addfile(*_of("huge.json", LABEL))
    with root.open("ab") as stream:  # the last member says that it has a terabyte, and the shard ends after its header
        stream.truncate(_end(root))
        stream.seek(0, os.SEEK_END)
        stream.write(member("huge.flac", b"", size=1 << 40)[0].tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    ids, reasons = prepare(tmp_path / "out", "webdataset", root)
    assert ids == ["good"]
    told = "; ".join(reasons)
    assert "sparse: .flac is a sparse file of 1099511627776 bytes" in told
    assert "huge: .flac has 1099511627776 bytes, at most 1073741824 are read" in told
    assert [size for size in tried if size < 0] == [-1], "only the good clip was read as a whole"


def _of(name: str, data: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info, content = member(name, data)
    return info, io.BytesIO(content)


def _end(path: Path) -> int:
    """The end of the last member, before the blocks of zeros that end an archive."""
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    return last.offset_data + 512


@pytest.mark.parametrize("size", [b"\xff" * 8 + (-512).to_bytes(4, "big", signed=True), b"\x80" + b"\xff" * 11])
def test_a_shard_with_a_senseless_size_ends_there(tmp_path: Path, size: bytes) -> None:
    """A negative size once sent readers back to the same header for ever."""
    made = [member("good.flac", flac()), member("good.json", LABEL), member("bad.flac", b"")]
    root = shard(tmp_path / "s.tar", *made)
    data = bytearray(root.read_bytes())
    header = data.index(b"bad.flac")
    data[header + 124 : header + 136] = size
    data[header + 148 : header + 156] = b" " * 8
    data[header + 148 : header + 156] = b"%06o\0 " % sum(data[header : header + 512])
    root.write_bytes(data)
    ids, reasons = prepare(tmp_path / "out", "webdataset", root)
    assert ids == ["good"] and reasons


class Harm:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["pkl", "pickle", "pyd", "pth", "npy", "npz"])
@pytest.mark.parametrize("adapter", ["webdataset", "huggingface"])
def test_no_pickle_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: str, kind: str) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    harm = pickle.dumps(Harm(tmp_path / "harmed"))
    made = [member("good.flac", flac()), member("good.json", LABEL), member(f"good.{kind}", harm)]
    shard(tmp_path / "data/s.tar", *made)
    (tmp_path / f"data/x.{kind}").write_bytes(harm)
    try:
        prepare(tmp_path / "out", adapter, tmp_path / "data", columns={"audio_path": "flac"} if "h" in adapter else {})
    except AlignCapError:
        pass  # it may refuse the whole
    assert not (tmp_path / "harmed").exists()


def saved(folder: Path, *paths: str) -> Path:
    import datasets

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    audio = pa.array([{"bytes": flac(), "path": "good.flac"}, *({"path": path} for path in paths)], kind)
    table = pa.table({"audio": audio, "emotion": ["sad"] * (1 + len(paths))})
    datasets.Dataset(table).save_to_disk(folder)
    return folder


def test_a_data_set_reads_nothing_outside_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.flac").write_bytes(flac())
    (tmp_path / "secret.txt").write_text("a secret of many words")
    root = saved(tmp_path / "data", "../evil.flac", "link.flac", "in.flac", "evil.flac", str(tmp_path / "secret.txt"))
    (root / "link.flac").symlink_to(tmp_path / "evil.flac")
    (root / "in.flac").write_bytes(flac())
    monkeypatch.chdir(tmp_path)  # a relative path was once looked up here
    ids, reasons = prepare(tmp_path / "out", "huggingface", root)
    assert len(ids) == 2 and len(reasons) == 4
    assert sum("which lies outside the data set; store the audio itself" in reason for reason in reasons) == 2
    assert sum("names 'evil.flac', and there is no such file" in reason for reason in reasons) == 1
    assert len(list((tmp_path / "out/wav").iterdir())) == 2, "nothing that is no clip is kept"


def test_a_data_set_of_a_hub_reads_nothing_but_what_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from huggingface_hub import constants

    (tmp_path / "evil.flac").write_bytes(flac())
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache/hub"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/fetched.flac").write_bytes(flac())
    named = str(tmp_path / "evil.flac"), "/etc/passwd", str(tmp_path / "cache/fetched.flac")
    data = datasets.load_from_disk(saved(tmp_path / "data", *named))
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **options: data)
    ids, reasons = prepare(tmp_path / "out", "huggingface", "hf://org/name@abc")
    assert len(ids) == 2 and len(reasons) == 2
    assert all("which lies outside the data set" in reason for reason in reasons)
