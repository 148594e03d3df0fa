"""Reading and writing of artifacts: typed Parquet files whose columns ``schemas`` declares.

A schema is a ``pyarrow.schema`` whose fields carry ``unit`` and ``meaning`` metadata. ``write`` is atomic (temporary
file in the same folder, fsync, rename) and stamps the file with the schema's name, its version, the producing rule and
the SHA-256 of its bytes. ``read`` refuses a file of another schema or version, and one whose bytes have changed since.
No artifact holds a wall time, host name or absolute path, so equal inputs give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aligncap.artifacts.schemas import SCHEMAS
from aligncap.errors import ArtifactError
from aligncap.storage import atomic_path

SCHEMA_VERSION = 1
CODE_VARIABLE = "ALIGNCAP_CODE"  # digest of the code of the rule at work; `aligncap.job` sets it
# A digest of the whole file lies in its footer: page checksums, which Parquet has, leave out page headers and footer.
SEAL = "aligncap.sha256"
UNSEALED = "0" * 64  # stands in the digest's place while it is computed
BEFORE_SEAL = SEAL.encode() + b"\x18\x40"  # as Thrift writes a key and the length of its value
GROUP = 256  # rows that are written, and read, together
GROUPS = {"features": 64}  # where rows are large
AGAIN = "delete it and run the same command again"


def write(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]],
    path: str | Path,
    schema: str,
    rule: str,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write ``rows`` as an artifact of the schema ``schema``, produced by ``rule``.

    Args:
        rows: One mapping a row, or a data frame, with every column of the schema and no other. A data frame has NaN
            for null, so its NaN is written as null wherever the schema allows that.
        path: Target file.
        schema: Key of ``SCHEMAS``.
        rule: Workflow rule that makes this file, kept in the metadata.
        notes: JSON-able facts about the whole file, such as corpus figures or settings; read with ``read_notes``.

    Raises:
        ArtifactError: A column is missing, unknown or of another type, or a required value is null.
    """
    records: Any = _records(rows, SCHEMAS[schema]) if isinstance(rows, pd.DataFrame) else rows
    write_rows(records, path, schema, rule, notes)


def _records(frame: pd.DataFrame, declared: pa.Schema) -> list[dict[str, Any]]:
    kinds = {column.name: column for column in declared}
    return [
        {str(name): _plain(value, kinds[name]) if name in kinds else value for name, value in record.items()}
        for record in frame.to_dict("records")
    ]


def _plain(value: Any, column: pa.Field) -> Any:
    """Return a value of a data frame as ``read_rows`` has it: lists for arrays, and None for what is missing."""
    if isinstance(value, np.ndarray | list | tuple) and pa.types.is_list(column.type):
        return [_plain(one, column.type.value_field) for one in value]
    if isinstance(value, Mapping) and pa.types.is_struct(column.type):
        return {part.name: _plain(value.get(part.name), part) for part in column.type}
    missing = (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    )
    return None if missing and (column.nullable or not pa.types.is_floating(column.type)) else value


