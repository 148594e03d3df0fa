"""The judge ``human``: it reads the answers of people from a file, whose columns docs/judge.md lists.

A row either scores one caption or states a preference between two. Scores are averaged over people. A caption that was
only compared has the score 1 + 4 × the share of comparisons that it won, where a tie is half a win (ours).
"""

from __future__ import annotations

import csv
import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aligncap.config import Judge
from aligncap.errors import JudgeError
from aligncap.preference.facts import JudgedCaption, Opinion, opinion
from aligncap.preference.judges.rubric import ASPECTS

logger = logging.getLogger(__name__)

Points = Annotated[float, Field(ge=1, le=5)]
Caption = tuple[str, str, str]  # (corpus, utterance id, caption with single blanks)


class HumanAnswer(BaseModel):
    """An answer of a person: a row of the file, in which an empty field counts as missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    utterance_id: str
    candidate: str | None = None
    factuality: Points | None = None
    faithfulness: Points | None = None
    candidate_a: str | None = None
    candidate_b: str | None = None
    preferred: Literal["a", "b", "tie"] | None = None
    aspect: Literal["factuality", "faithfulness", "both"] = "both"
    annotator: str | None = None
    why: str | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> HumanAnswer:
        scored = self.candidate is not None and (self.factuality, self.faithfulness) != (None, None)
        compared = None not in (self.candidate_a, self.candidate_b, self.preferred)
        if scored == compared:
            raise ValueError(
                "give either candidate with factuality or faithfulness, or candidate_a, candidate_b and preferred"
            )
        if compared and (self.candidate_a or "").split() == (self.candidate_b or "").split():
            raise ValueError("candidate_a and candidate_b are the same caption")
        return self


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Iterate over the rows of the file with the line or row numbers that error messages name."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            for row in reader:
                yield reader.line_num, row
    elif path.suffix == ".jsonl":
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                yield number, json.loads(line)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from enumerate(pq.read_table(path).to_pylist(), start=1)
    else:
        raise JudgeError(f"{path}: answers come as .csv, .jsonl or .parquet, got '{path.suffix}'")


def read_human_answers(path: Path) -> list[HumanAnswer]:
    """Read a file of answers.

    Raises:
        JudgeError: The file is missing or has another format, or a row is not an answer; the message names the row.
    """
    try:
        return [_answer(path, number, row) for number, row in _records(path)]
    except OSError as error:
        what = f"{error.strerror}; preference.judge.human.answers names the file of answers"
    except (ValueError, TypeError, csv.Error) as error:  # no JSON, no Parquet, no UTF-8
        what = f"cannot be read: {' '.join(str(error).split())}"
    raise JudgeError(f"{path}: {what}")


def _answer(path: Path, number: int, row: Any) -> HumanAnswer:
    given = {name: value for name, value in dict(row).items() if value not in (None, "")}
    try:
        return HumanAnswer.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the row"
        got = f", got {first['input']!r}" if first["loc"] else ""
        raise JudgeError(f"{path}: row {number}: {field}: {first['msg']}{got}; docs/judge.md has the columns") from None


def _caption(corpus: str, utterance_id: str, text: str) -> Caption:
    return corpus, utterance_id, " ".join(text.split())


def score(settings: Judge, items: Sequence[JudgedCaption]) -> list[Opinion]:
    """Return the opinions of people, in the order of ``items``; captions that nobody judged stay unscored.

    Args:
        settings: File of answers, and weights of the two scores.
        items: Captions, whose facts are not used.

    Raises:
        JudgeError: The file cannot be read, or has no answer about any of these captions.
    """
    path = Path(settings.human.answers or "")
    answers = read_human_answers(path)
    asked = {_caption(item.corpus, item.utterance_id, item.caption) for item in items}
    scores: dict[tuple[Caption, str], list[float]] = defaultdict(list)
    wins: dict[tuple[Caption, str], list[float]] = defaultdict(list)
    reasons: dict[Caption, list[str]] = defaultdict(list)
    matched = 0
    for answer in answers:
        said = _read(answer)
        matched += bool(asked & set(said))
        for caption, values in said.items():
            for aspect, value in values.items():
                (scores if answer.candidate is not None else wins)[caption, aspect].append(value)
            if answer.why:
                reasons[caption].append(answer.why)
    if items and not matched:
        raise JudgeError(
            f"{path}: none of its {len(answers)} answers is about one of these {len(items)} captions; "
            "people must judge the captions that this run made"
        )
    logger.info("%s: %d of %d answers are about these captions", path.name, matched, len(answers))
    opinions = []
    for item in items:
        caption = _caption(item.corpus, item.utterance_id, item.caption)
        points = [_value(scores.get((caption, a), []), wins.get((caption, a), [])) for a in ASPECTS]
        asked_of = [len(scores.get((caption, a), []) or wins.get((caption, a), [])) for a in ASPECTS]
        told = f"{max(asked_of)} answers" if any(asked_of) else "unscored: nobody was asked"
        opinions.append(opinion(settings, points[0], points[1], "; ".join([told, *reasons.get(caption, [])])))
    return opinions


def _read(answer: HumanAnswer) -> dict[Caption, dict[str, float]]:
    """Return the points of each caption and aspect in an answer; in a comparison, the share won (0, a half or 1)."""
    where = (answer.corpus, answer.utterance_id)
    if answer.candidate is not None:
        own = {"factuality": answer.factuality, "faithfulness": answer.faithfulness}
        return {_caption(*where, answer.candidate): {aspect: v for aspect, v in own.items() if v is not None}}
    won = {"a": 1.0, "b": 0.0, "tie": 0.5}[answer.preferred or "tie"]
    aspects = ASPECTS if answer.aspect == "both" else (answer.aspect,)
    first, second = (_caption(*where, text or "") for text in (answer.candidate_a, answer.candidate_b))
    return {first: dict.fromkeys(aspects, won), second: dict.fromkeys(aspects, 1 - won)}


def _value(scores: Sequence[float], wins: Sequence[float]) -> float | None:
    if scores:
        return float(np.mean(scores))
    return 1 + 4 * float(np.mean(wins)) if wins else None
