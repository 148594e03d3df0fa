"""The Parquet artifacts of the pipeline: their columns, and the only functions that read and write them."""

from __future__ import annotations

from aligncap.artifacts.files import (
    CODE_VARIABLE,
    GROUP,
    SCHEMA_VERSION,
    count_rows,
    faults,
    file_digest,
    read,
    read_groups,
    read_notes,
    read_rows,
    read_table,
    stream_rows,
    verify,
    work_directory,
    write,
    write_rows,
)
from aligncap.artifacts.mapped import OnDisk
from aligncap.artifacts.schemas import SCHEMAS
from aligncap.artifacts.shards import BLOCK, WHOLE, Shard, gather, of_like_length
from aligncap.storage import atomic_path, write_json, write_text

__all__ = [
    "BLOCK",
    "CODE_VARIABLE",
    "GROUP",
    "OnDisk",
    "SCHEMAS",
    "SCHEMA_VERSION",
    "Shard",
    "WHOLE",
    "atomic_path",
    "count_rows",
    "faults",
    "file_digest",
    "gather",
    "of_like_length",
    "read",
    "read_groups",
    "read_notes",
    "read_rows",
    "read_table",
    "stream_rows",
    "verify",
    "work_directory",
    "write",
    "write_json",
    "write_rows",
    "write_text",
]
