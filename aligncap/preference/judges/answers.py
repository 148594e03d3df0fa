"""Answers of a chat endpoint: read out of its text, and kept on disk by the prompt that they answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from aligncap import artifacts

Points = Annotated[float, Field(strict=True, ge=1, le=5)]


class Answer(BaseModel):
    """What the scoring prompt asks for: these three fields, no other, numbers as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    factuality: Points
    faithfulness: Points
    why: Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]


class BadAnswer(ValueError):
    """A text that holds no answer, or more than one; says what is wrong with it."""


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every whole JSON object in a text, outermost ones only."""
    decoder, position = json.JSONDecoder(), text.find("{")
    while position >= 0:
        try:
            found, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            yield found
        position = text.find("{", end)


def read_answer(text: str) -> Answer:
    """The one answer in a text; prose or a code fence around it does not matter.

    Raises:
        BadAnswer: no JSON object, one with other fields or values, or two that differ.
    """
    answers: dict[Answer, None] = {}
    problem = "it holds no JSON object"
    for found in _objects(text):
        try:
            answers.setdefault(Answer.model_validate(found))
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg'].lower()}"
    if len(answers) > 1:
        problem = "it holds two different answers"
    if len(answers) != 1:
        raise BadAnswer(problem)
    return next(iter(answers))


def prompt_key(base_url: str, request: Mapping[str, Any]) -> str:
    """sha256 of where a request goes and all that it says: what its answer is kept under."""
    return hashlib.sha256(json.dumps([base_url, request], sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """Answers on disk, a file each, written as they come: an interrupted run asks only for the rest.

    A file holds the three fields of the answer and nothing of the prompt, the endpoint or the key.

    Args:
        folder: where the files lie; jobs that run side by side may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Answer | None:
        """The answer kept under ``key``; None where there is none that can be read."""
        try:
            return Answer.model_validate_json(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # ValidationError is a ValueError
            return None

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer."""
        artifacts.write_json(answer.model_dump(), self._path(key))
