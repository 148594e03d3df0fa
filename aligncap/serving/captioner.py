"""The captioner as a Python object: audio file in, one sentence and its clues out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.clues import Clue
from aligncap.config import Compute, Features, ModelSource, Prompts, Tagger, Transcripts
from aligncap.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aligncap.captioner.example import Example
    from aligncap.captioner.model import CaptionModel

MODELS_VARIABLE = "ALIGNCAP_MODELS"
HEARING = ("models", "features", "transcripts", "tagger")  # sections of system.json that decide what is heard


@dataclass(frozen=True)
class Caption:
    """What the captioner says of one file."""

    path: str
    caption: str
    clues: list[dict[str, Any]]  # kind, word, lemma, intensity, negated, probability
    transcript: str


@dataclass(frozen=True)
class Heard:
    """What the captioner knows of one recording before the LLM speaks."""

    example: Example  # what ``CaptionModel.speech_prompts`` reads
    clues: list[Clue]
    transcript: str


def _models_folder(checkpoint: Path, models: Path | None) -> Path:
    """Where the base models lie: the argument, the environment, or a ``models`` folder above the checkpoint or here."""
    if models is not None:
        return models
    if os.environ.get(MODELS_VARIABLE):
        return Path(os.environ[MODELS_VARIABLE])
    for folder in [*checkpoint.resolve().parents, Path.cwd()]:
        if (folder / "models").is_dir():
            return folder / "models"
    raise ModelError(
        f"{checkpoint}: found no folder 'models' with the base models above it; "
        f"pass models=…, or set {MODELS_VARIABLE} to the folder"
    )


def _digest(sections: Mapping[str, Any], tagger: Mapping[str, NDArray[Any]]) -> str:
    """sha256 of settings and tagger weights."""
    digest = hashlib.sha256(json.dumps(sections, sort_keys=True).encode())
    for name in sorted(tagger):
        digest.update(name.encode() + tagger[name].tobytes())
    return digest.hexdigest()


class Captioner:
    """A trained checkpoint with everything it needs to caption a file.

    Example:
        >>> captioner = Captioner.load("results/default/checkpoints/aligncap")  # doctest: +SKIP
        >>> captioner.caption("speech.wav").caption  # doctest: +SKIP
    """

    def __init__(self, folder: Path, models: Path, compute: Compute) -> None:
        from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint, load_tagger, read_system
        from aligncap.captioner.sources import model_folder
        from aligncap.clues import tagger
        from aligncap.device import pick_device
        from aligncap.speech.asr import Transcriber
        from aligncap.speech.encoder import load_encoder

        paths = CheckpointPaths.of(folder)
        system = read_system(paths)
        sources = {role: ModelSource(**source) for role, source in system["models"].items()}
        folders = {role: model_folder(models / source.name / "manifest.json") for role, source in sources.items()}
        device = pick_device(compute)
        self._features = Features(**system["features"])
        self._transcripts = Transcripts(**system["transcripts"])
        self._prompts = Prompts(**system["prompts"])
        self._clues = Tagger(**system["tagger"])
        self.model: CaptionModel = load_checkpoint(paths, folders["llm"], compute)
        tensors = {name: t.numpy() for name, t in load_tagger(paths).items()}
        self._tagger = tagger.Tagger.from_tensors(tensors)
        heard_by = {name: system[name] for name in HEARING} | {"words": self._prompts.max_semantic_tokens}
        self.hearing = _digest(heard_by, tensors)  # captioners of the same digest hear the same
        if self._tagger.normalise != "train":
            raise ConfigError(
                f"{folder}: its tagger normalises by the statistics of a whole {self._tagger.normalise}, which a "
                "single file has not; train one with tagger.normalise: train"
            )
        self._text_clue = None
        if self._clues.text_clue == "join":
            from aligncap.clues.text_clue import TextClue
            from aligncap.text import SentenceEncoder

            self._text_clue = TextClue(SentenceEncoder(folders["sentence_encoder"]))
        self._encoder = load_encoder(folders["speech_encoder"], device)
        self._transcriber = Transcriber(folders["asr"], compute)

    @classmethod
    def load(cls, folder: str | Path, models: str | Path | None = None, compute: Compute | None = None) -> Captioner:
        """Load a checkpoint folder.

        Args:
            folder: the four files that training wrote, for example ``results/default/checkpoints/aligncap``.
            models: folder of the base models; by default the environment's ``ALIGNCAP_MODELS``, else a folder
                ``models`` above the checkpoint or in the working directory.
            compute: device and threads; by default a GPU where there is one.

        Raises:
            ModelError: a file is missing or does not fit.
            ConfigError: the checkpoint's tagger needs a whole corpus.
        """
        checkpoint = Path(folder)
        if not checkpoint.is_dir():
            raise ModelError(f"{folder}: no such checkpoint folder; train one with 'make demo'")
        return cls(
            checkpoint,
            _models_folder(checkpoint, Path(models) if models else None),
            compute or Compute(precision="auto"),
        )

    def caption(self, path: str | Path, language: str | None = None) -> Caption:
        """Caption one audio file; see ``caption_all``."""
        return next(self.caption_all([path], language))

    def caption_all(
        self, paths: Sequence[str | Path], language: str | None = None, max_new_tokens: int = 40
    ) -> Iterator[Caption]:
        """Caption audio files one by one, in order.

        Args:
            paths: files that soundfile or PyAV can read, at most 60 s each; any sample rate, channels are averaged.
            language: ISO 639-1 of the speech; detected by the ASR where None.
            max_new_tokens: longest caption.

        Raises:
            AudioError: a file is not usable audio; says why.
        """
        import torch

        from aligncap.captioner.generate import generate
        from aligncap.speech.audio import load_audio

        for path in paths:
            heard = self.hear(load_audio(path), language)
            with torch.no_grad():
                prompts = self.model.speech_prompts([heard.example])
            ((response,),) = generate(self.model, prompts, max_new_tokens)
            clues = [clue.to_dict() for clue in heard.clues]
            yield Caption(str(path), self.model.decode(response.token_ids), clues, heard.transcript)

    def hear(self, samples: NDArray[np.float32], language: str | None = None) -> Heard:
        """Everything of a recording that the LLM will be told: features, clues and transcript.

        What one captioner heard another may caption, where their ``hearing`` is the same.

        Args:
            samples: float32 ``[n]``, mono, 16 kHz, full scale 1.
            language: ISO 639-1 of the speech; detected by the ASR where None.
        """
        from aligncap.captioner.example import Example
        from aligncap.clues.prompts import acoustic_prompt, semantic_ids
        from aligncap.speech.features import pool_layers

        features = pool_layers(self._encoder.encode(samples), self._features)
        transcript, _ = self._transcriber.transcribe(samples, language, self._transcripts.task)
        clues = self._tags(self._tagger.predict(features), transcript)
        ids = semantic_ids(self.model.tokenizer, transcript, self._prompts.max_semantic_tokens)
        return Heard(Example("", "", (), "", acoustic_prompt(clues), tuple(ids), features), clues, transcript)

    def _tags(self, tags: dict[str, dict[str, float]], transcript: str) -> list[Clue]:
        from aligncap.clues.text_clue import join

        if self._text_clue is not None and "emotion" in tags:
            text = self._text_clue.tags([transcript])[0]
            tags = {**tags, "emotion": join(tags["emotion"], text, self._clues.text_weight)}
        return self._tagger.clues(tags, self._clues.threshold, self._tagger.thresholds)
