"""The predicted clues of a corpus: the rule ``predict_clues`` and what it shares with the table of the tagger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligncap import artifacts
from aligncap.clues.prompts import clue_row, load_tokenizer, read_transcripts
from aligncap.clues.tagger.familiarity import doubted
from aligncap.clues.tagger.model import Tagger, Tags, normalisation_groups, read_corpus
from aligncap.clues.text_clue import TextClue, join
from aligncap.config import Prompts, TaggerSettings
from aligncap.errors import ArtifactError, CorpusError


@dataclass(frozen=True)
class PredictionSettings:
    """Settings of the predicted clues of a corpus.

    Attributes:
        corpus: Name of the corpus.
        role: "train" to use the out-of-fold predictions, "test" to predict with the weights.
        tagger: Section ``tagger``, such as the threshold.
        prompts: Section ``prompts``, of which ``max_semantic_tokens`` is used.
    """

    corpus: str
    role: str
    tagger: TaggerSettings
    prompts: Prompts


@dataclass(frozen=True)
class PredictionInputs:
    """Input files of the predicted clues of a corpus.

    Attributes:
        weights: Safetensors that ``train_tagger`` wrote.
        features: Artifact ``features``.
        prosody: Artifact ``prosody``, with the values of ``tagger.measured``.
        audio: Artifact ``audio``, with speakers and sessions for the normalisation groups.
        transcripts: Artifact ``transcripts``; the output has a row for each of its utterances.
        out_of_fold: Artifact ``tagger_predictions``, needed for role "train".
        llm: Manifest of the LLM, whose tokenizer is used.
        encoder: Manifest of the sentence encoder, needed for ``text_clue: join``.
    """

    weights: Path
    features: Path
    prosody: Path
    audio: Path
    transcripts: Path
    out_of_fold: Path | None
    llm: Path
    encoder: Path | None


def predict_clues(settings: PredictionSettings, inputs: PredictionInputs, out: str | Path) -> None:
    """Write the predicted clues of each utterance of a corpus and its two prompts (rule ``predict_clues``).

    Args:
        settings: Corpus and its role, tagger and prompts.
        inputs: Tagger and artifacts of the corpus.
        out: Artifact ``clues`` to write; its notes tell whether statistics of the corpus's audio were used.

    Raises:
        CorpusError: Role "train" lacks out-of-fold predictions, or ``text_clue: join`` lacks a sentence encoder.
    """
    tagger, corpus = settings.tagger, settings.corpus
    if settings.role == "train":
        if inputs.out_of_fold is None:
            raise CorpusError(
                f"predict_clues: training corpus '{corpus}' needs the out-of-fold predictions of train_tagger"
            )
        predicted = read_out_of_fold(inputs.out_of_fold, corpus)
    else:
        model = Tagger.load(inputs.weights)
        predicted = predict_corpus(model, inputs.features, inputs.prosody, inputs.audio, corpus, tagger)
    said = read_transcripts(inputs.transcripts)
    if tagger.text_clue == "join":
        predicted = join_text(predicted, said, tagger.text_weight, inputs.encoder)
    tokenizer = load_tokenizer(inputs.llm)
    rows = (
        clue_row(key, Tagger.clues(predicted.get(key, {}), tagger.threshold), transcript, tokenizer, settings.prompts)
        for key, transcript in said.items()
    )
    notes = {
        "normalise": tagger.normalise,
        "transductive": tagger.normalise != "train" and settings.role == "test",
        "text_clue": tagger.text_clue,
    }
    artifacts.write_rows(rows, out, "clues", "predict_clues", notes)


def join_text(
    predicted: Mapping[str, Tags], said: Mapping[str, str], weight: float, encoder_manifest: str | Path | None
) -> dict[str, Tags]:
    """Join the text clue to the emotion predictions of each utterance; those without emotion are not changed.

    Raises:
        CorpusError: No sentence encoder is given.
    """
    from aligncap.models.sentence_encoder import SentenceEncoder
    from aligncap.models.sources import model_folder

    if encoder_manifest is None:
        raise CorpusError("tagger.text_clue: 'join' needs models.sentence_encoder; fetch it, or set it to 'off'")
    texts = TextClue(SentenceEncoder(model_folder(encoder_manifest))).tags([said.get(key, "") for key in predicted])
    return {
        key: {**tags, "emotion": join(tags["emotion"], text, weight)} if "emotion" in tags else dict(tags)
        for (key, tags), text in zip(predicted.items(), texts, strict=True)
    }


def read_out_of_fold(path: str | Path, corpus: str) -> dict[str, Tags]:
    """Read the calibrated out-of-fold probabilities of a corpus by utterance id, where there are any."""
    predicted: dict[str, Tags] = {}
    for row in artifacts.stream_rows(path, "tagger_predictions"):
        if row["corpus"] == corpus and row["labels"]:
            tags = dict(zip(row["labels"], row["probabilities"], strict=True))
            predicted.setdefault(row["utterance_id"], {})[row["kind"]] = tags
    return predicted


def predict_corpus(
    model: Tagger, features: str | Path, prosody: str | Path, audio: str | Path, corpus: str, settings: TaggerSettings
) -> dict[str, Tags]:
    """Compute the calibrated probabilities of every clip of a corpus by utterance id, ``doubted`` where unfamiliar.

    Raises:
        ArtifactError: The tagger was trained with another normalisation or on other features.
    """
    if model.normalise != settings.normalise:
        raise ArtifactError(
            f"tagger: trained with normalise '{model.normalise}', asked for '{settings.normalise}'; train it again"
        )
    rows = read_corpus(features, prosody, model.pooling, model.measured)
    if not rows:
        return {}
    groups = None
    if settings.normalise != "train":
        together = normalisation_groups(settings.normalise, artifacts.read_rows(audio, "audio"), corpus)
        groups = [together[key] for key in rows]
    found = model.predict_rows(np.stack(list(rows.values())), groups)
    return {key: doubted(*own, settings.unfamiliar) for key, own in zip(rows, found, strict=True)}
