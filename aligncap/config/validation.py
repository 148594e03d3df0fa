"""Validation of a mapping against a section, with its errors in words."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aligncap.config.sections import AlignCapConfig
from aligncap.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], raw: Any, where: str = "config") -> Model:
    """A section made of a mapping.

    Args:
        model: the class of the section.
        raw: the mapping.
        where: what a message starts with.

    Raises:
        ConfigError: one line naming each key that is unknown, mistyped, out of bounds or contradictory.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, model)}") from error


def _known_keys(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    current: Any = model
    for part in path:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return list(fields)
        current = fields[part].annotation
    return list(getattr(current, "model_fields", {}))


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """All errors of a validation in one line: where, what, the value got, a near key."""
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            key = str(item["loc"][-1])
            near = difflib.get_close_matches(key, _known_keys(model, item["loc"][:-1]) or _all_keys(), n=1)
            lines.append(f"{where}: unknown key" + (f" (did you mean {near[0]}?)" if near else ""))
        else:
            message = re.sub(r"^Value error, ", "", item["msg"])
            got = item.get("input")
            value = f", got {got!r}" if not isinstance(got, Mapping | BaseModel) else ""
            lines.append(f"{where or 'config'}: {message}{value}{_near_choice(item)}")
    return "; ".join(lines)


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
