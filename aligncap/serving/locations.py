"""Location of the base models: one folder for all experiments, with a manifest each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from aligncap.errors import ModelError

VARIABLE = "ALIGNCAP_MODELS"


def models_folder(given: Path | None, near: Path) -> Path:
    """Return the folder of the base models.

    Args:
        given: Folder that the caller asked for, which takes precedence.
        near: Checkpoint or working directory; the folder ``models`` in it or above it is used, unless the environment
            variable ``ALIGNCAP_MODELS`` names another.

    Raises:
        ModelError: There is no such folder.
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
    """Yield each manifest below ``models`` with its content, by name; unreadable ones are left out."""
    for path in sorted(models.glob("*/manifest.json")):
        try:
            yield path, json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
