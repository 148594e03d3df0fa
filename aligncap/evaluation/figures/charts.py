"""Charts of the report as inline SVG without files, fonts or clock, in colours that are visible on white and black."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aligncap.evaluation.figures.drawing import embedded
from aligncap.evaluation.tables.columns import COLUMNS

GREY = "#8a8f98"
TRAIN, DEV = "#3b82c4", "#e08a1e"
BETTER = {1: "higher is better", -1: "lower is better", 0: ""}


def _svg(figure: Any, name: str) -> str:
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    head, body = embedded(stream.getvalue(), name).split(">", 1)
    return f"{head}>" + re.sub(r"(\.\d\d)\d+", r"\1", body)  # two decimals of a point; six would make half of the page


def _axes(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(GREY)
        axis.tick_params(colors=GREY, labelsize=8)
        axis.grid(axis="x", color=GREY, alpha=0.2, linewidth=0.5)
    return figure, axes


def interval_chart(corpus: str, systems: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> str:
    """Draw points with their intervals: one panel per metric, one line per system.

    Args:
        corpus: Name of the corpus, for the ids.
        systems: System -> metric -> row of the ``table`` artifact.
        metrics: Metrics shown, from ``tables.COLUMNS``.
    """
    figure, axes = _axes(1, len(metrics), 3.6, 0.7 + 0.24 * len(systems))
    for number, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        for line, own in enumerate(systems.values()):
            row = own.get(metric)
            if row is None:
                continue
            if row["ci_low"] is not None:
                axis.plot([row["ci_low"], row["ci_high"]], [line, line], color=TRAIN, linewidth=2, alpha=0.5)
            axis.plot([row["value"]], [line], "o", color=TRAIN, markersize=5)
        axis.set_yticks(range(len(systems)), list(systems) if number == 0 else [""] * len(systems))
        axis.set_ylim(len(systems) - 0.5, -0.5)
        name, better = COLUMNS[metric]
        axis.set_title(f"{name}\n{BETTER[better]}", fontsize=9, color=GREY)
    figure.tight_layout()
    return _svg(figure, f"intervals {corpus}")


def training_chart(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the training curves of one stage: one panel per metric, train as a line, dev as points."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    columns = min(4, len(metrics))
    figure, axes = _axes(math.ceil(len(metrics) / columns), columns, 2.7, 1.8)
    for axis in axes[len(metrics) :]:
        axis.set_visible(False)
    for axis, metric in zip(axes, metrics, strict=False):
        for split, colour, style in (("train", TRAIN, "-"), ("dev", DEV, "o-")):
            points = [(r["step"], r["value"]) for r in rows if r["metric"] == metric and r["split"] == split]
            points = [(step, value) for step, value in points if math.isfinite(value)]
            if points:
                axis.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.1, markersize=3.5)
        axis.set_title(metric, fontsize=9, color=GREY)
    figure.tight_layout()
    return _svg(figure, f"training {name}")
