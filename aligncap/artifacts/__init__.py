"""The Parquet artifacts of the pipeline: their columns, and the only functions that read and write them."""

from __future__ import annotations

from aligncap.artifacts.files import (
    CODE_VARIABLE,
    GROUP,
    SCHEMA_VERSION,
    faults,
    file_digest,
    read,
    read_groups,
    read_notes,
    read_rows,
    read_table,
    verify,
    work_directory,
    write,
    write_batches,
)
from aligncap.artifacts.mapped import on_disk
from aligncap.artifacts.schemas import SCHEMAS
from aligncap.storage import atomic_path, write_json, write_text

__all__ = [
    "CODE_VARIABLE",
    "GROUP",
    "SCHEMAS",
    "SCHEMA_VERSION",
    "atomic_path",
    "faults",
    "file_digest",
    "on_disk",
    "read",
    "read_groups",
    "read_notes",
    "read_rows",
    "read_table",
    "verify",
    "work_directory",
    "write",
    "write_batches",
    "write_json",
    "write_text",
]
