"""Systems: what each row of a table is, with what it inherits, and which artifacts it shares with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from aligncap.config.sections import OVERRIDABLE, OVERRIDABLE_PREFERENCE, AlignCapConfig, System
from aligncap.config.validation import explain, merge
from aligncap.errors import ConfigError


def lineage(config: AlignCapConfig, name: str) -> System:
    """A system with ``extends`` followed to its end: stage, parent, captions and overrides merged."""
    seen = [name]
    system = config.systems[name]
    while system.extends is not None:
        if system.extends not in config.systems or system.extends in seen:
            raise ConfigError(f"systems.{seen[-1]}.extends: no such system (or a circle): '{system.extends}'")
        base = config.systems[system.extends]
        seen.append(system.extends)
        system = System(
            stage=system.stage or base.stage,
            extends=base.extends,
            parent=system.parent or base.parent,
            captions={**base.captions, **system.captions},
            overrides=merge(base.overrides, system.overrides),
        )
    return system


def ancestry(config: AlignCapConfig, name: str) -> list[str]:
    """Parents of a preference system, the nearest first: rounds of preference, then the aligned system.

    Raises:
        ConfigError: a parent that is missing, of another stage, or its own ancestor.
    """
    found: list[str] = []
    child, system = name, lineage(config, name)
    while system.stage == "preference":
        parent = system.parent or ""
        if parent not in config.systems or lineage(config, parent).stage not in ("alignment", "preference"):
            raise ConfigError(
                f"systems.{child}.parent: must name a system of stage 'alignment' or 'preference', "
                f"got {system.parent!r}"
            )
        if parent == name or parent in found:
            raise ConfigError(f"systems.{child}.parent: a circle: '{parent}' descends from '{name}'")
        found.append(parent)
        child, system = parent, lineage(config, parent)
    return found


def resolve_system(config: AlignCapConfig, name: str) -> AlignCapConfig:
    """The effective configuration of one system: its overrides, and those of all its parents, applied.

    Raises:
        ConfigError: the system has no stage, an unknown parent, an override that is not allowed, or an invalid value.
    """
    if name not in config.systems:
        raise ConfigError(f"systems: no '{name}'; there are {', '.join(config.systems)}")
    system = lineage(config, name)
    if system.stage is None:
        raise ConfigError(f"systems.{name}.stage: missing; give a stage or extend a system that has one")
    overrides: dict[str, Any] = {}
    if system.stage == "preference":
        for ancestor in reversed(ancestry(config, name)):
            overrides = merge(overrides, lineage(config, ancestor).overrides)
    elif system.parent is not None:
        raise ConfigError(f"systems.{name}.parent: only a system of stage 'preference' has one, got {system.parent!r}")
    if (system.stage == "external") != bool(system.captions):
        raise ConfigError(f"systems.{name}.captions: given exactly when stage is 'external'")
    for corpus in system.captions:
        if corpus not in config.corpus_names("test"):
            raise ConfigError(f"systems.{name}.captions: '{corpus}' is not a test corpus of this config")
    overrides = merge(overrides, system.overrides)
    allowed = OVERRIDABLE_PREFERENCE if system.stage == "preference" else OVERRIDABLE
    for section in system.overrides:
        if section not in allowed:
            raise ConfigError(
                f"systems.{name}.overrides.{section}: fixed for this system; "
                f"one of stage '{system.stage}' may override {', '.join(allowed)}"
            )
    if {"adapt", "adaptation"} & set(overrides.get("teacher", {})):
        raise ConfigError(f"systems.{name}.overrides.teacher: every system starts from the same adapted LLM_0")
    try:
        return AlignCapConfig.model_validate(merge(config.model_dump(), overrides))
    except ValidationError as error:
        raise ConfigError(f"systems.{name}.overrides: {explain(error, AlignCapConfig)}") from error


def _effective(settings: AlignCapConfig, sections: Sequence[str]) -> list[Any]:
    dumped = settings.model_dump()
    picked = []
    for section in sections:
        value: Any = dumped
        for part in section.split("."):
            value = value[part]
        picked.append(value)
    return picked


def variant(config: AlignCapConfig, name: str, sections: Sequence[str]) -> str:
    """Name of the artifact that system ``name`` shares with all whose effective ``sections`` are equal.

    ``base`` where they equal the experiment's own, else the first such system. A dotted section is a part of one.
    """
    wanted = _effective(resolve_system(config, name), sections)
    if wanted == _effective(config, sections):
        return "base"
    return next(other for other in config.systems if _effective(resolve_system(config, other), sections) == wanted)


PAIR_SECTIONS = ("preference.candidates", "preference.judge", "preference.pairs")


def pairs_name(config: AlignCapConfig, name: str) -> str:
    """Name of the judge scores, pairs and reference log-probs that a preference system trains on."""
    return _name_below_parent(config, name, PAIR_SECTIONS)


def candidates_name(config: AlignCapConfig, name: str) -> str:
    """Name of the candidates that a preference system's pairs are made of."""
    return _name_below_parent(config, name, PAIR_SECTIONS[:1])


def _name_below_parent(config: AlignCapConfig, name: str, sections: Sequence[str]) -> str:
    """The parent where the settings are the experiment's own, else the first system that shares parent and settings.

    A parent that is a preference system itself gets a dash, because its own name may name what it was trained on.
    """
    parent = lineage(config, name).parent
    assert parent is not None  # resolve_system refuses a preference system without one
    wanted = _effective(resolve_system(config, name), sections)
    if wanted == _effective(config, sections):
        return f"{parent}-next" if lineage(config, parent).stage == "preference" else parent
    siblings = (other for other in config.systems if lineage(config, other).parent == parent)
    return next(other for other in siblings if _effective(resolve_system(config, other), sections) == wanted)
