import errno
import io
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aligncap import artifacts
from aligncap.errors import ArtifactError, StorageError

ROW = {"utterance_id": "u1", "transcript": "hallo", "language": "de", "source": "asr", "avg_logprob": -0.25}


def write(path: Path, rows=(ROW,), **changes) -> None:
    artifacts.write([{**row, **changes} for row in rows], path, "transcripts", "transcripts", {"model": "tiny"})


def test_rows_and_notes_come_back(tmp_path):
    path = tmp_path / "deep" / "t.parquet"
    write(path)
    assert artifacts.read_rows(path, "transcripts") == [ROW]
    assert artifacts.read(path, "transcripts").to_dict("records") == [ROW]
    assert artifacts.read_table(path, "transcripts").num_rows == 1
    assert artifacts.read_notes(path, "transcripts") == {"model": "tiny"}


def test_a_data_frame_is_as_good_and_equal_rows_give_equal_bytes(tmp_path):
    write(tmp_path / "a.parquet")
    artifacts.write(pd.DataFrame([ROW]), tmp_path / "b.parquet", "transcripts", "transcripts", {"model": "tiny"})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert artifacts.file_digest(tmp_path / "a.parquet") == artifacts.file_digest(tmp_path / "b.parquet")


def test_no_rows_is_a_file_with_the_schema(tmp_path):
    write(tmp_path / "t.parquet", rows=())
    assert artifacts.read_rows(tmp_path / "t.parquet", "transcripts") == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"utterance_id": "u1"}], "missing columns"),
        ([ROW, {**ROW, "wall_time": 1}], "row 1.*unknown columns.*wall_time"),
        ([{**ROW, "avg_logprob": "loud"}], "does not fit the schema 'transcripts'"),
        ([ROW, {**ROW, "source": None}], "row 1: 'source' is empty"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, rows, told):
    with pytest.raises(ArtifactError, match=told) as caught:
        write(tmp_path / "t.parquet", rows)
    assert "\n" not in str(caught.value).strip()
    assert not list(tmp_path.iterdir()), "nothing half made is left"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.parquet"
    write(path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), artifacts.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_reading_checks_presence_kind_schema_and_version(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    with pytest.raises(ArtifactError, match="no such artifact"):
        artifacts.read(path, "transcripts")
    path.write_text("not parquet")
    with pytest.raises(ArtifactError, match="not a Parquet file"):
        artifacts.read(path, "transcripts")
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ArtifactError, match="expected schema 'transcripts'"):
        artifacts.read(path, "transcripts")
    write(path)
    with pytest.raises(ArtifactError, match=re.escape("got 'transcripts' version '1'")):
        artifacts.read(path, "captions")
    monkeypatch.setattr(artifacts.files, "SCHEMA_VERSION", 2)
    with pytest.raises(ArtifactError, match="version 2, got 'transcripts' version '1'"):
        artifacts.read(path, "transcripts")


@pytest.mark.parametrize("schema", sorted(artifacts.SCHEMAS))
def test_every_column_says_what_it_means(schema):
    for column in artifacts.SCHEMAS[schema]:
        assert column.metadata[b"meaning"], column.name


def test_work_directory_depends_on_settings_and_bytes(tmp_path):
    path = tmp_path / "in"
    path.write_text("1")
    first = artifacts.work_directory("kd", {"b": 1, "a": 2}, [path])
    assert first == artifacts.work_directory("kd", {"a": 2, "b": 1}, [str(path)])
    assert first != artifacts.work_directory("kd", {"a": 2, "b": 2}, [path])
    path.write_text("2")
    assert first != artifacts.work_directory("kd", {"b": 1, "a": 2}, [path])
    assert first.parts[:2] == ("work", "kd")


def test_json_is_sorted_and_readable(tmp_path):
    artifacts.write_json({"b": "ü", "a": 1}, tmp_path / "x.json")
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": 1,\n  "b": "ü"\n}\n'


LABEL = dict(utterance_id="ü1", captions=[], caption_group=None, emotion=None, intensity=None, valence=None)
LABELS = [
    {**LABEL, "arousal": None, "transcript": None},
    {**LABEL, "captions": ["Hört sich traurig an.", ""], "arousal": "low", "transcript": "你好 \0"},
]


