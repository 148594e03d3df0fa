"""Sections of a corpus: what reads it, its role, and where its captions come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from aligncap.config.base import Count, Positive, Section, Seed
from aligncap.config.languages import Language
from aligncap.extensions import names


class CaptionSource(Section):
    """Where the captions of a corpus without human captions come from."""

    source: Literal["auto", "corpus", "grammar", "bank"] = Field(
        "auto",
        description="where captions come from: corpus takes those of the corpus, grammar writes them by the project's "
        "caption grammar, bank takes them from a file; auto takes the corpus's own where it has some, else the grammar",
    )
    bank: str | None = Field(
        None,
        description="for source bank: a JSONL file with the keys caption, emotion, intensity, level, pitch and rate",
    )
    per_utterance: Count = Field(1, description="number of captions written for each clip")
    seed: Seed = Field(0, description="seed that chooses among fitting captions")

    @model_validator(mode="after")
    def _bank_needs_file(self) -> CaptionSource:
        if (self.source == "bank") != (self.bank is not None):
            raise ValueError("captions.bank is a file exactly when captions.source is 'bank'")
        return self


class Part(Section):
    """One of the two sides of a corpus that is cut in two; the other side is another corpus of the experiment."""

    side: Literal["rest", "held_out"] = Field(
        description="the side that this corpus is: held_out has the share below, rest has the other clips"
    )
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.25,
        description="share of the clips that is held out, in whole groups that have no speaker, session or caption in "
        "common with the rest",
    )
    seed: Seed = Field(0, description="seed that chooses the groups")


if TYPE_CHECKING:
    AdapterName = str
else:
    AdapterName = Literal[
        "synthetic",
        "manifest",
        "huggingface",
        "webdataset",
        "ased",
        "crema_d",
        "emns",
        "emodb",
        "emosec",
        "emovo",
        "esd",
        "iemocap",
        "koremo",
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

    adapter: AdapterName = Field(
        description="what reads it: synthetic makes speech with espeak-ng; manifest reads any table of clips; "
        "huggingface and webdataset read these formats; every other adapter is named after the data set that it reads "
        "(docs/corpora.md)"
    )
    role: Literal["train", "test", "unlabelled"] = Field(
        description="train: models learn from it; test: models are tested on it and never read its captions or labels; "
        "unlabelled: only the clue tagger learns from its sound, and its labels are not even kept"
    )
    root: str | None = Field(
        None,
        description="where it lies: a folder, table or shard, relative to the project's folder, or "
        "hf://org/name@commit; every adapter but synthetic needs it",
    )
    language: Language | None = Field(
        None,
        description="the language that is spoken, as its ISO 639-1 code (or haw, yue); needed where the adapter cannot "
        "tell",
    )
    captions: CaptionSource = CaptionSource()
    part: Part | None = Field(
        None,
        description="takes one side of a corpus that is cut in two; where one side trains and the other tests, rows "
        "of the tables are marked as in-domain; null takes the whole corpus",
    )
    limit: Count | None = Field(
        None, description="keeps this many clips, drawn evenly over speakers and emotions; null keeps all"
    )
    on_error: Literal["skip", "fail"] = Field(
        "skip", description="what a bad clip does: skip lists it in skipped.parquet and goes on, fail ends the run"
    )
    max_duration_s: Positive = Field(60.0, description="a clip of more seconds than this is a bad one")
    clips: Count | None = Field(None, description="for adapter synthetic: the number of clips to make")
    voices: tuple[str, ...] = Field((), description="for adapter synthetic: voices of espeak-ng, such as en-us+f3")
    style: Literal["a", "b"] | None = Field(
        None, description="for adapter synthetic: which set of sentences and which caption grammar, a or b"
    )
    columns: dict[str, str] = Field(
        {},
        description="for adapters manifest, huggingface and webdataset: the name of a column in the table, for each of "
        "our names that differs from it",
    )
    licence: str | None = Field(
        None, description="licence of its recordings, which the report names; null takes what the adapter knows"
    )
    split: str | None = Field(
        None, description="for adapter huggingface: the split to take, such as train[:100]; null takes all of them"
    )

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
