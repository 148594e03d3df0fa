"""Reading and validating the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from aligncap.config.sections import AlignCapConfig
from aligncap.config.seeds import expand_seeds
from aligncap.config.systems import resolve_system
from aligncap.config.validation import explain, merge
from aligncap.errors import ConfigError


def _without_dropped(raw: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(raw)
    for section in ("systems", "corpora"):
        if isinstance(kept.get(section), Mapping):
            kept[section] = {k: v for k, v in kept[section].items() if v is not None}
    return kept


def parse(raw: Mapping[str, Any]) -> AlignCapConfig:
    """Validate a merged mapping; ``systems.{name}.seeds`` become systems ``{name}@{seed}`` here.

    Raises:
        ConfigError: one line naming each key that is unknown, mistyped, out of bounds or contradictory.
    """
    try:
        config = AlignCapConfig.model_validate(_without_dropped(raw))
    except ValidationError as error:
        raise ConfigError(explain(error, AlignCapConfig)) from error
    config = expand_seeds(config)
    for name in config.systems:
        resolve_system(config, name)
    return config


def load(*paths: str | Path) -> AlignCapConfig:
    """Read one or more YAML files, each merged over the one before, and validate. Raises as ``parse``."""
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from error
        merged = merge(merged, raw or {})
    return parse(merged)


def json_schema() -> dict[str, Any]:
    """JSON schema of ``config.yaml``, for editors and for a reader."""
    return AlignCapConfig.model_json_schema()
