"""Inputs of a stage that reads more than another: the same files, and its own."""

from dataclasses import fields
from typing import Any


def more(kind: type, inputs: Any, **own: Any) -> Any:
    """An object of ``kind`` with the fields of ``inputs`` and further ones."""
    return kind(**{field.name: getattr(inputs, field.name) for field in fields(inputs)}, **own)
