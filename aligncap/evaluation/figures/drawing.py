"""Style and saving of the paper's figures, so that equal inputs give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.errors import ArtifactError

# Okabe and Ito's palette is distinguishable with any colour vision; every series also has its own marker.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, GREY, PALE = "#222222", "#6b6b6b", "#c8c8c8"
LEAST_WIDTH = 0.1  # of an axis of shares, lest a hundredth look like a gulf
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "x",
    "grid.color": PALE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "figure.facecolor": "white",
}


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure (size in inches) with automatic layout; draw and save it within ``styled``."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def styled() -> Any:
    """Return a context in which figures have the paper's style."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def save(figure: Any, svg: Path, png: Path) -> None:
    """Write SVG and PNG atomically, without clock, version or random ids."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": svg.name}):
        with artifacts.atomic_path(svg) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        with artifacts.atomic_path(png) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})


def inline(svg: Path) -> str:
    """Return a saved SVG for an HTML page: without prolog, as wide as the page, with unique ids.

    Raises:
        ArtifactError: The file is missing or is not an SVG.
    """
    try:
        return embedded(Path(svg).read_text(encoding="utf-8"), Path(svg).stem)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{svg}: not a readable SVG ({error}); delete it and run again") from error


def embedded(text: str, name: str) -> str:
    """Return SVG text for an HTML page; ``name`` prefixes its ids and must be unique on the page."""
    head, body = text[text.index("<svg") :].split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    own = re.sub(r"\W+", "-", name)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}-", body)
    return f"{head}>{body}"


def interval_line(axis: Any, row: Any, at: float, colour: str, marker: str, **more: Any) -> None:
    """Draw a point and its interval at height ``at``; ``row`` has value, ci_low, ci_high."""
    if row["ci_low"] is not None:
        axis.plot([row["ci_low"], row["ci_high"]], [at, at], color=colour, linewidth=2, alpha=0.45)
    axis.plot([row["value"]], [at], marker, color=colour, markersize=6, linestyle="none", **more)


def name_lines(axis: Any, names: Sequence[str], shown: bool) -> None:
    """Label one horizontal line per name, first on top, after drawing, with few ticks and no share below zero."""
    from matplotlib.ticker import MaxNLocator

    low, high = axis.get_xlim()
    spare = max(0.0, LEAST_WIDTH - (high - low))
    low = max(low - spare / 2, -0.01)
    axis.set_xlim(low, max(high, low + LEAST_WIDTH))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.set_yticks(range(len(names)), list(names) if shown else [""] * len(names))
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
