"""What preference trains on: candidates, and which of them become pairs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aligncap.config.base import Count, Fraction, Positive, Section, TopP


class VllmServer(Section):
    """The server of vLLM that the engine `vllm` starts for the job and ends with it (docs/scale.md)."""

    command: str = Field(
        "vllm",
        description="the program, by name or path; vLLM is no part of requirements.lock and wants an environment of "
        "its own",
    )
    arguments: tuple[str, ...] = Field(
        (), description="further arguments of `vllm serve`, such as --tensor-parallel-size=2"
    )
    start_s: Positive = Field(1800.0, description="seconds within which it has to answer; it loads the LLM first")


class Candidates(Section):
    """Samples of the aligned model on utterances that it was not aligned on."""

    utterances: Count = Field(96, description="number of clips that captions are sampled of")
    samples: Count = Field(4, description="number of captions sampled of each clip")
    temperature: Positive = Field(1.0, description="sampling temperature; above 1 the captions differ more")
    top_p: TopP = 0.95
    engine: Literal["transformers", "vllm"] = Field(
        "transformers",
        description="what samples them: transformers in the job itself, or a vLLM server, which draws other samples "
        "and not the same ones on every machine",
    )
    vllm: VllmServer = VllmServer()


class PairKind(Section):
    """Pairs of one kind of hallucination; a share of 0 builds none."""

    share: Fraction = Field(description="share of all pairs that are of this kind, as far as there are enough")
    margin: Annotated[float, Field(ge=0)] = Field(
        description="least difference of this kind's own score, in points of 1 to 5; equal scores never make a pair"
    )


class Pairs(Section):
    """Which candidates become pairs of a chosen and a rejected caption.

    Pairs are built apart for each kind of hallucination; a chosen caption is never worse in the other kind.
    """

    factuality: PairKind = Field(
        PairKind(share=0.7, margin=1.0), description="pairs whose rejected caption contradicts the speech more"
    )
    faithfulness: PairKind = Field(
        PairKind(share=0.3, margin=0.5), description="pairs whose rejected caption invents more"
    )
    per_utterance: Count = Field(2, description="most pairs of each kind that one clip gives")
    limit: Count = Field(400, description="most pairs in all; what one kind lacks of its share goes to the other")
    minimum: Count = Field(16, description="fewer pairs than this is an error")
    hard_negatives: Literal["off", "fallback", "always"] = Field(
        "fallback",
        description="pairs of the best caption and a copy of it in which one clue is contradicted: off makes none, "
        "fallback makes one for a clip without a factuality pair, always makes one for every clip",
    )
    corrected: bool = Field(
        False,
        description="whether a clip whose candidates name a wrong emotion, most often that of a wrong tag, gives a "
        "pair of such a candidate and a copy of it that names the right one, which is chosen",
    )
    wrong_clue_penalty: Annotated[float, Field(ge=0)] = Field(
        1.0,
        description="points of factuality that each contradicted kind of clue costs beyond what the judge takes off, "
        "so that an uncertain caption beats a wrong one",
    )
    clean_chosen: bool = Field(
        True, description="whether a chosen caption must contradict nothing and invent nothing (docs/judge.md)"
    )
    extra_clues: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="how many more clues of the voice a chosen caption may assert than the rejected one; null sets no "
        "bound, 0 rewards captions that say little",
    )
    length_tolerance: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="by which share a chosen caption may be longer than the rejected one, in tokens: 0.2 allows a "
        "fifth; null sets no bound",
    )

    @field_validator("hard_negatives", mode="before")
    @classmethod
    def _yaml_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @model_validator(mode="after")
    def _shares_sum(self) -> Pairs:
        if abs(self.factuality.share + self.faithfulness.share - 1) > 1e-6:
            raise ValueError("the shares of factuality and faithfulness must add up to 1")
        return self
