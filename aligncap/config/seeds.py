"""Further seeds of a system: ``systems.kd.seeds: [1, 2]`` are the systems ``kd@1`` and ``kd@2``."""

from __future__ import annotations

from aligncap.config.sections import AlignCapConfig, System
from aligncap.config.systems import lineage, resolve_system
from aligncap.errors import ConfigError

SEPARATOR = "@"
TRAINED = ("alignment", "preference")


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
