"""The figure of oracle tags: what systems gain over each other as the accuracy of the emotion tag rises."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aligncap.evaluation.figures import drawing
from aligncap.evaluation.oracle_tags import AGREEMENT, HALLUCINATION, LEVELS, TAG

TITLES = {AGREEMENT: "agreement (macro)", HALLUCINATION: "factuality hallucination"}
SERIES = ((drawing.BLUE, "o"), (drawing.ORANGE, "s"), (drawing.GREEN, "^"), (drawing.RED, "D"))
SAME_CLIPS = {AGREEMENT: "all clips", HALLUCINATION: "clips where all systems name an emotion"}
BOTH = {AGREEMENT: "all clips", HALLUCINATION: "clips where both name an emotion"}


def draw_tag_accuracy(
    rows: Sequence[Mapping[str, Any]], systems: Sequence[str], tagger: float, svg: Path, png: Path
) -> None:
    """Draw both metrics of the systems, and below the difference of each system from the one before it.

    Args:
        rows: Rows of ``oracle_tags.curves``.
        systems: Systems in the order of comparison.
        tagger: Macro recall of the run's own tags, drawn as a vertical line.
        svg: Picture to write.
        png: The same as PNG.
    """
    pairs = [f"{system} - {against}" for against, system in zip(systems, systems[1:], strict=False)]
    with drawing.styled():
        figure = drawing.new_figure(9.0, 6.4)
        for row, (names, about) in enumerate(((systems, SAME_CLIPS), (pairs, BOTH))):
            for column, metric in enumerate(TITLES):
                axis = figure.add_subplot(2, 2, 2 * row + column + 1)
                # a difference has the colour of the system that gains or loses by it
                for name, (colour, marker) in zip(
                    names, itertools.islice(itertools.cycle(SERIES), row, None), strict=False
                ):
                    _band(
                        axis, [own for own in rows if (own["system"], own["metric"]) == (name, metric)], colour, marker
                    )
                if row == 0 and metric == AGREEMENT:
                    own = [own for own in rows if own["system"] == TAG]
                    points = [[point[key] for point in own] for key in ("tag_accuracy", "value")]
                    axis.plot(*points, ":", color=drawing.GREY, label=TAG)
                if row == 1:
                    axis.axhline(0, color=drawing.INK, linewidth=0.8)
                axis.axvline(tagger, color=drawing.GREY, linewidth=0.8, linestyle="--")
                difference = "difference in " if row else ""
                axis.set_title(f"{difference}{TITLES[metric]}\n{about[metric]}")
                axis.set_xticks(LEVELS)
                axis.grid(axis="y")
                axis.set_xlabel("accuracy of the emotion tag" if row else "")
                if column == 0:
                    axis.legend(loc="best", fontsize=8.5)
        told = f"dashed: macro recall of the run's own tags, {tagger:.2f}; bands: 95 % bootstrap of each point alone"
        figure.supxlabel(told, fontsize=8.5, color=drawing.GREY)
        drawing.save(figure, svg, png)


def _band(axis: Any, points: Sequence[Mapping[str, Any]], colour: str, marker: str) -> None:
    points = [point for point in points if point["ci_low"] is not None]
    if not points:
        return
    at, value, low, high = ([p[key] for p in points] for key in ("tag_accuracy", "value", "ci_low", "ci_high"))
    axis.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(at, value, marker=marker, color=colour, linewidth=1.4, markersize=5, label=points[0]["system"])
