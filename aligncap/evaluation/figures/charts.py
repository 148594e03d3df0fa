"""The training curves of the report as inline SVG without files, fonts or clock, visible on white and black."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aligncap.evaluation.figures.drawing import embedded

GREY = "#8a8f98"
TRAIN, DEV = "#3b82c4", "#e08a1e"
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlecolor": GREY,
    "axes.titlesize": 9,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "grid.color": GREY,
    "grid.alpha": 0.2,
    "grid.linewidth": 0.5,
    "xtick.color": GREY,
    "xtick.labelsize": 8,
    "ytick.color": GREY,
    "ytick.labelsize": 8,
    "svg.fonttype": "none",
}
DRAWN = re.compile(r' (?:d|x|y|points|transform)="[^"]*"')  # attributes that hold places


def training_chart(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the training curves of one stage: one panel per metric, train as a line, dev as points."""
    import matplotlib
    from matplotlib.figure import Figure

    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    across = min(4, len(metrics))
    down = math.ceil(len(metrics) / across)
    stream, title = io.StringIO(), f"training {name}"
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": title}):
        figure = Figure(figsize=(2.7 * across, 1.8 * down), layout="tight")
        for number, metric in enumerate(metrics, start=1):
            axis = figure.add_subplot(down, across, number)
            for split, colour, line in (("train", TRAIN, "-"), ("dev", DEV, "o-")):
                own = [(r["step"], r["value"]) for r in rows if (r["metric"], r["split"]) == (metric, split)]
                points = [(step, value) for step, value in own if math.isfinite(value)]
                if points:
                    axis.plot(*zip(*points, strict=True), line, color=colour, linewidth=1.1, markersize=3.5)
            axis.set_title(metric)
        figure.savefig(stream, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    head, body = embedded(stream.getvalue(), title).split(">", 1)
    # Two decimals of a point in what is drawn, and all of them in what is read; six would make half of the page.
    return f"{head}>" + DRAWN.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), body)
