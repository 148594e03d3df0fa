"""Every Parquet artifact of the pipeline: the only way to read and write it, and the columns that it has."""

from __future__ import annotations

from aligncap.artifacts.files import (
    CODE_VARIABLE,
    SCHEMA_VERSION,
    atomic_path,
    file_digest,
    read,
    read_notes,
    read_rows,
    read_table,
    work_directory,
    write,
    write_batches,
    write_json,
    write_text,
)
from aligncap.artifacts.schemas import SCHEMAS

__all__ = [
    "CODE_VARIABLE",
    "SCHEMAS",
    "SCHEMA_VERSION",
    "atomic_path",
    "file_digest",
    "read",
    "read_notes",
    "read_rows",
    "read_table",
    "work_directory",
    "write",
    "write_batches",
    "write_json",
    "write_text",
]
