"""Reading of configuration: YAML files and ``--config key=value`` as mappings, with what a reader could miss refused.

Scalars are read by the core schema of YAML 1.2, in which ``2024_05``, ``010``, ``no`` and ``2024-05-01`` are text.
YAML 1.1, and so Snakemake by itself, makes numbers, a truth value and a date of them.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aligncap.errors import ConfigError

COMMAND_LINE = "--config"
_PLAIN = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
}


class _Loader(yaml.SafeLoader):
    """A safe loader with the scalars of YAML 1.2 that refuses a key which stands twice in a mapping."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in seen and key.value != "<<":
                    problem = f"key '{key.value}' stands on line {seen[key.value]} already; keep one of them"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen[key.value] = line
        return super().construct_mapping(node, deep)


for _kind, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class Layer:
    """One file, or the command line, and the mapping that it gives.

    Attributes:
        name: how messages call it.
        raw: its keys and values.
    """

    name: str
    raw: Mapping[str, Any]


def _parsed(text: str, name: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        remedy = "; indent with blanks, not tabs" if "'\\t'" in str(error.problem) else ""
        raise ConfigError(f"{name}: not a readable YAML file: {where}{error.problem}{remedy}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: not a readable YAML file: {' '.join(str(error).split())}") from error


def read_file(path: str | Path) -> Layer:
    """Read a YAML file.

    Raises:
        ConfigError: It is missing, no UTF-8 or no YAML, has a key twice, or holds something else than keys.
    """
    where = Path(path)
    name = str(where.relative_to(Path.cwd()) if where.is_relative_to(Path.cwd()) else where)
    try:
        text = where.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: not a readable YAML file: {error}; give a text file in UTF-8") from error
    raw = _parsed(text, name)
    if raw is None:
        raise ConfigError(f"{name}: holds no key (empty, or comments alone); write one, or leave the file out")
    if not isinstance(raw, dict):
        raise ConfigError(f"{name}: holds a {type(raw).__name__}, want keys such as `experiment: mine`")
    return Layer(name, raw)


def read_assignments(texts: Sequence[str]) -> list[Layer]:
    """Read what follows ``--config``, each ``key=value`` with a value in YAML.

    Raises:
        ConfigError: A text is no ``key=value``, its key has a dot, or its value is no YAML.
    """
    layers = []
    for text in texts:
        key, equals, value = text.partition("=")
        name = f"{COMMAND_LINE} {key}"
        if not equals or not key:
            raise ConfigError(f"{COMMAND_LINE}: got '{text}', want key=value, such as seed=1")
        if "." in key:
            first, *rest = key.split(".")
            inner = value
            for part in reversed(rest):
                inner = f'{{"{part}": {inner}}}'
            raise ConfigError(f"{name}: a key has no dots; write {COMMAND_LINE} '{first}={inner}'")
        layers.append(Layer(COMMAND_LINE, {key: _parsed(value, name)}))
    return layers


def source_of(layers: Sequence[Layer], path: Sequence[Any]) -> str:
    """Return the name of the last layer that gives the key at ``path`` or one above it; of all where none does."""
    for length in range(len(path), 0, -1):
        for layer in reversed(layers):
            current: Any = layer.raw
            for part in path[:length]:
                if not isinstance(current, Mapping) or part not in current:
                    break
                current = current[part]
            else:
                return layer.name
    return ", ".join(dict.fromkeys(layer.name for layer in layers)) or "config"
