"""What several benchmarks share: clips taken evenly from folders, and ways that take turns."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def evenly(folder: Path, count: int) -> list[Path]:
    """Return so many files of a folder, at equal distances in the order of their names."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return files[:: max(1, len(files) // count)][:count]


def of_languages(folders: list[str], count: int) -> list[tuple[Path, str]]:
    """Return so many files of each ``FOLDER=LANGUAGE``, with the language."""
    named = [item.rsplit("=", 1) for item in folders]
    return [(path, language) for folder, language in named for path in evenly(Path(folder), count)]


def take_turns(ways: Mapping[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Call all ways in turn, once to warm up and then for so many rounds; return seconds, and the last results."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for number in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            found[name] = way()
            if number:
                spent[name].append(time.perf_counter() - begun)
    return spent, found
