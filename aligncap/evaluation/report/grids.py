"""Grids of cells for the tables of the page: texts, best values, rows set apart, and source files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.evaluation.report.inputs import APART, ReportInputs
from aligncap.evaluation.report.sources import Source, Sources
from aligncap.evaluation.tables.assertions import HEADINGS, by_kind
from aligncap.evaluation.tables.claims import CLAIM_HEADINGS, claims_in_words
from aligncap.evaluation.tables.columns import (
    COLUMNS,
    best_value,
    by_corpus,
    footnotes,
    heading,
    mark_of,
    present_columns,
    value_text,
)
from aligncap.evaluation.tables.render import TEST_HEADINGS
from aligncap.evaluation.tables.tag_reliance import METRICS as RELIANCE
from aligncap.evaluation.tables.tag_reliance import in_words
from aligncap.evaluation.wording import bounds, difference_cells
from aligncap.systems import plain_name

GOOD, BAD = "good", "bad"
VERDICT_TONES = {"holds": GOOD, "against": BAD}
RELIANCE_HEADINGS = ("system", *RELIANCE.values(), "captions")


@dataclass(frozen=True)
class Cell:
    """One cell of a grid.

    Attributes:
        text: Text of the cell.
        small: Interval below the text.
        best: Whether it is the best of its column.
        tone: Good, bad or empty; a cell with a tone is shown as a chip.
    """

    text: str
    small: str = ""
    best: bool = False
    tone: str = ""

    @property
    def is_number(self) -> bool:
        """Whether the text is a number, which links to its source file."""
        return re.match(r"[+-]?\d+(\.\d+)?($| \()", self.text) is not None


@dataclass(frozen=True)
class Line:
    """One row of a grid: heading, a mark below it, cells, and links to the evaluations of its utterances."""

    head: str
    cells: Sequence[Cell]
    mark: str = ""
    rows: Sequence[str] = ()


@dataclass(frozen=True)
class Grid:
    """One table. The rows ``apart`` are no competitors: they are placed below the others and are never best."""

    caption: str
    columns: Sequence[str]
    lines: Sequence[Line]
    source: Source
    notes: Sequence[str] = ()
    apart: Sequence[Line] = ()


def system_grids(
    name: str, path: Path, inputs: ReportInputs, sources: Sources, wanted: Sequence[str]
) -> dict[str, Grid]:
    """Return corpus -> grid of systems by metrics, from a ``table`` artifact.

    Args:
        name: Name of the table, in words.
        path: ``table`` artifact.
        inputs: Stages and evaluations of the systems.
        sources: Links to source files.
        wanted: Metrics shown, where a system has them.
    """
    rows, notes = artifacts.read_rows(path, "table"), artifacts.read_notes(path, "table")
    grids = {}
    for corpus, systems in by_corpus(rows).items():
        columns = present_columns(systems, wanted)
        apart = [s for s in systems if inputs.stages.get(s) in APART or "external" in mark_of(notes, s)]
        rivals = {system: own for system, own in systems.items() if system not in apart}
        best = {metric: best_value(rivals, metric) for metric in columns}
        lines = {
            system: Line(
                system,
                [_figure(own.get(m), best[m] if system in rivals else None) for m in columns],
                mark_of(notes, system),
                _utterances(inputs, sources, system, corpus),
            )
            for system, own in systems.items()
        }
        grids[corpus] = Grid(
            f"{name} on {corpus}",
            ["system", *(heading(metric, notes) for metric in columns)],
            [line for system, line in lines.items() if system in rivals],
            sources.of(path),
            footnotes(notes, corpus, list(systems), columns),
            [lines[system] for system in apart],
        )
    return grids


def _figure(figure: Mapping[str, Any] | None, best: float | None) -> Cell:
    """Return a cell with a value, and its interval where it has one."""
    if figure is None:
        return Cell("–")
    return Cell(value_text(figure), bounds(figure), best is not None and figure["value"] == best)


def _utterances(inputs: ReportInputs, sources: Sources, system: str, corpus: str) -> list[str]:
    """Return links to the evaluations behind a row: those of the system and of its further seeds."""
    own = [path for (name, c), path in inputs.evaluations.items() if c == corpus and plain_name(name) == system]
    return [sources.of(path).href for path in own]


def difference_grids(path: Path, sources: Sources) -> dict[str, Grid]:
    """Return corpus -> grid of paired differences from the baseline, from a ``differences`` artifact."""
    found: dict[str, list[Line]] = defaultdict(list)
    for row in artifacts.read_rows(path, "differences"):
        cells = [COLUMNS[row["metric"]].heading, *difference_cells(row), str(row["seeds"])]
        found[row["corpus"]].append(Line(f"{row['system']} - {row['against']}", [Cell(text) for text in cells]))
    return {
        corpus: Grid(f"Paired differences on {corpus}", TEST_HEADINGS, lines, sources.of(path))
        for corpus, lines in found.items()
    }


def claim_grids(path: Path | None, sources: Sources) -> dict[str, Grid]:
    """Return corpus -> grid of the claims; empty without a claims table."""
    if path is None:
        return {}
    return {
        corpus: Grid(
            f"Claims on {corpus}",
            CLAIM_HEADINGS,
            [
                Line(cells[0], [*map(Cell, cells[1:-1]), Cell(cells[-1], tone=VERDICT_TONES.get(cells[-1], "open"))])
                for cells in rows
            ],
            sources.of(path),
        )
        for corpus, rows in claims_in_words(artifacts.read_rows(path, "claims")).items()
    }


def assertion_grids(path: Path | None, sources: Sources) -> dict[str, Grid]:
    """Return corpus -> grid of the assertions of each kind and system, seeds pooled; empty without a file."""
    if path is None:
        return {}
    rows = [row for row in artifacts.read_rows(path, "assertions") if row["system"] == plain_name(row["system"])]
    found: dict[str, Grid] = {}
    for corpus, own in by_kind(rows).items():
        lines = [Line(kind, [Cell(system), *(Cell(*c) for c in cells)]) for kind, system, cells in own]
        found[corpus] = Grid(f"Assertions on {corpus}", ("kind", "system", *HEADINGS), lines, sources.of(path))
    return found


def reliance_grids(path: Path | None, sources: Sources) -> dict[str, Grid]:
    """Return corpus -> how often captions repeat the predicted emotion tag, seeds pooled; empty without a file."""
    if path is None:
        return {}
    found: dict[str, Grid] = {}
    for corpus, systems in by_corpus(artifacts.read_rows(path, "table")).items():
        lines = [Line(system, [Cell(*c) for c in in_words(own, digits=2)]) for system, own in systems.items()]
        found[corpus] = Grid(f"Captions and the emotion tag on {corpus}", RELIANCE_HEADINGS, lines, sources.of(path))
    return found
