"""The clue tagger: one calibrated linear classifier (head) for each clue kind predicts tags from speech (ours).

Frozen speech features are standardised after pooling to the mean (and standard deviation) over the frames of each
layer. Multinomial logistic regression on their first principal components gives logits z; each head is stored as one
weight matrix on the features. The probabilities are ``p = softmax(z / T)``, with a temperature T for each head that is
fitted on out-of-fold logits. The kinds of ``tagger.measured`` use the clip's measured value instead (pitch, level, rate
of ``speech/prosody.py``), whose scale is the same in a new corpus. A tag below the threshold is left out. Weights are
safetensors with JSON metadata. ``clues/tagger/training.py`` trains the tagger.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.prompts import clue_row, load_tokenizer, read_transcripts
from aligncap.clues.tagger.heads import LABELS, Array, Head, softmax, standardise, standardised_rows
from aligncap.clues.text_clue import TextClue, join
from aligncap.config import Prompts, TaggerSettings
from aligncap.errors import ArtifactError, CorpusError
from aligncap.vocabulary import MEASURE, Clue

UNINFORMATIVE = ("mid", "normal", "clear")  # tags that are predicted but never become a clue
FORMAT = "aligncap.tagger/3"

Tags = dict[str, dict[str, float]]  # kind -> label -> probability


def pooled(features: NDArray[Any], pooling: str) -> Array:
    """Pool features over frames to the mean, [L D], or to mean and standard deviation, [2 L D], float32, means first.

    Args:
        features: Features of a clip, [L, T, D].
        pooling: "mean" or "mean_std".

    Raises:
        ArtifactError: The features have another shape or no frame.
    """
    if features.ndim != 3 or features.shape[1] == 0:
        raise ArtifactError(f"tagger: features must be [layers, frames, dim] with a frame, got {features.shape}")
    frames = features.astype(np.float32)
    means = frames.mean(axis=1).ravel()
    return means if pooling == "mean" else np.concatenate([means, frames.std(axis=1).ravel()])


def figures(prosody: Mapping[str, Any], measured: Sequence[str]) -> Array:
    """Return the measured values of a clip for the tagger, [K] float32: pitch in octaves, or NaN where there is none.

    The terciles of the row are not used, because they compare a clip with others of its speaker.

    Args:
        prosody: Row of the artifact ``prosody``, or the fields of ``speech.prosody.Prosody``.
        measured: K kinds of ``tagger.measured``.
    """

    def figure(kind: str) -> float:
        value: float | None = prosody[MEASURE[kind]]
        if value is None:
            return math.nan
        return math.log2(value) if kind == "pitch" else value

    return np.array([figure(kind) for kind in measured], dtype=np.float32)


def clip_row(features: NDArray[Any], prosody: Mapping[str, Any], pooling: str, measured: Sequence[str]) -> Array:
    """Return the tagger's input for a clip, [F] float32: its ``pooled`` features, then its measured ``figures``."""
    return np.concatenate([pooled(features, pooling), figures(prosody, measured)])


def read_corpus(features: str | Path, prosody: str | Path, pooling: str, measured: Sequence[str]) -> dict[str, Array]:
    """Read the tagger's inputs for a corpus: the ``clip_row`` [F] of each utterance id.

    Args:
        features: Artifact ``features``.
        prosody: Artifact ``prosody``, with a row for each clip of ``features``.
        pooling: As for ``pooled``.
        measured: As for ``figures``.

    Raises:
        ArtifactError: A clip has no row of prosody.
    """
    from aligncap.speech.features import load_features

    own = {row["utterance_id"]: row for row in artifacts.read_rows(prosody, "prosody")}
    heard = load_features(Path(features))
    if missing := sorted(heard.keys() - own.keys()):
        raise ArtifactError(f"{prosody}: no row of '{missing[0]}', which has features; run measure_prosody again")
    return {key: clip_row(value, own[key], pooling, measured) for key, value in heard.items()}


