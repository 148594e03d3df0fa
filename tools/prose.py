"""Figures of a run that stand in sentences, and in tables typed by hand: is each what its file in docs/measured has?

A figure is traced by a comment right behind it, which no page shows. It names the file, and the row by its cells:

    0.41<!-- measured/people/zero_shot_emosec.csv system=aligncap metric=emotion_agreement_macro -->

The figure is the row's `value`, or that of another column (`column=p_holm`), to as many decimals as it is quoted with;
brackets behind it are `ci_low` and `ci_high`, and with " %" it is a percentage. A sentence is never written anew, since
with another figure it may no longer be true: tools/measured.py names what differs and ends with 1.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

NUMBER = r"[+-]?\d+(?:\.\d+)?"
FIGURE = rf"(?P<number>{NUMBER})(?P<percent> %)?(?:\s+\[(?P<low>{NUMBER}),\s+(?P<high>{NUMBER})\])?"
MARK = r"<!-- (?P<file>measured/\S+\.csv)(?P<cells>(?: \w+=\S+)+) -->"
MARKED = re.compile(rf"(?:(?<![\w.,]){FIGURE}\**)?{MARK}")
# What counts as a figure of a run where nothing marks it: two decimals or more, with its interval.
LIKELY = re.compile(r"(?<![\w.])[+-]?\d+\.\d\d+(?:\s+\[[^\]]*\])?")
NO_FIGURES = re.compile(r"```.*?```|`[^`\n]*`|Python \d\.\d+|<!--.*?-->", re.S)


@dataclass
class Traced:
    """What a page's figures are: how many a mark traces, how many none does, and what is wrong with marks."""

    traced: int = 0
    untraced: int = 0
    problems: list[str] = field(default_factory=list)


def trace(text: str, name: str, docs: Path) -> Traced:
    """Compare the marked figures of a page with their files; tables that tools/measured.py writes are to be taken out.

    Args:
        text: The page.
        name: Its name, for messages.
        docs: Folder that holds ``measured/``.
    """
    found = Traced()
    for mark in MARKED.finditer(text):
        found.traced += 1
        where = f"{name}: line {text.count(chr(10), 0, mark.end()) + 1}"
        try:
            found.problems += [f"{where}: {problem}" for problem in _differing(mark, docs)]
        except (OSError, ValueError, KeyError) as error:
            found.problems.append(f"{where}: {mark['file']}{mark['cells']}: {error}")
    found.untraced = len(LIKELY.findall(NO_FIGURES.sub("", MARKED.sub("", text))))
    return found


def _differing(mark: re.Match[str], docs: Path) -> Iterator[str]:
    """Yield what is quoted and not in the file."""
    if mark["number"] is None:
        raise ValueError("no figure stands right before it; put the comment behind the figure, without a space")
    row, column = _row(mark, docs)
    scale = 100 if mark["percent"] else 1
    for part, own in (("number", column), ("low", "ci_low"), ("high", "ci_high")):
        if (quoted := mark[part]) is None:
            continue
        decimals = len(quoted.partition(".")[2])
        measured = f"{scale * float(row[own]):{'+' if quoted[0] == '+' else ''}.{decimals}f}"
        if measured != quoted:
            yield f"{quoted} stands there, {own} of {mark['file']}{mark['cells']} is {measured}; correct the sentence"


def _row(mark: re.Match[str], docs: Path) -> tuple[dict[str, str], str]:
    """Return the one row that a mark names, and the column of its figure."""
    cells = dict(cell.split("=", 1) for cell in mark["cells"].split())
    column = cells.pop("column", "value")
    with (docs / mark["file"]).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if unknown := {*cells, column} - set(rows[0] if rows else ()):
        raise ValueError(f"no column {', '.join(sorted(unknown))}; it has {', '.join(rows[0] if rows else ())}")
    fitting = [row for row in rows if all(row[name] == value for name, value in cells.items())]
    if len(fitting) != 1:
        raise ValueError(f"{len(fitting)} rows have these cells, one is needed")
    return fitting[0], column
