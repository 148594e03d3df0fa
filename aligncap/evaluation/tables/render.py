"""Rendering of tables as CSV, Markdown, LaTeX and terminal text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from aligncap import artifacts
from aligncap.evaluation.bootstrap import PRIMARY
from aligncap.evaluation.tables.columns import (
    COLUMNS,
    TITLES,
    ZERO_SHOT,
    best_value,
    by_corpus,
    footnotes,
    heading,
    interval_text,
    mark_of,
    present_columns,
    value_text,
)
from aligncap.evaluation.tables.seeds import Difference
from aligncap.evaluation.wording import difference_cells, markdown_table

TEST_HEADINGS = ("system - baseline", "metric", "difference", "interval", "p", "p (Holm)", "seeds")
TESTED = (
    "Differences on the same utterances and seeds: 95 % paired bootstrap, two-sided p from the same resamples, and p "
    "after Holm's correction (two families a baseline: agreement (macro) and factuality, the primary ones; the rest). "
    "With R resamples no p is below 2/(R + 1)."
)


class TableForms(NamedTuple):
    """The four files of a table.

    Attributes:
        parquet: Its artifact; the notes hold marks, reasons for absent metrics, and seeds where the table has them.
        csv: The same rows as CSV.
        md: One table per corpus to read, with notes.
        tex: The same tables for a paper (booktabs).
    """

    parquet: Path
    csv: Path
    md: Path
    tex: Path


def as_csv(rows: Sequence[Mapping[str, Any]], schema: str) -> str:
    """Return rows of an artifact as CSV, with the columns of its schema."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, artifacts.SCHEMAS[schema].names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_rows(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return differences as rows of the ``differences`` artifact."""
    return [asdict(difference) for difference in differences]


def _cell(figure: Mapping[str, Any] | None, metric: str) -> str:
    return f"{value_text(figure)} {interval_text(figure, metric)}".strip()


def render_markdown(
    rows: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any],
    differences: Sequence[Difference] = (),
    title: str = TITLES["table1"],
    wanted: Sequence[str] = ZERO_SHOT,
) -> str:
    """Return the table as Markdown, with one section per corpus."""
    lines = [f"# {title}", ""]
    for corpus, systems in by_corpus(rows).items():
        columns = present_columns(systems, wanted)
        place = f"{corpus} ({notes['marks'][corpus]})" if corpus in notes["marks"] else corpus
        head = ("system", "mark", "n", *(heading(metric, notes) for metric in columns))
        body = (
            [
                f"`{system}`",
                mark_of(notes, system),
                str(max(row["n"] for row in figures.values())),
                *(_cell(figures.get(metric), metric) for metric in columns),
            ]
            for system, figures in systems.items()
        )
        lines += [f"## {place}", "", *markdown_table("llr" + "r" * len(columns), head, body)]
        lines += [*(f"- {note}" for note in footnotes(notes, corpus, list(systems), columns)), ""]
        if own := [_difference_cells(d) for d in differences if d.corpus == corpus]:
            lines += [TESTED, "", *markdown_table("llrlrrr", TEST_HEADINGS, own)]
    lines.append("Brackets: 95 % bootstrap, stratified by label, clustered by caption or session.")
    return "\n".join(lines) + "\n"


def _difference_cells(d: Difference) -> list[str]:
    return [f"`{d.system}` - `{d.against}`", COLUMNS[d.metric].heading, *difference_cells(asdict(d)), str(d.seeds)]


def escape_latex(text: str) -> str:
    """Escape plain text for LaTeX."""
    for plain, tex in (
        ("_", r"\_"),
        ("%", r"\%"),
        ("&", r"\&"),
        ("†", r"$^\dagger$"),
        ("↑", r"$\uparrow$"),
        ("\u00a0", "~"),
    ):
        text = text.replace(plain, tex)
    return text.replace("↓", r"$\downarrow$").replace("–", "--")


def latex_table(caption: str, alignment: str, headings: Sequence[str], body: Sequence[str]) -> str:
    """Return one ``table*`` with booktabs.

    Args:
        caption: Plain text without its full stop.
        alignment: Alignment of the columns, such as ``lrr``.
        headings: Headings of the columns in plain text.
        body: Rows in LaTeX.
    """
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{escape_latex(caption)}.}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(map(escape_latex, headings)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def _latex_cell(figure: Mapping[str, Any] | None, metric: str, starred: bool) -> str:
    interval = interval_text(figure, metric)
    text = value_text(figure).replace("–", "--") + ("$^{*}$" if starred else "")
    return text + (rf" {{\scriptsize {interval}}}" if interval else "")


def render_latex(
    rows: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any],
    differences: Sequence[Difference] = (),
    title: str = "Zero-shot captioning",
    wanted: Sequence[str] = ZERO_SHOT,
) -> str:
    """Return the table as LaTeX with booktabs, one ``table*`` per corpus.

    A star marks a difference from the baseline with p < 0.05 after Holm's correction.
    """
    starred = {(d.corpus, d.system, d.metric) for d in differences if d.p_holm < 0.05}
    baselines = ", ".join(dict.fromkeys(d.against for d in differences))
    blocks = []
    for corpus, systems in by_corpus(rows).items():
        columns = present_columns(systems, wanted)
        notes_here = footnotes(notes, corpus, list(systems), columns)
        if baselines:
            notes_here.append(f"*: differs from {baselines}, p < 0.05 after Holm's correction, paired bootstrap")
        remarks = "; ".join(notes_here)
        body = []
        for system, own in systems.items():
            mark = mark_of(notes, system)
            name = f"{system} ({mark})" if mark else system
            cells = [_latex_cell(own.get(m), m, (corpus, system, m) in starred) for m in columns]
            body.append(" & ".join([escape_latex(name), *cells]) + r" \\")
        headings = ["system", *(heading(metric, notes) for metric in columns)]
        blocks.append(latex_table(f"{title} on {corpus}. {remarks}", f"l{'r' * len(columns)}", headings, body))
    return "\n\n".join(blocks) + "\n"


def render_terminal(path: str | Path, width: int = 132) -> str:
    """Return the Parquet table as coloured text for a terminal ``width`` columns wide, one table per corpus.

    Primary metrics have their interval beside them; the Markdown table has all intervals.

    Raises:
        ArtifactError: The table does not exist.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows, notes = artifacts.read_rows(path, "table"), artifacts.read_notes(path, "table")
    console = Console(width=width, file=io.StringIO(), force_terminal=True)
    for corpus, systems in by_corpus(rows).items():
        columns = [metric for metric in present_columns(systems) if COLUMNS[metric].short]
        table = Table(title=f"zero-shot on {corpus}", title_style="bold", header_style="bold", padding=(0, 0, 0, 1))
        table.add_column("system", no_wrap=True)
        for metric in columns:
            table.add_column(COLUMNS[metric].short, justify="right")
        best = {metric: best_value(systems, metric) for metric in columns}
        for system, own in systems.items():
            cells = []
            for metric in columns:
                text = value_text(own.get(metric))
                if metric in own and own[metric]["value"] == best[metric]:
                    text = f"[bold green]{text}[/]"
                shown = interval_text(own.get(metric), metric) if metric in PRIMARY else ""
                cells.append(f"{text} {escape(shown)}" if shown else text)
            mark = mark_of(notes, system)
            table.add_row(system + (f" ({mark})" if mark else ""), *cells)
        console.print(table)
        for note in footnotes(notes, corpus, list(systems)):
            console.print(f"  {note}", style="dim", markup=False, highlight=False)
    return console.file.getvalue()  # type: ignore[attr-defined]
