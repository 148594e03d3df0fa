"""Sections of the tables and figures."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from aligncap.config import defaults
from aligncap.config.base import Count, Positive, Section, Seed

Items = TypeVar("Items", bound=tuple)


def no_repetition(values: Items) -> Items:
    """Return the values.

    Raises:
        ValueError: One is there twice.
    """
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice; name it once")
    return values


Names = Annotated[tuple[str, ...], AfterValidator(no_repetition)]


class Table(Section):
    """One table: its rows and what they are compared with."""

    systems: Names | None = Field(
        None,
        description="rows in this order, but for systems that the experiment does not have; null takes every system",
    )
    against: str = Field("sft", description="the system that all rows are compared with, clip by clip")


class Tables(Section):
    """The tables of the paper; each is made where the experiment has two of its systems."""

    table1: Table = Field(Table(), description="zero-shot captioning; the other three show systems of this table")
    table2: Table = Field(Table(systems=defaults.TABLE2, against="kd"), description="what each part of the method adds")
    table3: Table = Field(
        Table(systems=defaults.TABLE3), description="other ways to align speech and text, and other preference losses"
    )
    table4: Table = Field(
        Table(systems=defaults.TABLE4),
        description="hallucination, and how often a judge prefers a caption to the baseline's",
    )
    claims: Annotated[tuple[tuple[str, str], ...], AfterValidator(no_repetition)] = Field(
        defaults.CLAIMS,
        description="pairs of a system and the one that it should beat: tables/claims has the difference of each pair "
        "of which the experiment has both systems",
    )


class Representations(Section):
    """Figure 3: hidden states of the LLM for speech input beside those for text input, on dev clips."""

    systems: Names = Field(
        ("sft", "align_before_contrastive", "kd"),
        description="trained systems that have a speech adapter; the others are compared with the first",
    )
    utterances: Annotated[int, Field(ge=2)] = Field(64, description="number of dev clips, over all training corpora")
    probe: str = Field(
        "The speaker sounds",
        min_length=1,
        description="start of a response that follows speech and text input alike: what then differs between clips "
        "comes from the input",
    )


class Figures(Section):
    """The figures of the paper."""

    drop: Names = Field(
        ("sft", "aligncap"),
        description="figure 1: trained systems that are shown on dev speakers of the training corpora and zero-shot",
    )
    in_domain: Count = Field(
        24, description="figure 1: number of dev clips of each training corpus that are captioned for it"
    )
    representations: Representations = Representations()
    perplexity: Positive = Field(
        15.0, description="figure 3: how many neighbours t-SNE has each point keep; lowered where there are few points"
    )
    seed: Seed = Field(0, description="figure 3: seed of t-SNE")
    selective: Names = Field(
        ("tag_template", "sft", "kd", "aligncap"),
        description="figure 4: systems whose captions are withheld where the emotion tag is least sure",
    )
