"""The judge ``human``: it reads the answers of people from a file, whose columns docs/judge.md lists.

A row either scores one caption or states a preference between two. Scores are averaged over people. A caption that was
only compared has the score 1 + 4 × the share of comparisons that it won, where a tie is half a win (ours).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aligncap.config import Judge
from aligncap.corpora.base import Row, read_table
from aligncap.errors import CorpusError, JudgeError
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
        if scored == compared or (compared and self.candidate is not None):
            raise ValueError(
                "give either candidate with factuality or faithfulness, or candidate_a, candidate_b and preferred"
            )
        if compared and (self.candidate_a or "").split() == (self.candidate_b or "").split():
            raise ValueError("candidate_a and candidate_b are the same caption")
        return self


def read_human_answers(path: Path) -> list[HumanAnswer]:
    """Read a file of answers: a CSV, TSV, JSONL or Parquet table.

    Raises:
        JudgeError: The file is missing or no table, or a row is not an answer; the message names the row.
    """
    if not path.is_file():
        raise JudgeError(f"{path}: no such file; preference.judge.human.answers names the file of answers")
    try:
        return [_answer(row) for row in read_table(path)[1]]
    except CorpusError as error:
        raise JudgeError(str(error)) from None


def _answer(row: Row) -> HumanAnswer:
    if row.problem:
        raise JudgeError(f"{row.where}: {row.problem}")
    try:
        return HumanAnswer.model_validate(
            {name: value for name, value in row.values.items() if value not in (None, "")}
        )
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the row"
        got = f", got {first['input']!r}" if first["loc"] else ""
        raise JudgeError(f"{row.where}: {field}: {first['msg']}{got}; docs/judge.md has the columns") from None


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
        told = f"{max(asked_of)} answers"
        if not all(asked_of):
            told = "unscored: nobody was asked" + (f" about {ASPECTS[asked_of.index(0)]}" if any(asked_of) else "")
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
