"""Where the base models lie: one folder for all experiments, with a manifest each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from aligncap.errors import ModelError

VARIABLE = "ALIGNCAP_MODELS"


def models_folder(given: Path | None, near: Path) -> Path:
    """The folder of the base models.

    Args:
        given: what the caller asked for; wins.
        near: a checkpoint, or the working directory: the folder ``models`` in it or above it is taken, unless the
            environment variable ``ALIGNCAP_MODELS`` names another.

    Raises:
        ModelError: there is none.
    """
    if given is not None:
        return given
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    start = near.resolve()
    for folder in [start, *start.parents, Path.cwd()]:
        if (folder / "models").is_dir():
            return folder / "models"
    raise ModelError(
        f"{near}: found no folder 'models' with the base models in it or above it; fetch them with 'make demo', pass "
        f"--models DIR (in Python models=…), or set {VARIABLE}"
    )


def manifests(models: Path) -> Iterator[tuple[Path, dict]]:
    """Each manifest below ``models`` and what it says, by name; unreadable ones are left out."""
    for path in sorted(models.glob("*/manifest.json")):
        try:
            yield path, json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
