"""Figure 2: alignment methods side by side with intervals, from the numbers of table 3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aligncap import artifacts
from aligncap.evaluation.figures import drawing
from aligncap.evaluation.tables.columns import COLUMNS, by_corpus

RULE = "figure_methods"
SHOWN = ("emotion_agreement_macro", "factuality_hallucination_covered", "faithfulness_hallucination")


class MethodsFiles(NamedTuple):
    """The pictures of figure 2, and the rows that are drawn."""

    svg: Path
    png: Path
    parquet: Path


def draw_methods(table: Path, tests: Path, outs: MethodsFiles) -> None:
    """Draw figure 2: macro agreement and hallucination rates of every row of table 3, one line of panels per corpus.

    Factuality is that of captions that assert an emotion, tested where both do, because a caption without an emotion is
    wrong about none. A filled point differs from the baseline: p < 0.05 after Holm's correction in table 3.

    Args:
        table: ``table`` artifact of table 3.
        tests: ``differences`` of table 3.
        outs: Pictures and their data.
    """
    notes = artifacts.read_notes(table, "table")
    rows = [row for row in artifacts.read_rows(table, "table") if row["metric"] in SHOWN]
    differs = {
        (d["corpus"], d["system"], d["metric"]) for d in artifacts.read_rows(tests, "differences") if d["p_holm"] < 0.05
    }
    artifacts.write(rows, outs.parquet, "table", RULE, notes)
    with drawing.styled():
        drawing.save(_draw(by_corpus(rows), differs, notes["against"]), outs.svg, outs.png)


def _draw(corpora: Mapping[str, Mapping[str, Any]], differs: set[tuple[str, str, str]], against: str) -> Any:
    from matplotlib.lines import Line2D

    heights = [0.75 + 0.3 * len(systems) for systems in corpora.values()]
    figure = drawing.new_figure(10.5, sum(heights) + 0.35)
    grid = figure.subplots(len(corpora), len(SHOWN), squeeze=False, height_ratios=heights)
    for axes, (corpus, systems) in zip(grid, corpora.items(), strict=True):
        for number, (axis, metric) in enumerate(zip(axes, SHOWN, strict=True)):
            _panel(axis, corpus, systems, metric, differs, against)
            drawing.name_lines(axis, list(systems), number == 0)
        if len(corpora) > 1:
            axes[0].set_ylabel(corpus)
    handles = [
        Line2D([], [], marker="D", color=drawing.INK, linestyle="none", label=f"baseline: {against}"),
        Line2D([], [], marker="o", color=drawing.BLUE, linestyle="none", label="differs from it, p < 0.05 (Holm)"),
        Line2D([], [], marker="o", color=drawing.BLUE, linestyle="none", fillstyle="none", label="does not"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8.5)
    return figure


def _panel(
    axis: Any,
    corpus: str,
    systems: Mapping[str, Mapping[str, Any]],
    metric: str,
    differs: set[tuple[str, str, str]],
    against: str,
) -> None:
    for line, (system, own) in enumerate(systems.items()):
        if metric not in own:
            continue
        if system == against:
            axis.axvline(own[metric]["value"], color=drawing.PALE, linewidth=1.2, zorder=0)
            drawing.interval_line(axis, own[metric], line, drawing.INK, "D")
        else:
            full = "full" if (corpus, system, metric) in differs else "none"
            drawing.interval_line(axis, own[metric], line, drawing.BLUE, "o", fillstyle=full)
    axis.set_title(COLUMNS[metric].title)
