"""Sections of a corpus: what reads it, its role, and where its captions come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from aligncap.config.base import Count, Positive, Section
from aligncap.extensions import names


class CaptionSource(Section):
    """Where the captions of a corpus without human captions come from."""

    source: Literal["auto", "corpus", "grammar", "bank"] = Field(
        "auto",
        description="its own captions, the project's caption grammar, or a caption bank file; auto: its own where the "
        "corpus has them, else the grammar",
    )
    bank: str | None = Field(None, description="JSONL with caption, emotion, intensity, level, pitch, rate")
    per_utterance: Count = Field(1, description="captions written for an utterance")
    seed: int = 0

    @model_validator(mode="after")
    def _bank_needs_file(self) -> CaptionSource:
        if (self.source == "bank") != (self.bank is not None):
            raise ValueError("captions.bank is a file exactly when captions.source is 'bank'")
        return self


class Part(Section):
    """One of the two sides of a corpus that is cut in two; the other side is another corpus of the experiment."""

    side: Literal["rest", "held_out"]
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.25,
        description="of the clips, held out in whole groups that share no speaker, session or caption with the rest",
    )
    seed: int = 0


if TYPE_CHECKING:
    AdapterName = str
else:
    AdapterName = Literal[
        "synthetic",
        "manifest",
        "huggingface",
        "webdataset",
        "crema_d",
        "emns",
        "emodb",
        "emosec",
        "esd",
        "iemocap",
        "meld",
        "mer2023",
        "nemo",
        "nnime",
        "promptspeech",
        "ravdess",
        "savee",
        "tess",
        "textrolspeech",
        "urdu",
        *names("corpora"),
    ]


class Corpus(Section):
    """One corpus and its role in this experiment."""

    adapter: AdapterName
    role: Literal["train", "test", "unlabelled"] = Field(
        description="unlabelled: only its sound is used, by the clue tagger; its labels are not even kept"
    )
    root: str | None = Field(None, description="folder, table or shard, from the project root, or hf://org/name@commit")
    language: str | None = Field(None, description="ISO 639-1; needed where the adapter cannot tell")
    captions: CaptionSource = CaptionSource()
    part: Part | None = Field(
        None, description="take one side only; tested where the other side trains, it is in-domain, marked"
    )
    limit: Count | None = Field(None, description="keep this many clips, drawn evenly over speakers and emotions")
    on_error: Literal["skip", "fail"] = Field("skip", description="skipped clips are listed in skipped.parquet")
    max_duration_s: Positive = Field(60.0, description="longer clips are bad input", json_schema_extra={"unit": "s"})
    clips: Count | None = Field(None, description="synthetic: how many to make")
    voices: tuple[str, ...] = Field((), description="synthetic: espeak-ng voices, such as en-us+f3")
    style: Literal["a", "b"] | None = Field(None, description="synthetic: caption grammar")
    columns: dict[str, str] = Field(
        {}, description="manifest, huggingface, webdataset: our column name -> the table's column name"
    )
    licence: str | None = Field(None, description="of its recordings, as the report names it; null: the adapter's")
    split: str | None = Field(None, description="huggingface: which split, as in train[:100]; null: all of them")

    @model_validator(mode="after")
    def _adapter_needs(self) -> Corpus:
        if self.adapter == "synthetic":
            if not (self.clips and self.voices and self.style and self.language):
                raise ValueError("a synthetic corpus needs clips, voices, style and language")
        elif self.root is None:
            raise ValueError(f"a corpus of adapter '{self.adapter}' needs root")
        if self.columns and self.adapter not in ("manifest", "huggingface", "webdataset"):
            raise ValueError(f"columns: adapter '{self.adapter}' knows its own; leave it out, or use 'manifest'")
        if self.split is not None and self.adapter != "huggingface":
            raise ValueError("split is of adapter 'huggingface'; name the table or folder of a split in root")
        return self


def share_no_clip(one: Corpus, other: Corpus) -> bool:
    """Whether two corpora are different published splits of one data set."""
    names = [c.split.partition("[")[0] if c.split else "" for c in (one, other)]
    return "" not in names and names[0] != names[1] and "+" not in "".join(names)
