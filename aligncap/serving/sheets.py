"""Captions as a flat CSV for spreadsheets: one column a tag, nothing that a spreadsheet takes for a formula.

A row of the table ``file_captions`` becomes cells and comes back as the same row. That holds for the clues of the
tagger, which has at most one tag of each kind; the emotion's intensity is the column ``intensity``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from aligncap.clues.tagger.heads import LABELS
from aligncap.vocabulary import Clue

TAGS = tuple(name for kind in LABELS for name in (kind, f"{kind}_probability"))
COLUMNS = (
    *("path", "caption", *TAGS),
    *("transcript", "duration_s", "finished", "familiarity", "warnings", "model"),
)
BETWEEN = "; "  # warnings in a cell
# What a spreadsheet may read as a formula. A cell that begins so gets an apostrophe, and so does one that has one, so
# that ``plain`` gives back what was there.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def guarded(text: str) -> str:
    """Return a text as a cell that no spreadsheet reads as a formula: with an apostrophe before = + - @ tab or CR."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain(cell: str) -> str:
    """Return the text of a cell that ``guarded`` made; every other cell is returned as it is."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def format_csv(rows: Iterable[Mapping[str, Any]], header: bool = True) -> str:
    """Format rows of ``file_captions`` as CSV; texts are quoted."""
    text = io.StringIO()
    # Texts are all quoted, because the csv module would leave a carriage return bare, which ends a row for a reader.
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    if header:
        text.write(",".join(COLUMNS) + "\n")
    for row in rows:
        cells = {**row, **_tags(row["clues"]), "warnings": BETWEEN.join(row["warnings"])}
        writer.writerow([guarded(cell) if isinstance(cell := cells[name], str) else cell for name in COLUMNS])
    return text.getvalue()


def _tags(clues: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    cells = dict.fromkeys(TAGS, "")
    for clue in clues:
        cells |= {clue["kind"]: clue["lemma"], f"{clue['kind']}_probability": clue["probability"]}
    return cells


def read_csv(stream: TextIO) -> list[dict[str, Any]]:
    """Read rows that ``format_csv`` wrote, also after a spreadsheet has saved them.

    Args:
        stream: Text opened with ``newline=""``.

    Raises:
        ValueError: It is another table, or a cell is no number; the message says which.
    """
    reader = csv.DictReader(stream)
    if reader.fieldnames is None or set(reader.fieldnames) != set(COLUMNS):
        raise ValueError(f"columns {', '.join(reader.fieldnames or ['none'])}")
    rows = []
    for cells in reader:
        if None in cells or None in cells.values():
            raise ValueError(f"line {reader.line_num}: not {len(COLUMNS)} cells")
        try:
            rows.append(_row({name: plain(cell) for name, cell in cells.items()}))
        except ValueError as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None
    return rows


def _row(cells: dict[str, str]) -> dict[str, Any]:
    intensity = cells["intensity"] or "normal"
    clues = [
        Clue(kind, tag, tag, intensity if kind == "emotion" else "normal", False, float(cells[f"{kind}_probability"]))
        for kind in LABELS
        if (tag := cells[kind])
    ]
    return {
        **{name: cells[name] for name in ("path", "caption", "transcript", "model")},
        **{name: float(cells[name]) for name in ("duration_s", "familiarity")},
        "clues": [clue.to_dict() for clue in clues],
        "finished": cells["finished"].lower() == "true",
        "warnings": cells["warnings"].split(BETWEEN) if cells["warnings"] else [],
    }
