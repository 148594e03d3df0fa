"""Progress of long stages: a bar on a terminal, or a line for every tenth of the work in a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
logger = logging.getLogger(__name__)


def track(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items of ``iterable`` and show the progress on stderr.

    Args:
        iterable: Items of the work.
        description: Name of the work in two or three words.
        total: Number of items, where ``iterable`` has no length.
    """
    count = total if total is not None else len(iterable)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(iterable, description, total=count, console=Console(stderr=True), transient=True)
        return
    tenth = 0
    for number, item in enumerate(iterable, start=1):
        yield item
        if count and number * 10 // count > tenth:
            tenth = number * 10 // count
            logger.info("%s: %d of %d", description, number, count)


def batches(items: Sequence[Item], size: int, description: str) -> Iterator[Sequence[Item]]:
    """Yield ``items`` in batches of ``size``, the last one possibly smaller, and show the progress."""
    for start in track(range(0, len(items), size), description):
        yield items[start : start + size]
