"""Systems, the rows of the tables: inheritance between them, their seeds, and the artifacts that they share.

A system may have further seeds: ``systems.kd.seeds: [1, 2]`` adds the systems ``kd@1`` and ``kd@2``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aligncap.config import OVERRIDABLE, OVERRIDABLE_PREFERENCE, AlignCapConfig, Judge, JudgeName, System, validated
from aligncap.errors import ConfigError
from aligncap.reading import Layer, read_assignments, read_file, source_of

SEPARATOR = "@"
BASE = "base"  # what systems share whose settings are the experiment's
TRAINED = ("alignment", "preference")
# Sections that decide whether two systems share a warm start, cached teacher distributions, or a teacher's responses.
WARM_START_SECTIONS, TEACHER_SECTIONS = ("adapter", "warm_start", "seed"), ("prompts", "teacher")
RESPONSES_SECTIONS = ("prompts", "teacher.clues", "teacher.sampling")
# Keys of sections that a system may override, which no system has to itself: section -> keys, and why.
SHARED_BY_ALL = {
    "teacher": ({"adapt", "adaptation", "descriptions"}, "every system starts from the same adapted LLM_0"),
    "prompts": ({"max_semantic_tokens"}, "P_sem is cut once, for all systems"),
}


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


def parse(raw: Mapping[str, Any], layers: Sequence[Layer] = ()) -> AlignCapConfig:
    """Validate a merged mapping and add a system ``{name}@{seed}`` for each of ``systems.{name}.seeds``.

    Args:
        raw: The mapping.
        layers: What it was merged of; messages name the one that gives a key.

    Raises:
        ConfigError: A key is unknown, mistyped, out of bounds or contradictory; the message names each in one line.
    """
    config = validated(AlignCapConfig, _without_dropped(raw), layers=layers)
    try:
        if BASE in config.systems:
            raise ConfigError(f"systems.{BASE}: what systems share has this name; give the system another")
        config = expand_seeds(config)
        for name in config.systems:
            resolve_system(config, name)
    except ConfigError as error:
        key = str(error).partition(": ")[0].split(".")
        raise ConfigError(f"{source_of(layers, key)}: {error}") from error
    return config


def load(*paths: str | Path, assignments: Sequence[str] = ()) -> AlignCapConfig:
    """Read YAML files and then ``key=value`` texts, merge each over the one before, and validate.

    Args:
        paths: One or more files.
        assignments: What follows Snakemake's ``--config``.

    Raises:
        ConfigError: As ``parse``; or a file cannot be read, has a key twice, or holds something else than keys.
    """
    layers = [*map(read_file, paths), *read_assignments(assignments)]
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.raw)
    return parse(merged, layers)


def named_files(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that a config, as plain data, names as inputs; folders too, which are told apart on the disk."""
    for corpus in config.get("corpora", {}).values():
        yield from filter(None, (corpus.get("root"), (corpus.get("captions") or {}).get("bank")))
    yield from (config.get("teacher") or {}).get("descriptions") or ()
    yield from _answers(config)
    for system in config.get("systems", {}).values():
        yield from (system.get("captions") or {}).values()
        yield from _answers(system.get("overrides") or {})


