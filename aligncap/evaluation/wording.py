"""Text of a figure and its interval, as it stands in one cell of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def bounds(figure: Mapping[str, Any], digits: int = 2, sign: str = "") -> str:
    """Return the interval of a figure, such as ``[0.38, 0.49]``; empty where it has none.

    Args:
        figure: Mapping with ``ci_low`` and ``ci_high``, each None where it is undefined.
        digits: Number of decimals of both bounds.
        sign: ``+`` for a difference, whose bounds both show their sign.
    """
    if figure["ci_low"] is None:
        return ""
    return f"[{figure['ci_low']:{sign}.{digits}f}, {figure['ci_high']:{sign}.{digits}f}]"


def difference_cells(figure: Mapping[str, Any]) -> list[str]:
    """Return value, interval, p, and p by Holm's correction: ``+0.034``, ``[+0.003, +0.067]``, ``0.041``, ``1.000``."""
    return [
        f"{figure['value']:+.3f}",
        bounds(figure, 3, "+"),
        f"{figure['p']:.3f}",
        f"{figure['p_holm']:.3f}",
    ]


def worded(figure: Mapping[str, Any] | None, digits: int = 2, absent: str = "–") -> str:
    """Return a value and its interval where it has one, such as ``0.43 [0.38, 0.49]``.

    Args:
        figure: Mapping with ``value``, ``ci_low``, ``ci_high``, each None where undefined; or None for no figure.
        digits: Number of decimals of the value; the interval has two.
        absent: Text in place of a missing value.
    """
    if figure is None or figure["value"] is None:
        return absent
    return f"{figure['value']:.{digits}f} {bounds(figure)}".rstrip()


def markdown_table(alignment: str, head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table and an empty line; ``alignment`` has a letter a column, ``l`` or ``r``."""
    rule = "".join({"l": "---|", "r": "---:|"}[letter] for letter in alignment)
    return [f"| {' | '.join(head)} |", f"|{rule}", *(f"| {' | '.join(cells)} |" for cells in body), ""]