def test_a_truncated_artifact_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "t.parquet"
    artifacts.write(LABELS, path, "labels", "prepare_corpus")
    whole = path.read_bytes()
    for size in {0, 1, 4, 12, len(whole) // 4, len(whole) // 2, len(whole) - 8, len(whole) - 1}:
        path.write_bytes(whole[:size])
        for read in (artifacts.read_rows, artifacts.read, artifacts.read_table, artifacts.read_notes):
            with pytest.raises(ArtifactError, match="delete it and run the same command again") as caught:
                read(path, "labels")
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_flipped_byte_never_gives_other_rows_or_notes(tmp_path):
    path = tmp_path / "t.parquet"
    artifacts.write(LABELS * 20, path, "labels", "prepare_corpus", {"corpus": "ü"})
    whole = path.read_bytes()
    for place in np.random.default_rng(0).choice(len(whole), 50, replace=False):
        changed = bytearray(whole)
        changed[place] ^= 0x41
        path.write_bytes(changed)
        with pytest.raises(ArtifactError, match="delete it and run the same command again") as caught:
            artifacts.read_rows(path, "labels")
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_artifact_without_a_digest_is_read_and_its_damage_is_one_line(tmp_path):
    """As artifacts were written before they had one."""
    path = tmp_path / "t.parquet"
    write(path)
    old = path.read_bytes().replace(b"aligncap.sha256", b"aligncap.sha-no")
    path.write_bytes(old)
    assert artifacts.read_rows(path, "transcripts") == [ROW]
    page = old.index(b"\x28\xb5\x2f\xfd")  # of zstd
    path.write_bytes(old[:page] + bytes(9) + old[page + 9 :])
    with pytest.raises(ArtifactError, match=r"damaged \(.*; delete it and run the same command again"):
        artifacts.read(path, "transcripts")


def test_text_that_no_artifact_can_hold_is_refused_in_one_line(tmp_path):
    with pytest.raises(ArtifactError, match="does not fit the schema 'transcripts'"):
        write(tmp_path / "t.parquet", transcript="a\udcffb")
    assert not list(tmp_path.iterdir())


def test_arrays_on_the_disk_are_those_that_were_given_and_read_only(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given = [
        np.arange(7, dtype=np.float16),
        np.zeros((0, 3), np.int32),
        np.arange(6, dtype=np.int32).reshape(2, 3).T,
        np.array(2.5, np.float32),
        np.arange(5, dtype=np.uint8),
    ]
    kept = artifacts.OnDisk(iter(given))
    for own, array in zip(kept, given, strict=True):
        assert own.dtype == array.dtype and not own.flags.writeable and own.flags.aligned
        np.testing.assert_array_equal(own, array)
    assert list(tmp_path.iterdir()) == []
    assert len(artifacts.OnDisk([])) == 0 and artifacts.OnDisk([np.zeros(0)])[0].shape == (0,)
    assert len(kept) == len(given)
    np.testing.assert_array_equal(kept[-1], given[-1])


def test_arrays_that_the_disk_does_not_take_are_told_in_one_line(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(StorageError, match=r"TMPDIR\): cannot be stored: the disk is full"):
        artifacts.OnDisk([np.zeros(3)])


def test_groups_of_rows_are_all_rows(tmp_path):
    whole = {"corpus": "a", "speaker_key": "a/s", "role": "align", "fold": 0}
    rows = [{**whole, "utterance_id": f"u{n}"} for n in range(2 * artifacts.GROUP + 5)]
    artifacts.write(rows, tmp_path / "plan.parquet", "plan", "test")
    tables = list(artifacts.read_groups(tmp_path / "plan.parquet", "plan"))
    assert [len(table) for table in tables] == [artifacts.GROUP, artifacts.GROUP, 5]
    assert [row for table in tables for row in table.to_pylist()] == rows


def test_the_columns_that_are_asked_for_are_read_of_the_rows_that_are(tmp_path):
    whole = {"corpus": "a", "speaker_key": "a/s", "role": "align", "fold": 0}
    rows = [{**whole, "utterance_id": f"u{n}"} for n in range(artifacts.GROUP + 5)]
    artifacts.write(rows, tmp_path / "plan.parquet", "plan", "test")
    last = artifacts.GROUP + 1
    of = {"u1", "u4", f"u{last - 1}", f"u{last}"}
    found = artifacts.stream_rows(tmp_path / "plan.parquet", "plan", range(3, last), of, ["utterance_id", "fold"])
    assert list(found) == [{"utterance_id": f"u{n}", "fold": 0} for n in (4, last - 1)]
    roles = artifacts.stream_rows(tmp_path / "plan.parquet", "plan", columns=["role"])
    assert list(roles) == [{"role": "align"}] * len(rows)
