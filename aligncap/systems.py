"""Systems: what each row of a table is, with what it inherits, its seeds, and which artifacts it shares with others.

Further seeds of a system: ``systems.kd.seeds: [1, 2]`` are the systems ``kd@1`` and ``kd@2``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from aligncap.config import OVERRIDABLE, OVERRIDABLE_PREFERENCE, AlignCapConfig, Judge, JudgeName, System, validated
from aligncap.errors import ConfigError

SEPARATOR = "@"
TRAINED = ("alignment", "preference")


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; a value of ``overlay`` wins, and ``null`` removes a key of a mapping of named entries."""
    merged = copy.deepcopy(dict(base))
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


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
    config = validated(AlignCapConfig, _without_dropped(raw))
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


def corpus_names(config: AlignCapConfig, role: str) -> list[str]:
    """Names of the corpora with this role, in the order of the config."""
    return [name for name, corpus in config.corpora.items() if corpus.role == role]


def judge_named(judge: Judge, name: JudgeName) -> Judge:
    """Another judge with the settings written here."""
    return judge.model_copy(update={"name": name})


def keys_of_judge(judge: Judge) -> set[str]:
    """The keys that this judge depends on: not the sections of the others."""
    return set(Judge.model_fields) - ({"local", "openai", "human"} - {judge.name})


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
        if corpus not in corpus_names(config, "test"):
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
    return validated(AlignCapConfig, merge(config.model_dump(), overrides), f"systems.{name}.overrides")


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


def plain_name(member: str) -> str:
    """The system that ``member`` is a seed of: ``kd`` of ``kd@1`` and of ``kd``."""
    return member.partition(SEPARATOR)[0]


def expand_seeds(config: AlignCapConfig) -> AlignCapConfig:
    """Add ``{name}@{seed}`` behind every system that asks for further seeds; an entry of that name in the file wins.

    ``{name}@{seed}`` extends ``{name}`` with that seed; one of stage preference continues ``{parent}@{seed}``.

    Raises:
        ConfigError: seeds of a system that is not trained, a seed given twice, or a parent that lacks the seed.
    """
    systems: dict[str, System] = {}
    for name, system in config.systems.items():
        systems[name] = system
        if not system.seeds:
            continue
        whole = lineage(config, name)
        if whole.stage not in TRAINED:
            raise ConfigError(f"systems.{name}.seeds: only a trained system has seeds, this one is '{whole.stage}'")
        first = whole.overrides.get("seed", config.seed)
        if len({first, *system.seeds}) != 1 + len(system.seeds):
            raise ConfigError(f"systems.{name}.seeds: {list(system.seeds)} beside its own seed {first} has one twice")
        for seed in system.seeds:
            parent = None
            if whole.stage == "preference":
                parent = f"{whole.parent}{SEPARATOR}{seed}"
                known = config.systems.get(whole.parent or "")
                if parent not in config.systems and (known is None or seed not in known.seeds):
                    raise ConfigError(
                        f"systems.{name}.seeds: {seed} continues '{parent}', which does not exist; "
                        f"add {seed} to systems.{whole.parent}.seeds"
                    )
            member = f"{name}{SEPARATOR}{seed}"
            added = System(extends=name, parent=parent, overrides={"seed": seed})
            systems[member] = config.systems.get(member, added)
    return config.model_copy(update={"systems": {**systems, **config.systems}})


def seed_members(config: AlignCapConfig) -> dict[str, dict[str, int]]:
    """Of every trained system by its plain name: its members, the system itself first, and the seed of each."""
    members: dict[str, dict[str, int]] = {}
    for name in config.systems:
        if lineage(config, name).stage in TRAINED:
            members.setdefault(plain_name(name), {})[name] = resolve_system(config, name).seed
    return members
