"""Shards: which items each has, and that the gathered artifact is the one that a single job writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aligncap import artifacts
from aligncap.artifacts import Shard
from aligncap.errors import ArtifactError

COUNTS = (1, 2, 3, 7, 1000)
POOLS: list[pa.MemoryPool] = []  # a pool has to outlive all that it gave out


def rows_of(schema: str, count: int) -> Iterator[dict[str, Any]]:
    """Rows of growing and shrinking size, as a stage may write them."""
    generator = np.random.default_rng(0)
    for number in range(count):
        name, length = f"u{number:04d}", int(generator.integers(0, 9))
        if schema == "features":
            shape = {"n_layers": 2, "n_frames": length, "dim": 4}
            data = generator.normal(size=8 * length).astype(np.float16).tobytes()
            yield {"utterance_id": name, **shape, "dtype": "float16", "data": data}
        elif schema == "teacher_logits":
            top = generator.normal(size=(length, 3)).astype(np.float16).tolist()
            ids = generator.integers(0, 99, (length, 3)).tolist()
            tail = generator.normal(size=length).astype(np.float32).tolist()
            yield {
                "utterance_id": name,
                "response_id": f"{name}#0",
                "response_ids": list(range(length)),
                **{"topk_ids": ids, "topk_logprobs": top, "tail_logprob": tail, "temperature": 1.0},
            }
        else:
            score = None if number % 5 == 0 else 1.0 + length / 8
            scores = {"factuality": score, "faithfulness": score, "overall": score}
            yield {"candidate_id": name, "judge": "reference", **scores, "rationale": "why " * length}


def in_parts(folder: Path, schema: str, count: int, shards: int) -> list[Path]:
    rows, parts = list(rows_of(schema, count)), []
    for number in range(1, shards + 1):
        own = Shard(number, shards).of(count)
        parts.append(folder / f"{number}-of-{shards}.parquet")
        artifacts.write(rows[own.start : own.stop], parts[-1], schema, "test", {"about": "it"})
    return parts


@pytest.mark.parametrize(("items", "together"), [(0, 1), (1, 1), (5, 1), (700, 256), (256, 256), (9, 4)])
@pytest.mark.parametrize("shards", COUNTS)
def test_shards_have_every_item_once_in_order_and_whole_blocks(items: int, together: int, shards: int) -> None:
    own = [Shard(number, shards).of(items, together) for number in range(1, shards + 1)]
    assert [item for each in own for item in each] == list(range(items))
    assert all(each.start % together == 0 or not each for each in own)
    blocks = [-(-len(each) // together) for each in own]
    assert max(blocks) - min(blocks) <= 1, "nobody has much more to do than another"


@pytest.mark.parametrize("name", ["0-of-2", "3-of-2", "1-of-0", "1", "a-of-b", "-1-of-2", "1-of-2/x"])
def test_a_name_that_is_no_shard_is_refused(name: str) -> None:
    assert Shard.named("2-of-12") == Shard(2, 12)
    with pytest.raises(ArtifactError, match="expected a name like 2-of-4") as caught:
        Shard.named(name)
    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize("schema", ["features", "teacher_logits", "judge_scores"])
@pytest.mark.parametrize("count", [0, 1, 64, 700])
def test_what_is_gathered_has_the_bytes_of_one_that_was_written_at_once(
    tmp_path: Path, schema: str, count: int
) -> None:
    artifacts.write_rows(rows_of(schema, count), tmp_path / "whole.parquet", schema, "test", {"about": "it"})
    for shards in COUNTS[:-1] + (11 if count > 1 else 3,):
        artifacts.gather(in_parts(tmp_path, schema, count, shards), tmp_path / "gathered.parquet")
        assert (tmp_path / "gathered.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes(), shards
    groups = [pq.read_metadata(tmp_path / "gathered.parquet").row_group(0).num_rows]
    assert groups[0] <= (64 if schema == "features" else 256), "readers hold one group at a time"


def test_parts_of_other_settings_rules_or_schemas_are_not_put_together(tmp_path: Path) -> None:
    first, second = in_parts(tmp_path, "judge_scores", 4, 2)
    for rule, notes in (("test", {"about": "that"}), ("another", {"about": "it"})):
        artifacts.write([], second, "judge_scores", rule, notes)
        with pytest.raises(ArtifactError, match="2-of-2.parquet: another rule, or other settings, made it") as caught:
            artifacts.gather([first, second], tmp_path / "out.parquet")
        assert "1-of-2.parquet; delete both" in str(caught.value)
    assert not (tmp_path / "out.parquet").exists()


def test_a_missing_or_damaged_part_is_named_and_leaves_no_artifact(tmp_path: Path) -> None:
    first, second = in_parts(tmp_path, "features", 40, 2)
    whole = second.read_bytes()
    second.write_bytes(whole[:200] + b"x" + whole[201:])
    with pytest.raises(ArtifactError, match="2-of-2.parquet: damaged"):
        artifacts.gather([first, second], tmp_path / "out.parquet")
    second.write_bytes(whole[:-20])
    with pytest.raises(ArtifactError, match="2-of-2.parquet: not a Parquet file, or damaged"):
        artifacts.gather([first, second], tmp_path / "out.parquet")
    second.unlink()
    with pytest.raises(ArtifactError, match="2-of-2.parquet: no such artifact"):
        artifacts.gather([first, second], tmp_path / "out.parquet")
    pq.write_table(pa.table({"a": [1]}), second)
    with pytest.raises(ArtifactError, match="2-of-2.parquet: no artifact of this version"):
        artifacts.gather([first, second], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def most_held(work: Any) -> int:
    """The most bytes that Arrow held at once while ``work`` was done."""
    before = pa.default_memory_pool()
    POOLS.append(pa.proxy_memory_pool(before))
    pa.set_memory_pool(POOLS[-1])
    try:
        work()
    finally:
        pa.set_memory_pool(before)
    return int(POOLS[-1].max_memory())


def test_gathering_and_reading_hold_a_few_groups_and_not_the_table(tmp_path: Path) -> None:
    shape = {"n_layers": 1, "n_frames": 1, "dim": 10_000, "dtype": "float16"}
    noise = np.random.default_rng(0)
    rows = ({"utterance_id": f"u{n}", **shape, "data": noise.bytes(20_000)} for n in range(2560))
    whole = tmp_path / "whole.parquet"
    artifacts.write_rows(rows, whole, "features", "test")
    assert whole.stat().st_size > 50e6
    parts = []
    for number in (1, 2, 3):
        parts.append(tmp_path / f"{number}.parquet")
        own = Shard(number, 3).of(2560)

        def written(own: range = own, part: Path = parts[-1]) -> None:
            artifacts.write_rows(artifacts.stream_rows(whole, "features", own), part, "features", "test")

        assert most_held(written) < 12e6
    assert most_held(lambda: artifacts.gather(parts, tmp_path / "gathered.parquet")) < 12e6
    assert artifacts.file_digest(tmp_path / "gathered.parquet") == artifacts.file_digest(whole)
    few = {"u7", "u2000"}
    assert most_held(lambda: list(artifacts.stream_rows(whole, "features", of=few))) < 12e6


def test_rows_are_read_by_number_and_by_utterance(tmp_path: Path) -> None:
    path = tmp_path / "logits.parquet"
    rows = list(rows_of("teacher_logits", 600))
    artifacts.write(rows, path, "teacher_logits", "test")
    assert artifacts.count_rows(path, "teacher_logits") == 600
    names = [row["utterance_id"] for row in rows]

    def read(*of: Any) -> list[str]:
        return [row["utterance_id"] for row in artifacts.stream_rows(path, "teacher_logits", *of)]

    assert read() == names
    for start, stop in ((0, 0), (0, 1), (255, 257), (256, 512), (599, 600), (3, 600), (600, 600)):
        assert read(range(start, stop)) == names[start:stop]
    assert read(None, {"u0300", "u0000", "nobody"}) == ["u0000", "u0300"]
    assert read(range(100, 400), {"u0300", "u0000", "u0399", "u0400"}) == ["u0300", "u0399"]
    assert read(None, set()) == []
    (row,) = artifacts.stream_rows(path, "teacher_logits", of={"u0300"})
    assert row["topk_ids"] == rows[300]["topk_ids"] and row["tail_logprob"] == rows[300]["tail_logprob"]
