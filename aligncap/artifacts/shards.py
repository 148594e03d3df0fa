"""Shards: a stage in several jobs, each of which makes a part, and the artifact that the parts make together (ours).

A shard is a run of neighbours in the order of the artifact, so its parts are written one after the other. Where several
items are computed together, and so rounding depends on neighbours, items are cut into blocks that do not depend on the
number of shards, and a shard has whole blocks. So the gathered artifact has the bytes of one that a single job makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from aligncap.artifacts.files import described, group_size, read_groups, write_tables
from aligncap.errors import ArtifactError

Item = TypeVar("Item")
BLOCK = 256  # utterances of which those of like length share a batch


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shards; ``number`` counts from 1."""

    number: int
    count: int

    @classmethod
    def named(cls, name: str) -> Shard:
        """Return the shard that the workflow calls ``name``, such as ``2-of-4``.

        Raises:
            ArtifactError: The name is no such name.
        """
        found = re.fullmatch(r"(\d+)-of-(\d+)", name)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ArtifactError(f"shard: expected a name like 2-of-4, got '{name}'")
        return cls(int(found[1]), int(found[2]))

    def of(self, items: int, together: int = 1) -> range:
        """Return the numbers of this shard's items; a shard may have none.

        Args:
            items: Number of all items.
            together: Length of a block, which no shard cuts in two.
        """
        blocks = -(-items // together)
        start, stop = (min(items, together * (blocks * n // self.count)) for n in (self.number - 1, self.number))
        return range(start, stop)


WHOLE = Shard(1, 1)


def of_like_length(items: Iterable[Item], length: Callable[[Item], int], size: int) -> list[list[Item]]:
    """Return the items of a block in batches of ``size`` items of like length, the last one possibly smaller."""
    order = sorted(items, key=length)
    return [order[start : start + size] for start in range(0, len(order), size)]


def gather(parts: Sequence[Path], out: Path) -> None:
    """Write the artifact that the parts of all shards make, holding a few groups of rows at a time.

    Args:
        parts: Artifacts of one schema, rule and notes, in the order of the shards.
        out: Artifact to write. It has the bytes of one that was written at once.

    Raises:
        ArtifactError: A part is missing or damaged, or the parts are not of the same rule, settings and inputs.
    """
    schema, told = described(parts[0])
    for part in parts[1:]:
        if described(part) != (schema, told):
            raise ArtifactError(f"{part}: another rule, or other settings, made it than {parts[0]}; delete both")
    tables = (table for part in parts for table in read_groups(part, schema))
    write_tables(regrouped(tables, group_size(schema)), out, schema, told)


def regrouped(tables: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Yield the rows of tables in tables of ``size`` rows, the last one possibly smaller."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(map(len, held)) >= size:
            joined = pa.concat_tables(held)
            yield joined.slice(0, size).combine_chunks()
            held = [joined.slice(size)]
    if sum(map(len, held)):
        yield pa.concat_tables(held).combine_chunks()
