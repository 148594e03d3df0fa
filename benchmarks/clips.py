"""What several benchmarks share: clips taken evenly from folders, and ways that take turns, with their table."""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def evenly(folder: Path, count: int) -> list[Path]:
    """Return so many files of a folder, at equal distances in the order of their names."""
    return spread([path for path in sorted(folder.iterdir()) if path.is_file()], count)


def spread(items: Sequence[Any], count: int | None) -> list[Any]:
    """Return so many of the items, from the first to the last at equal distances; all where there are no more."""
    if count is None or count >= len(items):
        return list(items)
    return [items[round(place * (len(items) - 1) / max(1, count - 1))] for place in range(count)]


def of_languages(folders: list[str], count: int) -> list[tuple[Path, str]]:
    """Return so many files of each ``FOLDER=LANGUAGE``, with the language."""
    named = [item.rsplit("=", 1) for item in folders]
    return [(path, language) for folder, language in named for path in evenly(Path(folder), count)]


def take_turns(
    ways: Mapping[str, Callable[[], Any]], rounds: int, warm: int = 1
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Call all ways in turn, ``warm`` times and then for so many rounds; return seconds, and the last results."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for number in range(warm + rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            found[name] = way()
            if number >= warm:
                spent[name].append(time.perf_counter() - begun)
    return spent, found


def parser_of_turns(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser for a script whose ways take turns, with the option that says how often."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    return parser


def speed_lines(spent: Mapping[str, Sequence[float]], each: int = 1) -> list[list[str]]:
    """Return a line for each way: name, median seconds for one of ``each``, and how many times as fast as the first."""
    base = next(iter(spent.values()))
    lines = []
    for name, seconds in spent.items():
        ratios = [one / other for one, other in zip(base, seconds, strict=True)]
        ratio = statistics.median(base) / statistics.median(seconds)
        took = f"{statistics.median(seconds) / each:.3f}"
        lines.append([name, took, f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"])
    return lines


def arithmetic(ways: Mapping[str, Callable[[], Any]], each: int = 1) -> str:
    """Return a sentence on the FLOPs of the matrix products that torch computes in one call of each way.

    Their ratio is how many times as fast the last way would be than the first, if both reached the same FLOP/s.
    """
    from torch.utils.flop_counter import FlopCounterMode  # few scripts need torch

    counted = []
    for way in ways.values():
        with FlopCounterMode(display=False) as counter:
            way()
        counted.append(counter.get_total_flops() / each / 1e9)
    told = ", ".join(f"{name} {number:.1f}" for name, number in zip(ways, counted, strict=True))
    return f"GFLOP of matrix products: {told}; the first has {counted[0] / counted[-1]:.2f} times as many as the last."