def write_rows(
    rows: Iterable[Mapping[str, Any]],
    path: str | Path,
    schema: str,
    rule: str,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write an artifact row by row, where its rows do not fit into memory. Arguments and errors as ``write``."""
    about = {"rule": rule, "notes": json.dumps(notes or {}, sort_keys=True)}

    def tables() -> Iterator[pa.Table]:
        left, written = iter(rows), 0
        while records := list(islice(left, group_size(schema))):
            yield _table(records, path, schema, written)
            written += len(records)

    write_tables(tables(), path, schema, about)


def group_size(schema: str) -> int:
    """Return how many rows of an artifact are written, and read, together."""
    return GROUPS.get(schema, GROUP)


def write_tables(tables: Iterable[pa.Table], path: str | Path, schema: str, about: Mapping[str, str]) -> None:
    """Write an artifact of tables with ``group_size`` rows each, but for the last.

    Args:
        tables: Rows that fit the schema.
        path: Target file.
        schema: Key of ``SCHEMAS``.
        about: The ``rule`` that makes the file, and its ``notes`` as JSON.

    Raises:
        ArtifactError: This version of pyarrow writes another kind of file.
    """
    told = {"schema": schema, "version": str(SCHEMA_VERSION), **about}
    stamped = SCHEMAS[schema].with_metadata({f"aligncap.{key}": value for key, value in told.items()})
    with atomic_path(path) as temporary:
        with pq.ParquetWriter(temporary, stamped, compression="zstd") as writer:
            written = 0
            for table in tables:
                writer.write_table(table.cast(stamped))
                written += len(table)
            if not written:
                writer.write_table(stamped.empty_table())
            writer.add_key_value_metadata({SEAL: UNSEALED})
        with _mapped(temporary, mmap.ACCESS_WRITE) as data:
            if (before := data.rfind(BEFORE_SEAL + UNSEALED.encode())) < 0:
                raise ArtifactError(f"{path}: this pyarrow writes footers otherwise; install that of requirements.lock")
            place = before + len(BEFORE_SEAL)
            data[place : place + len(UNSEALED)] = _digest(data, place).encode()


@contextlib.contextmanager
def _mapped(path: str | Path, access: int = mmap.ACCESS_READ) -> Iterator[mmap.mmap]:
    with open(path, "rb" if access == mmap.ACCESS_READ else "rb+") as stream:
        with mmap.mmap(stream.fileno(), 0, access=access) as data:
            yield data


def _digest(data: mmap.mmap, place: int) -> str:
    """Return the SHA-256 of a file, hexadecimal, in which ``UNSEALED`` stands at ``place`` instead of the digest."""
    with memoryview(data) as view:
        digest = hashlib.sha256(view[:place])
        digest.update(UNSEALED.encode())
        digest.update(view[place + len(UNSEALED) :])
    return digest.hexdigest()


def verify(path: str | Path) -> None:
    """Raise ``ArtifactError`` where bytes of an artifact have changed since it was written.

    One that was written before artifacts had a digest passes.
    """
    with faults(path), _mapped(path) as data:
        if (before := data.rfind(BEFORE_SEAL)) >= 0:
            place = before + len(BEFORE_SEAL)
            if data[place : place + len(UNSEALED)] != _digest(data, place).encode():
                raise ArtifactError(f"{path}: damaged, its SHA-256 is not the one that was written into it; {AGAIN}")


@contextlib.contextmanager
def faults(path: str | Path) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into an ``ArtifactError`` that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path}: not a Parquet file, or damaged ({reason}); {AGAIN}") from error


def _table(records: Sequence[Mapping[str, Any]], path: str | Path, schema: str, first: int) -> pa.Table:
    """Check rows against a schema and return them as a table; ``first`` is the first row's number, for messages."""
    declared = SCHEMAS[schema]
    for number, record in enumerate(records, start=first):
        if set(record) != set(declared.names):
            missing, unknown = set(declared.names) - set(record), set(record) - set(declared.names)
            raise ArtifactError(
                f"{path}: row {number}: missing columns {sorted(missing)}, unknown columns {sorted(unknown)}; "
                f"the schema '{schema}' of aligncap/artifacts/ declares {declared.names}"
            )
    try:
        table = pa.Table.from_pylist([dict(r) for r in records], schema=declared)
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise ArtifactError(f"{path}: a value does not fit the schema '{schema}': {error}") from error
    for column in declared:
        if not column.nullable and table.column(column.name).null_count:
            row = first + table.column(column.name).is_null().to_pylist().index(True)
            raise ArtifactError(f"{path}: row {row}: '{column.name}' is empty but the schema '{schema}' requires it")
    return table


def _open(path: str | Path, schema: str) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise ArtifactError(f"{path}: no such artifact; run the rule that makes it (schema '{schema}')")
    verify(path)
    with faults(path):
        opened = pq.ParquetFile(path)
        metadata = opened.schema_arrow.metadata or {}
        got = metadata.get(b"aligncap.schema", b"").decode(), metadata.get(b"aligncap.version", b"").decode()
    if got != (schema, str(SCHEMA_VERSION)):
        raise ArtifactError(
            f"{path}: expected schema '{schema}' version {SCHEMA_VERSION}, got '{got[0]}' version '{got[1]}'; "
            "delete it and run the pipeline again"
        )
    return opened


def read_rows(path: str | Path, schema: str) -> list[dict[str, Any]]:
    """Read an artifact as a list of plain dicts, in file order.

    Raises:
        ArtifactError: The file is missing, damaged or not Parquet, or has another schema or version.
    """
    return read_table(path, schema).to_pylist()


def read(path: str | Path, schema: str) -> pd.DataFrame:
    """Read an artifact as a data frame, in file order. Raises as ``read_rows``."""
    return read_table(path, schema).to_pandas()


def read_table(path: str | Path, schema: str) -> pa.Table:
    """Read an artifact as an Arrow table, in file order. Raises as ``read_rows``."""
    opened = _open(path, schema)
    with faults(path):
        return opened.read()


def read_groups(
    path: str | Path,
    schema: str,
    rows: range | None = None,
    of: Container[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Read an artifact that may be larger than the memory: yield tables of some rows each. Raises as ``read_rows``.

    Args:
        path: The file.
        schema: Key of ``SCHEMAS``.
        rows: Numbers of the rows that are read, a run of neighbours; None for all.
        of: Utterances whose rows are read; None for those of all.
        columns: Columns that are read; None for all.
    """
    opened = _open(path, schema)
    first = 0
    for number in range(opened.num_row_groups):
        length = opened.metadata.row_group(number).num_rows
        start, stop = (0, length) if rows is None else (max(0, rows.start - first), min(length, rows.stop - first))
        first += length
        wanted: Sequence[int] = range(start, stop)
        with faults(path):
            if of is not None and wanted:  # the other columns, which may be large, are read where there is need
                names = opened.read_row_group(number, columns=["utterance_id"]).column(0).to_pylist()
                wanted = [row for row in wanted if names[row] in of]
            if not wanted:
                continue
            table = opened.read_row_group(number, columns=columns)
            own = table if len(wanted) == length else table.take(list(wanted))
        yield own


def stream_rows(
    path: str | Path,
    schema: str,
    rows: range | None = None,
    of: Container[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Read an artifact row by row, in file order. Arguments and errors as ``read_groups``."""
    for table in read_groups(path, schema, rows, of, columns):
        yield from table.to_pylist()


def count_rows(path: str | Path, schema: str) -> int:
    """Return the number of an artifact's rows. Raises as ``read_rows``."""
    return int(_open(path, schema).metadata.num_rows)


def described(path: str | Path) -> tuple[str, dict[str, str]]:
    """Return an artifact's schema, and its rule and notes as ``write_tables`` takes them.

    Raises:
        ArtifactError: The file is missing, damaged or no artifact.
    """
    if not Path(path).is_file():
        raise ArtifactError(f"{path}: no such artifact; run the rule that makes it")
    with faults(path):
        metadata = pq.read_schema(path).metadata or {}
    told = {key: metadata.get(f"aligncap.{key}".encode(), b"").decode() for key in ("schema", "rule", "notes")}
    if told["schema"] not in SCHEMAS:
        raise ArtifactError(f"{path}: no artifact of this version, its schema is '{told['schema']}'; {AGAIN}")
    return told.pop("schema"), told


def read_notes(path: str | Path, schema: str) -> dict[str, Any]:
    """Read the ``notes`` about the whole file that ``write`` stored. Raises as ``read_rows``."""
    metadata = _open(path, schema).schema_arrow.metadata
    return json.loads(metadata[b"aligncap.notes"])


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def work_directory(rule: str, settings: Mapping[str, Any], inputs: Sequence[str | Path]) -> Path:
    """Return the folder of a rule's resume state: ``work/{rule}/{digest of settings, code and the inputs' bytes}``.

    The folder lies outside the rule's outputs, because Snakemake deletes those before a rerun. Other settings, edited
    code of the rule or other inputs give another folder, so the rule starts afresh.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(os.environ.get(CODE_VARIABLE, "").encode())
    for path in sorted(map(str, inputs)):
        digest.update(file_digest(path).encode())
    return Path("work") / rule / digest.hexdigest()[:16]
