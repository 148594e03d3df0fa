"""Validation of a mapping against a section, with its errors in words."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aligncap.config.sections import AlignCapConfig
from aligncap.errors import ConfigError
from aligncap.reading import Layer, source_of

Model = TypeVar("Model", bound=BaseModel)


_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80


def validated(model: type[Model], raw: Any, where: str = "config", layers: Sequence[Layer] = ()) -> Model:
    """A section made of a mapping.

    Args:
        model: the class of the section.
        raw: the mapping.
        where: what a message starts with, where it names no layer.
        layers: what ``raw`` was merged of; a message names the one that gives the key.

    Raises:
        ConfigError: one line naming each key that is unknown, mistyped, out of bounds or contradictory.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        told: dict[str, list[str]] = {}
        for item in error.errors():
            source = source_of(layers, item["loc"]) if layers else where
            told.setdefault(source, []).append(_explain(item, model))
        raise ConfigError("; ".join(f"{source}: {'; '.join(lines)}" for source, lines in told.items())) from error


def _known_keys(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    current: Any = model
    for part in path:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return list(fields)
        current = fields[part].annotation
    return list(getattr(current, "model_fields", {}))


def _explain(item: Any, model: type[BaseModel]) -> str:
    """One error of a validation in words: where, what, the value got, the remedy."""
    path, kind, got = item["loc"], item["type"], item.get("input")
    where = ".".join(str(part) for part in path)
    if kind == "extra_forbidden":
        known = _known_keys(model, path[:-1]) or _all_keys()
        near = difflib.get_close_matches(str(path[-1]).lower(), known, n=1)
        return f"{where}: unknown key" + (f" (did you mean {near[0]}?)" if near else "; config.yaml shows all keys")
    message = re.sub(r"^Value error, ", "", item["msg"])
    if kind in ("model_type", "dict_type"):
        message = "Input should be keys with values below it"
    value = f", got {_SHOWN.repr(got)}" if not isinstance(got, Mapping | BaseModel) else ""
    is_number = kind == "string_type" and isinstance(got, int | float)
    quotes = "; if it is text, quote it" if is_number else ""
    return f"{where or 'config'}: {message}{value}{_near_choice(item)}{quotes}"


def _near_choice(item: Any) -> str:
    """The choice that a value of a closed list was probably meant to be, whatever its case and hyphens."""
    if item["type"] != "literal_error":
        return ""
    choices = re.findall(r"'([^']*)'", item["ctx"]["expected"])
    meant = str(item["input"]).lower().replace("-", "_")
    near = difflib.get_close_matches(meant, choices, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _all_keys() -> list[str]:
    schema = json.dumps(AlignCapConfig.model_json_schema())
    return sorted(set(re.findall(r'"([a-z_0-9]+)": \{', schema)))
