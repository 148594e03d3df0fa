"""The sections ``preference.judge`` and ``judging``: who scores captions (docs/judge.md)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from aligncap.config.base import Count, Fraction, Positive, Section
from aligncap.extensions import names

if TYPE_CHECKING:
    JudgeName = str
else:
    JudgeName = Literal["reference", "local", "openai", "human", *names("judges")]


class LocalJudge(Section):
    """A causal LM of this machine, ``models.judge``, that reads the scoring prompt."""

    batch_size: Count = Field(4, description="clips that are scored at once; the captions of one clip share a sequence")


class OpenAiJudge(Section):
    """Any OpenAI-compatible chat endpoint. Nothing here is secret: the key is in the environment only."""

    base_url: str = Field("http://127.0.0.1:8000/v1", description="address that /chat/completions is appended to")
    model: str | None = Field(None, description="the model's name as the endpoint knows it; this judge needs one")
    key_variable: str | None = Field(
        "OPENAI_API_KEY",
        description="the NAME of the environment variable that holds the key, never the key; null sends no key",
    )
    concurrency: Count = Field(8, description="number of requests under way at once")
    timeout_s: Positive = Field(60.0, description="seconds that one request may take")
    retries: Annotated[int, Field(ge=0)] = Field(
        9,
        description="how often a request is sent again after a timeout, a lost connection, HTTP 429 or 5xx; with the "
        "waits below, 9 outlast some six minutes",
    )
    backoff_s: Positive = Field(
        1.0,
        description="seconds to wait before the first retry; doubled each time, somewhat at random, unless the "
        "endpoint says how long (Retry-After)",
    )
    max_wait_s: Positive = Field(
        120.0, description="longest wait in seconds; a row whose endpoint asks for more is left unscored"
    )
    max_unscored: Fraction = Field(0.1, description="share of the rows that may stay unscored; more is an error")
    request: dict[str, Any] = Field(
        {"temperature": 0.0, "max_tokens": 300},
        description="further fields, sent as they are with every request; null leaves one out",
    )

    # Whole-model checks: their messages do not repeat the value, which may be a key in the wrong place.
    @model_validator(mode="after")
    def _keeps_no_secret(self) -> OpenAiJudge:
        if self.key_variable is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.key_variable):
            raise ValueError("key_variable is the NAME of an environment variable, such as OPENAI_API_KEY, not a key")
        if not re.fullmatch(r"https?://[^\s@?#]+", self.base_url):
            raise ValueError("base_url is http(s)://host/path without user, password, query or fragment")
        try:
            json.dumps(self.request, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("request is sent as JSON; want text, finite numbers, true, false, null, lists") from None
        return self


class HumanJudge(Section):
    """Answers that people gave."""

    answers: str | None = Field(
        None,
        description="file of answers (CSV, JSONL or Parquet), relative to the project's folder; this judge needs one, "
        "and docs/judge.md has its columns",
    )


class Judge(Section):
    """Who scores the candidates. docs/judge.md has how to use each, what it costs, and what text leaves the machine."""

    name: JudgeName = Field(
        "reference",
        description="reference compares clues by rules, without an LLM; local asks an LLM on this machine; openai asks "
        "an endpoint; human reads answers that people gave",
    )
    similarity_weight: Fraction = Field(
        0.3,
        description="weight of the similarity to the references in the overall score of the judge `reference`; the "
        "other judges weigh factuality and faithfulness alone",
    )
    factuality_weight: Fraction = Field(0.4, description="weight of factuality; the three weights add up to 1")
    faithfulness_weight: Fraction = Field(0.3, description="weight of faithfulness")
    local: LocalJudge = LocalJudge()
    openai: OpenAiJudge = OpenAiJudge()
    human: HumanJudge = HumanJudge()

    @model_validator(mode="after")
    def _weights_sum(self) -> Judge:
        if abs(self.similarity_weight + self.factuality_weight + self.faithfulness_weight - 1) > 1e-6:
            raise ValueError("the judge's three weights must add up to 1")
        return self

    @model_validator(mode="after")
    def _is_ready(self) -> Judge:
        if missing := lacking(self, self.name):
            raise ValueError(missing)
        return self


def lacking(judge: Judge, name: JudgeName) -> str | None:
    """What the judge of this name still needs, in words; None where it can work."""
    if name == "openai" and judge.openai.model is None:
        return "the judge 'openai' needs preference.judge.openai.model, the name its endpoint gives the model"
    if name == "human" and judge.human.answers is None:
        return "the judge 'human' needs preference.judge.human.answers, a file of answers"
    return None


class Judging(Section):
    """Judges besides the one that makes preference pairs; their settings are those of ``preference.judge``."""

    captions: JudgeName = Field(
        "reference", description="the judge that scores test captions, for win rates; no training reads its scores"
    )
    compared: tuple[JudgeName, ...] = Field(
        (),
        description="two or more judges that all score the candidates, so that tables/judge_agreement can say how far "
        "they agree; none by default",
    )
    margin: Annotated[float, Field(ge=0)] = Field(
        0.5,
        description="for compared: how many points (of 1 to 5) two captions of a clip must be apart for a judge to "
        "prefer one",
    )

    @model_validator(mode="after")
    def _compares_different_ones(self) -> Judging:
        if len(self.compared) == 1 or len(set(self.compared)) < len(self.compared):
            raise ValueError("judging.compared: name two or more different judges, or none")
        return self
