"""The cells of a file of results, each under the names of its row and its column, and where two files differ.

Rows are compared by name and not by place: the order of rows is no figure.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from aligncap.errors import ArtifactError

Cells = dict[tuple[str, str], Any]  # (row, column) -> value
ABSENT = "absent"
EXACT = 1e-9  # of numbers in Parquet and CSV
FLOAT32 = 1e-5  # of means of cosines between float32 vectors, whose last digits depend on the processor
TEXT = "text"  # the column of a line that stands in no table


class Differing(NamedTuple):
    """A cell that differs: the file below the results, its row and column, what stands there and what was computed."""

    file: str
    row: str
    column: str
    stored: Any
    recomputed: Any


def read_cells(path: Path) -> Cells:
    """Return the cells of a ``.parquet`` (its notes too), ``.csv``, ``.md`` or ``.tex`` file.

    A row of Parquet or CSV is named by its utterance, else by its leading columns of text; a row of Markdown by its
    section and its leading columns that are aligned to the left. A line outside a table is a cell of its own.

    Raises:
        ArtifactError: The file cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            notes = json.loads((file.schema_arrow.metadata or {}).get(b"aligncap.notes", b"{}"))
            return _named(file.read().to_pylist()) | {("notes", column): value for column, value in _flat(notes)}
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise ArtifactError(
            f"{path}: cannot be read ({' '.join(str(error).split())}); run the pipeline again"
        ) from None
    if path.suffix == ".csv":
        return _named([{k: _number(v) for k, v in row.items()} for row in csv.DictReader(text.splitlines())])
    return _markdown(text) if path.suffix == ".md" else _lines(text.splitlines())


def to_the_digit(column: str) -> float:
    """Return the tolerance of float64 arithmetic, for every column."""
    return EXACT


def differing(
    file: str, stored: Cells, recomputed: Cells, tolerance: Callable[[str], float] = to_the_digit
) -> list[Differing]:
    """Return the cells that only one side has, or that differ by more than the column's tolerance where numbers."""
    found = []
    for key in dict.fromkeys([*stored, *recomputed]):
        one, other = stored.get(key, ABSENT), recomputed.get(key, ABSENT)
        if not _same(one, other, tolerance(key[1])):
            found.append(Differing(file, *key, one, other))
    return found


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= tolerance or one == other or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def _number(text: str) -> float | str | None:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _named(rows: Sequence[Mapping[str, Any]]) -> Cells:
    if not rows:
        return {}
    named = ["utterance_id"]
    if "utterance_id" not in rows[0]:
        named = list(takewhile(lambda column: all(isinstance(row[column], str) for row in rows), rows[0]))
    cells: Cells = {}
    for row, name in zip(rows, _distinct(" ".join(str(row[column]) for column in named) for row in rows), strict=True):
        values = {column: value for column, value in row.items() if column not in named}
        if "metric_names" in values:
            values["metric"] = dict(zip(values.pop("metric_names"), values.pop("metric_values"), strict=True))
        cells |= {(name, column): value for column, value in _flat(values)}
    return cells


def _distinct(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, the second of two equal ones with a number."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of nested mappings and lists."""
    if isinstance(value, Mapping | list):
        for key, own in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _flat(own, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _lines(lines: Iterable[str]) -> Cells:
    return {(line, TEXT): f"{count} times" for line, count in Counter(filter(None, lines)).items()}


def _markdown(text: str) -> Cells:
    lines, section, plain = text.splitlines(), "", []
    head: list[str] = []  # of the table at hand, and how many of its columns name the row
    named = 0
    rows: list[tuple[str, list[str], list[str]]] = []  # name, columns, values
    for number, line in enumerate(lines):
        if not line.startswith("|"):
            section = line.lstrip("# ") if line.startswith("#") else section
            plain.append(line)
            head = []
        elif not head:
            head = split_row(line)
            named = len(
                list(takewhile(lambda sign: not sign.endswith(":"), split_row("".join(lines[number + 1 : number + 2]))))
            )
        elif not set(line) <= set("|-: "):
            own = split_row(line)
            rows.append((" ".join([section, *own[:named]]), head[named:], own[named:]))
    cells = _lines(plain)
    for name, (_, columns, values) in zip(_distinct(name for name, _, _ in rows), rows, strict=True):
        cells |= {(name, column): value for column, value in zip_longest(_distinct(columns), values, fillvalue=ABSENT)}
    return cells


def split_row(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
