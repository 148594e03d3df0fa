"""Where the captioner that comes with the project lies, and the base models: one folder for all experiments."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.errors import ModelError

if TYPE_CHECKING:  # pydantic would cost `aligncap --help` a third of its time
    from aligncap.config import ModelSource

VARIABLE = "ALIGNCAP_MODELS"
PRETRAINED = Path(__file__).resolve().parents[2] / "pretrained"  # `make pretrained` writes it
logger = logging.getLogger(__name__)


def models_folder(given: Path | None, near: Path) -> Path:
    """Return the folder of the base models.

    Args:
        given: Folder that the caller asked for, which takes precedence.
        near: Checkpoint or working directory; the folder ``models`` in it or above it is used, unless the environment
            variable ``ALIGNCAP_MODELS`` names another. The pretrained captioner's lie beside it.

    Raises:
        ModelError: There is no such folder.
    """
    if given is not None:
        return given
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    start = near.resolve()
    if start == PRETRAINED:
        return PRETRAINED.parent / "models"
    for folder in [start, *start.parents, Path.cwd()]:
        if (folder / "models").is_dir():
            return folder / "models"
    raise ModelError(
        f"{near}: found no folder 'models' with the base models in it or above it; fetch them with 'make demo', pass "
        f"--models DIR (in Python models=…), or set {VARIABLE}"
    )


def base_model(models: Path, source: ModelSource) -> Path:
    """Return the folder of a base model below ``models``, where it is fetched at its first use.

    Raises:
        ModelError: It cannot be fetched, or its files are not those that it was fetched with.
    """
    from aligncap.models.sources import fetch_model, model_folder

    manifest = models / source.name / "manifest.json"
    if not manifest.is_file():
        logger.warning("fetching %s into %s, once", source.name, models)
        fetch_model(source, manifest)
    return model_folder(manifest)


def manifests(models: Path) -> Iterator[tuple[Path, dict]]:
    """Yield each manifest below ``models`` with its content, by name; unreadable ones are left out."""
    for path in sorted(models.glob("*/manifest.json")):
        try:
            yield path, json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