def _answers(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the file of people's answers that a config, or the overrides of a system, has the judge ``human`` read."""
    found: Any = config
    for key in ("preference", "judge", "human", "answers"):
        found = (found or {}).get(key)
    if found:
        yield found


def corpus_names(config: AlignCapConfig, role: str) -> list[str]:
    """Return the names of the corpora that have a role, in the order of the config."""
    return [name for name, corpus in config.corpora.items() if corpus.role == role]


def judge_named(judge: Judge, name: JudgeName) -> Judge:
    """Return a copy of the judge's settings that selects the judge ``name``."""
    return judge.model_copy(update={"name": name})


def keys_of_judge(judge: Judge) -> set[str]:
    """Return the keys that the selected judge depends on, without the sections of the other judges."""
    return set(Judge.model_fields) - ({"local", "openai", "human"} - {judge.name})


def lineage(config: AlignCapConfig, name: str) -> System:
    """Return a system merged with all that it extends: stage, parent, captions and overrides."""
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
    """Return the parents of a preference system, nearest first, up to the aligned system where training started.

    Raises:
        ConfigError: A parent is missing, has another stage, or descends from the system.
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
    """Return the effective configuration of a system, with the overrides of the system and its parents applied.

    Raises:
        ConfigError: The system has no stage, an unknown parent, an override that is not allowed, or an invalid value.
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
    for section, (keys, why) in SHARED_BY_ALL.items():
        given = overrides.get(section)
        if isinstance(given, Mapping) and (found := sorted(keys & set(given))):
            raise ConfigError(
                f"systems.{name}.overrides.{section}.{found[0]}: {why}; change it for the whole experiment"
            )
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
    """Return the name of the artifact that ``name`` shares with every system whose effective ``sections`` are equal.

    The name is ``BASE`` where they equal the experiment's settings, else that of the first such system. A section may
    be a dotted path such as ``preference.judge``.
    """
    wanted = _effective(resolve_system(config, name), sections)
    if wanted == _effective(config, sections):
        return BASE
    return next(other for other in config.systems if _effective(resolve_system(config, other), sections) == wanted)


def reads_cached_logits(system: AlignCapConfig) -> bool:
    """Return whether a system, by its effective configuration, is aligned with what ``teacher_logits`` has cached."""
    return system.alignment.kd_weight > 0 and not system.teacher.live


PAIR_SECTIONS = ("preference.candidates", "preference.judge", "preference.pairs")


def pairs_name(config: AlignCapConfig, name: str) -> str:
    """Return the name of the judge scores, pairs and reference log-probs that a preference system trains on."""
    return _name_below_parent(config, name, PAIR_SECTIONS)


def candidates_name(config: AlignCapConfig, name: str) -> str:
    """Return the name of the candidates from which a preference system's pairs are made."""
    return _name_below_parent(config, name, PAIR_SECTIONS[:1])


def _name_below_parent(config: AlignCapConfig, name: str, sections: Sequence[str]) -> str:
    """Return the parent's name where ``sections`` equal the experiment's settings, else the first equal system's name.

    Equal systems share the parent and the settings. A parent that is itself a preference system gets the suffix
    ``-next``, because its plain name may already name the artifacts that it was trained on.
    """
    parent = lineage(config, name).parent
    assert parent is not None  # resolve_system refuses a preference system without one
    wanted = _effective(resolve_system(config, name), sections)
    if wanted == _effective(config, sections):
        return f"{parent}-next" if lineage(config, parent).stage == "preference" else parent
    siblings = (other for other in config.systems if lineage(config, other).parent == parent)
    return next(other for other in siblings if _effective(resolve_system(config, other), sections) == wanted)


def plain_name(member: str) -> str:
    """Return the system's name without its seed: ``kd`` for ``kd@1`` and for ``kd``."""
    return member.partition(SEPARATOR)[0]


def expand_seeds(config: AlignCapConfig) -> AlignCapConfig:
    """Add ``{name}@{seed}`` for every further seed of a system; an entry of that name in the file wins.

    ``{name}@{seed}`` extends ``{name}`` with that seed. A system of stage ``preference`` continues ``{parent}@{seed}``.

    Raises:
        ConfigError: The system is not trained, a seed is given twice, or the parent lacks the seed.
    """
    systems: dict[str, System] = {}
    for name, system in config.systems.items():
        systems[name] = system
        if not system.seeds:
            continue
        whole = lineage(config, name)
        if whole.stage not in TRAINED:
            raise ConfigError(f"systems.{name}.seeds: only a trained system has seeds, this one is '{whole.stage}'")
        first = resolve_system(config, name).seed
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
    """Return the members of each trained system with their seeds, by its plain name; the system itself comes first."""
    members: dict[str, dict[str, int]] = {}
    for name in config.systems:
        if lineage(config, name).stage in TRAINED:
            members.setdefault(plain_name(name), {})[name] = resolve_system(config, name).seed
    return members