class Tagger:
    """The clue tagger: it predicts probabilities of each kind's tags from a clip's features and measured values."""

    def __init__(
        self,
        mean: Array,
        scale: Array,
        heads: Mapping[str, Head],
        normalise: str,
        pooling: str,
        measured: Sequence[str] = (),
    ) -> None:
        """Make a tagger from its fitted parts.

        Args:
            mean: Mean of the training clips, [F].
            scale: Scale of the training clips, [F].
            heads: Head of each clue kind.
            normalise: ``train``, ``corpus`` or ``speaker``, as in training.
            pooling: ``mean`` or ``mean_std``, as in training.
            measured: Kinds whose measured values are the last columns.
        """
        self.mean, self.scale, self.heads = mean, scale, dict(heads)
        self.normalise, self.pooling = normalise, pooling
        self.measured = tuple(measured)

    def predict_pooled(self, rows: Array, groups: Sequence[str] | None = None) -> dict[str, NDArray[np.float64]]:
        """Compute the calibrated probabilities [N, C] of each kind for rows [N, F].

        Args:
            rows: Rows of ``read_corpus``, stacked.
            groups: Group of each row; a group is standardised by its own statistics (``normalise: corpus | speaker``).
                With None the stored statistics are used.

        Raises:
            ArtifactError: The rows have another width than those of the training.
        """
        if rows.shape[1] != len(self.mean):
            raise ArtifactError(
                f"tagger: trained on {len(self.mean)} pooled features, got {rows.shape[1]}; "
                "use the encoder and features.layers that it was trained with"
            )
        if groups is None:
            standardised = standardise(rows, self.mean, self.scale)
        else:
            standardised = standardised_rows(rows, groups, self.normalise, np.arange(len(rows)))
        return {kind: softmax(head.logits(standardised) / head.temperature) for kind, head in self.heads.items()}

    def predict(self, features: NDArray[Any], prosody: Mapping[str, Any]) -> Tags:
        """Compute the calibrated probability of each kind's labels for one clip, with the stored statistics.

        Args:
            features: Features of the clip, [L, T, D].
            prosody: As for ``figures``; may be empty where ``measured`` is.
        """
        found = self.predict_pooled(clip_row(features, prosody, self.pooling, self.measured)[None])
        return {
            kind: dict(zip(self.heads[kind].labels, map(float, rows[0]), strict=True)) for kind, rows in found.items()
        }

    @staticmethod
    def clues(probabilities: Mapping[str, Mapping[str, float]], threshold: float) -> list[Clue]:
        """Return the likeliest tag of each kind as a clue, unless its probability is below the threshold.

        The tags "mid" (level, pitch, rate), "normal" (intensity) and "clear" (timbre) give no clue. The intensity is
        that of the tagged emotion, so there is none without an emotion or with "neutral".

        Args:
            probabilities: Probability of each label by kind.
            threshold: Least probability of a tag.
        """
        best = {kind: max(tags.items(), key=lambda tag: tag[1]) for kind, tags in probabilities.items()}
        sure = {kind: tag for kind, tag in best.items() if tag[1] >= threshold and tag[0] not in UNINFORMATIVE}
        if sure.get("emotion", ("neutral",))[0] == "neutral":
            sure.pop("intensity", None)
        degree = sure["intensity"][0] if "intensity" in sure else "normal"
        return [
            Clue(kind, tag, tag, degree if kind == "emotion" else "normal", probability=float(probability))
            for kind in LABELS
            if kind in sure
            for tag, probability in [sure[kind]]
        ]

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the tensors ``mean``, ``scale``, ``{kind}.weight``, ``{kind}.bias`` and ``meta`` (JSON as uint8).

        The metadata is a tensor, so that a checkpoint can hold the tagger together with other weights.
        """
        tensors: dict[str, NDArray[Any]] = {"mean": self.mean, "scale": self.scale}
        for kind, head in self.heads.items():
            tensors[f"{kind}.weight"], tensors[f"{kind}.bias"] = head.weight, head.bias
        heads = {k: {"labels": list(h.labels), "temperature": h.temperature} for k, h in self.heads.items()}
        facts = {"normalise": self.normalise, "pooling": self.pooling, "measured": list(self.measured)}
        meta = {"format": FORMAT, "heads": heads, **facts}
        tensors["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8)
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Any]) -> Tagger:
        """Make a tagger from the result of ``to_tensors``, as arrays or as torch tensors.

        Raises:
            ArtifactError: The metadata is missing or has another format, or a tensor is missing.
        """
        meta = json.loads(np.asarray(tensors.get("meta", []), dtype=np.uint8).tobytes() or b"{}")
        if meta.get("format") != FORMAT:
            raise ArtifactError(f"tagger: expected format '{FORMAT}', got {meta.get('format')!r}; train it again")
        arrays = {name: np.asarray(value, dtype=np.float32) for name, value in tensors.items() if name != "meta"}
        try:
            heads = {
                kind: Head(tuple(h["labels"]), arrays[f"{kind}.weight"], arrays[f"{kind}.bias"], h["temperature"])
                for kind, h in meta["heads"].items()
            }
            facts = meta["normalise"], meta["pooling"], meta["measured"]
            return cls(arrays["mean"], arrays["scale"], heads, *facts)
        except KeyError as error:
            raise ArtifactError(f"tagger: {error} is missing from the weights; train it again") from error

    def save(self, path: str | Path) -> None:
        """Write the tagger as safetensors, atomically; equal taggers give equal bytes."""
        from safetensors.numpy import save_file

        with artifacts.atomic_path(path) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in self.to_tensors().items()}, temporary)

    @classmethod
    def load(cls, path: str | Path) -> Tagger:
        """Load a tagger that ``save`` wrote.

        Raises:
            ArtifactError: The file is missing or not a tagger.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return cls.from_tensors(load_file(path))
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{path}: not a tagger ({error}); run the rule train_tagger") from error


