"""Sections of the tables and figures."""

from __future__ import annotations

from pydantic import Field

from aligncap.config.base import Count, Positive, Section


class Table(Section):
    """One table: its rows and what they are compared with."""

    systems: tuple[str, ...] | None = Field(
        None, description="rows in this order; those that the experiment lacks are left out; null: every system"
    )
    against: str = Field("sft", description="baseline of the paired differences")


class Tables(Section):
    """The tables of the paper; each is made where the experiment has two of its systems."""

    table1: Table = Table()
    table2: Table = Table()
    table3: Table = Table()
    table4: Table = Table()
    claims: tuple[tuple[str, str], ...] = Field(
        (), description="(system, against) of the claims table; pairs that the experiment lacks are left out"
    )


class Representations(Section):
    """Hidden states of paired speech and text input, for figure 3; dev utterances of the training corpora."""

    systems: tuple[str, ...] = Field(
        ("kd",), description="trained systems with a speech adapter; the first is compared"
    )
    utterances: Count = Field(64, description="dev utterances, over all training corpora")
    probe: str = Field(
        "The speaker sounds",
        min_length=1,
        description="start of a response, the same for every utterance, that both sides read: what then differs "
        "between utterances comes from the input",
    )


class Figures(Section):
    """The figures of the paper."""

    drop: tuple[str, ...] = Field((), description="figure 1: trained systems shown in-domain and zero-shot")
    in_domain: Count = Field(64, description="figure 1: dev utterances of each training corpus that are captioned")
    representations: Representations = Representations()
    perplexity: Positive = Field(15.0, description="of t-SNE; lowered where there are few points")
    seed: int = 0
