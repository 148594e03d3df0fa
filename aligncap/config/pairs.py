"""What preference trains on: candidates, and which of them become pairs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aligncap.config.base import Count, Fraction, Positive, Section


class Candidates(Section):
    """Samples of the aligned model on utterances that it was not aligned on."""

    utterances: Count = 400
    samples: Count = Field(4, description="K")
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95


class PairKind(Section):
    """Pairs of one kind of hallucination; a share of 0 builds none."""

    share: Fraction = Field(description="of all pairs, as far as there are enough")
    margin: Annotated[float, Field(ge=0)] = Field(
        description="least difference of this kind's own score, points of 1-5; a difference of 0 never makes a pair"
    )


class Pairs(Section):
    """Which candidates become (better, worse)."""

    factuality: PairKind = PairKind(share=0.7, margin=1.0)
    faithfulness: PairKind = PairKind(share=0.3, margin=0.5)
    per_utterance: Count = Field(2, description="of each kind")
    limit: Count = Field(400, description="most pairs; what one kind lacks of its share goes to the other")
    minimum: Count = Field(16, description="fewer pairs than this is an error")
    hard_negatives: Literal["off", "fallback", "always"] = Field(
        "fallback",
        description="the best caption against itself with one clue contradicted: where the utterance has no factuality "
        "pair, or always",
    )
    wrong_clue_penalty: Annotated[float, Field(ge=0)] = Field(
        1.0,
        description="points of factuality that each contradicted clue costs beyond the judge's score, so that an "
        "uncertain caption beats a wrong one",
    )
    clean_chosen: bool = Field(True, description="a chosen caption has no contradicted clue and no faithfulness flag")
    extra_clues: Annotated[int, Field(ge=0)] | None = Field(
        None, description="vocal clues that a chosen caption may assert beyond the rejected one; null: any number"
    )
    length_tolerance: Annotated[float, Field(ge=0)] | None = Field(
        None, description="share by which a chosen caption may be longer than the rejected one, in tokens; null: any"
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
