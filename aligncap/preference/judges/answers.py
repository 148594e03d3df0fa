"""Answers of a chat endpoint: they are parsed from its text and cached on disk by a digest of the request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from aligncap import artifacts

LONGEST = 20_000  # characters of a text in which an answer is looked for
SHOWN = 60  # characters of a field's name that are told


def _reason(text: str) -> str:
    """Strip a text; Python strips more than pydantic does, such as the separators of ASCII."""
    if not text.strip():
        raise ValueError("should have at least 1 character")
    return text.strip()


Points = Annotated[float, Field(strict=True, ge=1, le=5)]


class Answer(BaseModel):
    """The answer that the scoring prompt asks for: exactly these three fields, with scores as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    factuality: Points
    faithfulness: Points
    why: Annotated[str, StringConstraints(strict=True), AfterValidator(_reason)]


class BadAnswer(ValueError):
    """Error for a text that has no answer or more than one; its message says what is wrong."""


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Iterate over the complete JSON objects in a text, without those inside other objects."""
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
    """Parse the answer in a text, which may have prose or a code fence around it.

    Raises:
        BadAnswer: The text is too long, or has no JSON object, an object with other fields or values, or two different
            answers.
    """
    if len(text) > LONGEST:
        raise BadAnswer(f"it is {len(text):,} characters long, at most {LONGEST:,} are read")
    answers: dict[Answer, None] = {}
    problem = "it holds no JSON object"
    for found in _objects(text):
        try:
            answers.setdefault(Answer.model_validate(found))
        except ValidationError as error:
            first = error.errors()[0]
            field = "".join(c for c in ".".join(map(str, first["loc"])) if c.isprintable())[:SHOWN]
            problem = f"{field or 'the object'}: {first['msg'].lower()}"
    if len(answers) > 1:
        problem = "it holds two different answers"
    if len(answers) != 1:
        raise BadAnswer(problem)
    return next(iter(answers))


def prompt_key(base_url: str, request: Mapping[str, Any]) -> str:
    """Return the cache key of an answer: the sha256 of the endpoint's URL and of the whole request."""
    return hashlib.sha256(json.dumps([base_url, request], sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """A cache of answers on disk, so that a run after an interruption asks only for the missing ones.

    Each answer is written to a file as soon as it arrives. The file holds the three fields of the answer, and nothing
    of the prompt, the endpoint or its key.

    Args:
        folder: Folder of the files; jobs that run at the same time may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Answer | None:
        """Return the answer with this cache key, or None where there is none that can be read."""
        try:
            return Answer.model_validate_json(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # ValidationError is a ValueError
            return None

    def put(self, key: str, answer: Answer) -> None:
        """Write an answer to the cache."""
        artifacts.write_json(answer.model_dump(), self._path(key))
