"""Writes ``config.yaml`` with its comments, and the schema that editors check overlays by: ``make config``.

A comment is the description of a key, so the models are the only place where a default and its meaning are written.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aligncap.config.base import Section
from aligncap.config.defaults import NOTES
from aligncap.config.sections import AlignCapConfig
from aligncap.config.training import Optimisation

CONFIG, SCHEMA = "config.yaml", "config.schema.json"
WIDTH = 120
INLINE = 100  # a mapping that is longer stands as a block
HEAD = f"""\
# yaml-language-server: $schema={SCHEMA}
# The embedded default of AlignCap, which `make demo` runs. `make config` writes this file from the models in
# aligncap/config: do not edit it. To change keys, write an overlay, a file like those of experiments/, which is merged
# over this one (docs/running.md). An unknown key is an error.
#
# Every key of a section is here, with what it means; a key that occurs in several sections is explained where it first
# stands. Choices that the paper leaves open are ours; docs/method.md says why.
"""


def config_yaml() -> str:
    """The text of ``config.yaml``."""
    return HEAD + "".join(f"{line}\n" for line in _section(AlignCapConfig(), "", set()))


def config_schema() -> str:
    """The text of the JSON schema. Overlays are checked by it, so no key is required, and null drops an entry."""
    schema = _partial(AlignCapConfig.model_json_schema())
    for name in ("corpora", "systems"):
        patterns = schema["properties"][name]["patternProperties"]
        for pattern, entry in patterns.items():
            patterns[pattern] = {"anyOf": [entry, {"type": "null"}]}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _partial(schema: Any) -> Any:
    """Without lists of required keys, and without what only makes it longer: titles, and defaults of whole sections."""
    dropped = {"required": list, "title": str, "default": dict}
    if isinstance(schema, dict):
        return {k: _partial(v) for k, v in schema.items() if k not in dropped or not isinstance(v, dropped[k])}
    return [_partial(item) for item in schema] if isinstance(schema, list) else schema


def _flow(value: Any) -> str:
    """A value in one line, as YAML."""
    if isinstance(value, Mapping) and value:
        return "{ " + ", ".join(f"{_flow(key)}: {_flow(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return yaml.safe_dump([value], default_flow_style=True, width=10**6, allow_unicode=True)[1:-2]


def _comment(about: str, indent: str) -> list[str]:
    return textwrap.wrap(
        about, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _noted(line: str, about: str) -> list[str]:
    """A line with a comment: at its end where there is room, else above it."""
    if not about:
        return [line]
    if len(line) + 3 + len(about) <= WIDTH:
        return [f"{line} # {about}"]
    return [*_comment(about, " " * (len(line) - len(line.lstrip()))), line]


def _value(key: str, value: Any, about: str, indent: str) -> list[str]:
    """A key with a value that is no section."""
    line = f"{indent}{key}: {_flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, list):
        return _noted(line, about)
    return [*_noted(f"{indent}{key}:", about), *(f"{indent}  - {_flow(item)}" for item in value)]


def _meaning(field: FieldInfo, value: Any, where: str) -> str:
    """What a comment says of a key: its description, else what its section is, and what is to know of the value."""
    about = field.description or (value.__doc__ if isinstance(value, Section) else "") or ""
    joint = " " if about.endswith(".") else "; "
    return joint.join(filter(None, [" ".join(about.replace("``", "`").split()), NOTES.get(where, "")]))


def _order(section: type[BaseModel]) -> list[str]:
    """Keys in the order of the file: those that every training has come after a stage's own."""
    fields = section.model_fields
    if not issubclass(section, Optimisation) or section is Optimisation:
        return list(fields)
    own = [key for key in fields if key not in Optimisation.model_fields]
    inner = [key for key in own if isinstance(fields[key].default, Section)]
    return [*(key for key in own if key not in inner), *Optimisation.model_fields, *inner]


def _section(section: Section, path: str, told: set[tuple[str, str]]) -> Iterator[str]:
    """The lines of a section; ``told`` has the comments that the file has already."""
    indent = "  " * (path.count(".") + 1 if path else 0)
    plain = section.model_dump(mode="json")
    for key in _order(type(section)):
        field, value, where = type(section).model_fields[key], getattr(section, key), f"{path}.{key}".lstrip(".")
        about = _meaning(field, value, where)
        if (key, about) in told:
            about = ""
        told.add((key, about))
        nested = isinstance(value, Section)
        entries = isinstance(value, Mapping) and any(isinstance(entry, Section) for entry in value.values())
        if not path and (nested or entries):  # a chapter of the file
            yield ""
            yield from _comment(about, "")
            about = ""
        if entries:
            yield from _entries(key, value)
        elif nested:
            inner = list(_section(value, where, told))
            short = f"{indent}{key}: {_flow(plain[key])}"
            if len(short) <= INLINE and not any(" # " in line for line in inner):
                yield from _noted(short, about)
            else:
                yield from _noted(f"{indent}{key}:", about)
                yield from inner
        else:
            yield from _value(key, plain[key], about, indent)


def _entries(key: str, entries: Mapping[str, Section]) -> Iterator[str]:
    """Entries under names of the user's: which keys one has, then the entries with what differs from the defaults."""
    yield "# Keys of an entry, each with the value that it has where it is left out:"
    yield from _keys(type(next(iter(entries.values()))), "")
    yield f"{key}:"
    for name, entry in entries.items():
        given = entry.model_dump(mode="json", exclude_defaults=True)
        short, about = f"  {name}: {_flow(given)}", NOTES.get(f"{key}.{name}", "")
        if len(short) <= INLINE:
            yield from _noted(short, about)
        else:
            yield from _noted(f"  {name}:", about)
            for inner, value in given.items():
                yield from _value(inner, value, "", "    ")


def _keys(section: type[BaseModel], path: str) -> Iterator[str]:
    for key, field in section.model_fields.items():
        inner = next((kind for kind in (field.annotation, *get_args(field.annotation)) if _is_section(kind)), None)
        if inner is None or field.description:
            default = "" if field.is_required() else f" ({_flow(_plain(field.default))})"
            yield from textwrap.wrap(
                f"{path}{key}{default}: {field.description}", WIDTH, initial_indent="#   ", subsequent_indent="#     ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
        if inner is not None:
            yield from _keys(inner, f"{path}{key}.")


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def main() -> None:
    """Write both files into the working directory."""
    for name, text in ((CONFIG, config_yaml()), (SCHEMA, config_schema())):
        Path(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