def normalisation_groups(normalise: str, audio: Sequence[Mapping[str, Any]], corpus: str) -> dict[str, str]:
    """Return the normalisation group of each utterance id, whose clips are standardised together.

    The group is the corpus. With ``normalise: speaker`` it is the speaker or session if that has at least six clips.
    """
    from aligncap.speech.groups import reference_groups

    names = reference_groups(audio) if normalise == "speaker" else ["corpus"] * len(audio)
    return {row["utterance_id"]: f"{corpus}/{name}" for row, name in zip(audio, names, strict=True)}


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
        predicted = predict_corpus(model, inputs.features, inputs.prosody, inputs.audio, corpus, tagger.normalise)
    said = read_transcripts(inputs.transcripts)
    if tagger.text_clue == "join":
        predicted = join_text(predicted, said, tagger.text_weight, inputs.encoder)
    tokenizer = load_tokenizer(inputs.llm)
    rows = []
    for key, transcript in said.items():
        clues = Tagger.clues(predicted.get(key, {}), tagger.threshold)
        rows.append(clue_row(key, clues, transcript, tokenizer, settings.prompts))
    notes = {
        "normalise": tagger.normalise,
        "transductive": tagger.normalise != "train" and settings.role == "test",
        "text_clue": tagger.text_clue,
    }
    artifacts.write(rows, out, "clues", "predict_clues", notes)


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
    for row in artifacts.read_rows(path, "tagger_predictions"):
        if row["corpus"] == corpus and row["labels"]:
            tags = dict(zip(row["labels"], row["probabilities"], strict=True))
            predicted.setdefault(row["utterance_id"], {})[row["kind"]] = tags
    return predicted


def predict_corpus(
    model: Tagger, features: str | Path, prosody: str | Path, audio: str | Path, corpus: str, normalise: str
) -> dict[str, Tags]:
    """Compute the calibrated probabilities of every clip of a corpus by utterance id.

    Raises:
        ArtifactError: The tagger was trained with another normalisation or on other features.
    """
    if model.normalise != normalise:
        raise ArtifactError(
            f"tagger: trained with normalise '{model.normalise}', asked for '{normalise}'; train it again"
        )
    rows = read_corpus(features, prosody, model.pooling, model.measured)
    if not rows:
        return {}
    groups = None
    if normalise != "train":
        together = normalisation_groups(normalise, artifacts.read_rows(audio, "audio"), corpus)
        groups = [together[key] for key in rows]
    found = model.predict_pooled(np.stack(list(rows.values())), groups)
    return {
        key: {kind: dict(zip(model.heads[kind].labels, map(float, p[i]), strict=True)) for kind, p in found.items()}
        for i, key in enumerate(rows)
    }
