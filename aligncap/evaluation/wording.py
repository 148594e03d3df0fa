"""How a figure and its interval are written in one cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def bounds(figure: Mapping[str, Any]) -> str:
    """``[0.38, 0.49]``: the interval of a figure with two digits; empty where it has none."""
    return "" if figure["ci_low"] is None else f"[{figure['ci_low']:.2f}, {figure['ci_high']:.2f}]"


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
