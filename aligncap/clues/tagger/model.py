"""The clue tagger: one calibrated linear classifier (head) for each clue kind predicts tags from speech (ours).

Frozen speech features are standardised after pooling to the mean (and standard deviation) over the frames of each
layer. Multinomial logistic regression on their first principal components gives logits z; each head is stored as one
weight matrix on the features. The probabilities are ``p = softmax(z / T)``, with a temperature T for each head that is
fitted on out-of-fold logits. The kinds of ``tagger.measured`` use the clip's measured value instead (pitch, level, rate
of ``speech/prosody.py``), whose scale is the same in a new corpus. A tag below the threshold is left out, and speech
unlike the training speech gets probabilities nearer to even (``clues/tagger/familiarity.py``). Weights are safetensors
with JSON metadata. ``clues/tagger/training.py`` trains the tagger, ``clues/tagger/prediction.py`` tags a corpus.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.tagger.familiarity import Familiarity
from aligncap.clues.tagger.heads import LABELS, Array, Head, softmax, standardise, standardised_rows
from aligncap.errors import ArtifactError
from aligncap.vocabulary import MEASURE, Clue

UNINFORMATIVE = ("mid", "normal", "clear")  # tags that are predicted but never become a clue
FORMAT = "aligncap.tagger/4"

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
    from aligncap.speech.features import stream_features

    own = {row["utterance_id"]: row for row in artifacts.stream_rows(prosody, "prosody")}
    found = {}
    for key, value in stream_features(Path(features)):
        if key not in own:
            raise ArtifactError(f"{prosody}: no row of '{key}', which has features; run measure_prosody again")
        found[key] = clip_row(value, own[key], pooling, measured)
    return found


class Tagger:
    """The clue tagger: it predicts probabilities of each kind's tags from a clip's features and measured values."""

    def __init__(
        self,
        mean: Array,
        scale: Array,
        heads: Mapping[str, Head],
        known: Familiarity,
        normalise: str,
        pooling: str,
        measured: Sequence[str] = (),
    ) -> None:
        """Make a tagger from its fitted parts.

        Args:
            mean: Mean of the training clips, [F].
            scale: Scale of the training clips, [F].
            heads: Head of each clue kind.
            known: What is known of the training speech.
            normalise: ``train``, ``corpus`` or ``speaker``, as in training.
            pooling: ``mean`` or ``mean_std``, as in training.
            measured: Kinds whose measured values are the last columns.
        """
        self.mean, self.scale, self.heads, self.known = mean, scale, dict(heads), known
        self.normalise, self.pooling = normalise, pooling
        self.measured = tuple(measured)

    def predict_rows(self, rows: Array, groups: Sequence[str] | None = None) -> list[tuple[Tags, float]]:
        """Compute the calibrated probability of each kind's labels for rows [N, F], and the familiarity of each row.

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
        found = {kind: softmax(head.logits(standardised) / head.temperature) for kind, head in self.heads.items()}
        familiar = self.known.of(standardised[:, : rows.shape[1] - len(self.measured)])
        return [
            (
                {kind: dict(zip(self.heads[kind].labels, map(float, p[i]), strict=True)) for kind, p in found.items()},
                float(familiar[i]),
            )
            for i in range(len(rows))
        ]

    def predict(self, features: NDArray[Any], prosody: Mapping[str, Any]) -> tuple[Tags, float]:
        """Compute the calibrated probability of each kind's labels for one clip, and the clip's familiarity.

        The stored statistics are used.

        Args:
            features: Features of the clip, [L, T, D].
            prosody: As for ``figures``; may be empty where ``measured`` is.
        """
        return self.predict_rows(clip_row(features, prosody, self.pooling, self.measured)[None])[0]

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
        tensors |= {f"known.{name}": array for name, array in vars(self.known).items()}
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
            known = Familiarity(*(arrays[f"known.{field.name}"] for field in fields(Familiarity)))
            facts = meta["normalise"], meta["pooling"], meta["measured"]
            return cls(arrays["mean"], arrays["scale"], heads, known, *facts)
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
