"""The section ``systems``: the rows of the tables, each a way to caption."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from aligncap.config.base import Section

Stage = Literal["chance", "constant", "retrieval", "tag_template", "external", "alignment", "preference"]
# What a system may override. The other sections are shared by every system of an experiment, which is what makes its
# rows comparable; change them in an experiment of its own.
OVERRIDABLE = ("adapter", "prompts", "warm_start", "teacher", "alignment", "preference", "seed")
# A system of stage preference continues its parent's model as it is.
OVERRIDABLE_PREFERENCE = ("preference", "seed")


class System(Section):
    """One row of the tables."""

    stage: Stage | None = Field(
        None,
        description="what makes its captions: alignment trains on speech; preference trains a parent system further on "
        "preference pairs; external reads another model's captions from files; chance shuffles the references of the "
        "test corpus; constant gives every clip the most typical training caption; retrieval takes the caption of the "
        "training clip that sounds most alike; tag_template puts predicted clues into a fixed sentence",
    )
    extends: str | None = Field(
        None, description="another system whose stage, parent, captions and overrides it takes over, and may change"
    )
    parent: str | None = Field(
        None,
        description="for stage preference: the system of stage alignment, or the earlier one of stage preference, that "
        "it starts from",
    )
    captions: dict[str, str] = Field(
        {}, description="for stage external: a file of captions (JSONL, CSV, TSV or Parquet) for each test corpus"
    )
    overrides: dict[str, Any] = Field(
        {},
        description=f"keys that differ from the sections above; of {', '.join(OVERRIDABLE)}, and for stage preference "
        "only of preference and seed",
    )
    seeds: tuple[int, ...] = Field(
        (),
        description="further seeds: each is trained as a system {name}@{seed} of its own, and tables average over all",
    )
