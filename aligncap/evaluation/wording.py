"""How a figure and its interval are written in one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def bounds(figure: Mapping[str, Any], digits: int = 2, sign: str = "") -> str:
    """``[0.38, 0.49]``: the interval of a figure; empty where it has none.

    Args:
        figure: ``ci_low``, ``ci_high``, each None where it is not defined.
        digits: of both bounds.
        sign: ``+`` for a difference: both bounds show theirs.
    """
    if figure["ci_low"] is None:
        return ""
    return f"[{figure['ci_low']:{sign}.{digits}f}, {figure['ci_high']:{sign}.{digits}f}]"


def difference_cells(figure: Mapping[str, Any]) -> list[str]:
    """``+0.034``, ``[+0.003, +0.067]``, ``0.041``, ``1.000``: value, interval, p, and p after Holm's correction."""
    return [
        f"{figure['value']:+.3f}",
        bounds(figure, 3, "+"),
        f"{figure['p']:.3f}",
        f"{figure['p_holm']:.3f}",
    ]


def worded(figure: Mapping[str, Any] | None, digits: int = 2, absent: str = "–") -> str:
    """``0.43 [0.38, 0.49]``: a value with so many digits, and its interval with two where it has one.

    Args:
        figure: ``value``, ``ci_low``, ``ci_high``, each None where it is not defined; None: no figure at all.
        digits: of the value.
        absent: what stands where there is no value.
    """
    if figure is None or figure["value"] is None:
        return absent
    return f"{figure['value']:.{digits}f} {bounds(figure)}".rstrip()


def table_lines(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, the first column to the left and the others to the right, and an empty line."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return [*lines, *(f"| {' | '.join(cells)} |" for cells in body), ""]
