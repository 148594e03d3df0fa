"""The clue tagger: from frozen speech features to clue tags, one calibrated linear classifier a kind. Ours.

Features are pooled to mean and standard deviation over frames of each kept layer and standardised; multinomial
logistic regression on their first principal components, folded back into one weight matrix a head, gives logits; one
temperature a head, fitted on out-of-fold logits, calibrates them. Out of fold, a clip is predicted by a model that saw
neither the clip nor its fold (speakers or corpora, as the plan says). Weights are safetensors with JSON metadata.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues import SCALES, Clue, canonical
from aligncap.clues.fitting import (
    LABELS,
    Array,
    Head,
    Statistics,
    fit_heads,
    out_of_fold,
    softmax,
    standardised_rows,
    statistics,
)
from aligncap.clues.prompts import clue_row, load_tokenizer, read_transcripts
from aligncap.config import Prompts
from aligncap.config import Tagger as TaggerSettings
from aligncap.errors import ArtifactError, CorpusError

log = logging.getLogger(__name__)

UNINFORMATIVE = ("mid", "normal")  # tags that are predicted but never become a clue
FORMAT = "aligncap.tagger/1"


def pooled(features: NDArray[Any]) -> Array:
    """Mean and standard deviation over frames: [L, T, D] -> [2 L D], float32, all means before all deviations.

    Raises:
        ArtifactError: another shape, or no frame.
    """
    if features.ndim != 3 or features.shape[1] == 0:
        raise ArtifactError(f"tagger: features must be [layers, frames, dim] with a frame, got {features.shape}")
    frames = features.astype(np.float32)
    return np.concatenate([frames.mean(axis=1).ravel(), frames.std(axis=1).ravel()])


class Tagger:
    """Speech features -> probabilities of each clue kind's tags."""

    def __init__(self, mean: Array, scale: Array, heads: Mapping[str, Head], normalise: str) -> None:
        """Build from stored train statistics [F], one head a kind, and the normalisation it was trained with."""
        self.mean, self.scale, self.heads, self.normalise = mean, scale, dict(heads), normalise

    def predict_pooled(self, rows: Array, own: Statistics | None = None) -> dict[str, NDArray[np.float64]]:
        """Kind -> calibrated probabilities [N, C] of pooled features [N, F].

        Args:
            rows: output of ``pooled``, stacked.
            own: statistics of the rows' own corpus (``normalise: corpus``); the stored ones where None.
        """
        if rows.shape[1] != len(self.mean):
            raise ArtifactError(
                f"tagger: trained on {len(self.mean)} pooled features, got {rows.shape[1]}; "
                "use the encoder and features.layers that it was trained with"
            )
        mean, scale = own if own is not None else (self.mean, self.scale)
        standardised = (rows - mean) / scale
        return {kind: softmax(head.logits(standardised) / head.temperature) for kind, head in self.heads.items()}

    def predict(self, features: NDArray[Any], own: Statistics | None = None) -> dict[str, dict[str, float]]:
        """Kind -> label -> calibrated probability for one clip's features [L, T, D]."""
        found = self.predict_pooled(pooled(features)[None], own)
        return {
            kind: dict(zip(self.heads[kind].labels, map(float, rows[0]), strict=True)) for kind, rows in found.items()
        }

    @staticmethod
    def clues(probabilities: Mapping[str, Mapping[str, float]], threshold: float) -> list[Clue]:
        """The likeliest tag of each kind as a clue, unless it is less probable than ``threshold``.

        A likeliest tag of "mid" (level, pitch, rate) or "normal" (intensity) says nothing and gives no clue.
        """
        best = {kind: max(tags.items(), key=lambda tag: tag[1]) for kind, tags in probabilities.items()}
        sure = {kind: tag for kind, tag in best.items() if tag[1] >= threshold and tag[0] not in UNINFORMATIVE}
        degree = sure["intensity"][0] if "intensity" in sure else "normal"
        return [
            Clue(kind, tag, tag, degree if kind == "emotion" else "normal", probability=float(probability))
            for kind in LABELS
            if kind in sure
            for tag, probability in [sure[kind]]
        ]

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """``mean``, ``scale``, ``{kind}.weight``, ``{kind}.bias``, and ``meta``: a JSON text as bytes (uint8).

        The metadata travels as a tensor, so that a checkpoint can hold the tagger beside other weights.
        """
        tensors: dict[str, NDArray[Any]] = {"mean": self.mean, "scale": self.scale}
        for kind, head in self.heads.items():
            tensors[f"{kind}.weight"], tensors[f"{kind}.bias"] = head.weight, head.bias
        heads = {k: {"labels": list(h.labels), "temperature": h.temperature} for k, h in self.heads.items()}
        meta = {"format": FORMAT, "normalise": self.normalise, "heads": heads}
        tensors["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8)
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Any]) -> Tagger:
        """The inverse of ``to_tensors``; torch tensors will do as well.

        Raises:
            ArtifactError: the metadata is missing or another format's, or a tensor is missing.
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
            return cls(arrays["mean"], arrays["scale"], heads, meta["normalise"])
        except KeyError as error:
            raise ArtifactError(f"tagger: {error} is missing from the weights; train it again") from error

    def save(self, path: str | Path) -> None:
        """Write ``to_tensors`` as safetensors, atomically; equal taggers give equal bytes."""
        from safetensors.numpy import save_file

        with artifacts.atomic_path(path) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in self.to_tensors().items()}, temporary)

    @classmethod
    def load(cls, path: str | Path) -> Tagger:
        """Read what ``save`` wrote.

        Raises:
            ArtifactError: no such file, or not a tagger.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return cls.from_tensors(load_file(path))
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{path}: not a tagger ({error}); run the rule train_tagger") from error


def train_tagger(
    tagger: TaggerSettings,
    seed: int,
    plan: str | Path,
    features: Mapping[str, str | Path],
    references: Mapping[str, str | Path],
    prosody: Mapping[str, str | Path],
    weights_out: str | Path,
    predictions_out: str | Path,
) -> None:
    """Rule ``train_tagger``: out-of-fold predictions of every planned utterance, then the weights, from all of them.

    Heads: emotion (seven classes of the references' labels), level, pitch, rate (prosody terciles), and intensity
    where a corpus labels it. ``out_of_fold.parquet`` has a row for each utterance and
    kind, with no labels where no other fold could predict it; its notes carry accuracy and temperature by kind.

    Args:
        tagger: settings.
        seed: of the PCA.
        plan: artifact ``plan``; its ``fold`` says who is predicted by whom.
        features: corpus -> artifact ``features``.
        references: corpus -> artifact ``labels``.
        prosody: corpus -> artifact ``prosody``.
        weights_out: safetensors.
        predictions_out: artifact ``tagger_predictions``.

    Raises:
        CorpusError: a planned utterance has no features, or no kind has two labels.
    """
    planned = artifacts.read_rows(plan, "plan")
    rows = _pooled_rows(planned, features)
    targets = _targets(planned, references, prosody)
    corpora = [row["corpus"] for row in planned]
    folds = np.array([row["fold"] for row in planned], dtype=np.int64)
    probabilities, labels, temperatures = out_of_fold(rows, targets, folds, corpora, tagger, seed)
    heads = fit_heads(
        standardised_rows(rows, corpora, tagger.normalise, np.arange(len(rows))), targets, tagger.l2, seed
    )
    if not heads:
        raise CorpusError(f"{plan}: no clue kind has two different labels; give the tagger labelled training corpora")
    heads = {k: Head(h.labels, h.weight, h.bias, temperatures[k]) for k, h in heads.items()}
    Tagger(*statistics(rows), heads, tagger.normalise).save(weights_out)
    predictions, notes = [], {}
    for kind, names in labels.items():
        predicted = ~np.isnan(probabilities[kind][:, 0])
        known = [i for i, target in enumerate(targets[kind]) if target and predicted[i]]
        hits = [names[int(probabilities[kind][i].argmax())] == targets[kind][i] for i in known]
        accuracy = float(np.mean(hits)) if hits else None
        notes[kind] = {"accuracy": accuracy, "n": len(known), "temperature": temperatures[kind]}
        log.info("tagger: %s right out of fold: %d of %d", kind, sum(hits), len(known))
        for i, row in enumerate(planned):
            predictions.append(
                {
                    "utterance_id": row["utterance_id"],
                    "corpus": row["corpus"],
                    "kind": kind,
                    "target": targets[kind][i],
                    "labels": list(names) if predicted[i] else [],
                    "probabilities": [float(p) for p in probabilities[kind][i]] if predicted[i] else [],
                }
            )
    artifacts.write(predictions, predictions_out, "tagger_predictions", "train_tagger", {"out_of_fold": notes})


def _pooled_rows(planned: Sequence[Mapping[str, Any]], features: Mapping[str, str | Path]) -> Array:
    from aligncap.speech.features import load_features

    found: dict[tuple[str, str], Array] = {}
    for corpus, path in features.items():
        found |= {(corpus, key): pooled(value) for key, value in load_features(Path(path)).items()}
    for row in planned:
        if (row["corpus"], row["utterance_id"]) not in found:
            raise CorpusError(
                f"tagger: {row['corpus']}/{row['utterance_id']} has no features; run speech_features again"
            )
    return np.stack([found[row["corpus"], row["utterance_id"]] for row in planned])


def _targets(
    planned: Sequence[Mapping[str, Any]], references: Mapping[str, str | Path], prosody: Mapping[str, str | Path]
) -> dict[str, list[str]]:
    """Kind -> label of each planned utterance, "" where it has none."""
    known: dict[tuple[str, str], dict[str, str]] = {}
    for corpus, path in references.items():
        for row in artifacts.read_rows(path, "labels"):
            labels = {"emotion": canonical(row["emotion"]) or "", "intensity": row["intensity"] or ""}
            known[corpus, row["utterance_id"]] = labels
    for corpus, path in prosody.items():
        for row in artifacts.read_rows(path, "prosody"):
            known.setdefault((corpus, row["utterance_id"]), {}).update({kind: row[kind] for kind in SCALES})
    keys = [(row["corpus"], row["utterance_id"]) for row in planned]
    return {kind: [known.get(key, {}).get(kind, "") for key in keys] for kind in LABELS}


def predict_clues(
    tagger: TaggerSettings,
    prompts: Prompts,
    corpus: str,
    role: str,
    weights: str | Path,
    features: str | Path,
    transcripts: str | Path,
    out_of_fold: str | Path | None,
    llm_manifest: str | Path,
    out: str | Path,
) -> None:
    """Rule ``predict_clues``: what the tagger hears in each utterance of a corpus, and its two prompts.

    Args:
        tagger: ``threshold`` and ``normalise`` are used.
        prompts: ``max_semantic_tokens`` is used.
        corpus: its name.
        role: "train" reads the out-of-fold predictions, "test" the weights.
        weights: safetensors of ``train_tagger``.
        features: artifact ``features``.
        transcripts: artifact ``transcripts``; one row of output for each of its utterances.
        out_of_fold: artifact ``tagger_predictions``, for role "train".
        llm_manifest: manifest of the LLM, for its tokenizer.
        out: artifact ``clues``; the notes say whether statistics of the corpus's own audio were used.

    Raises:
        CorpusError: role "train" without out-of-fold predictions.
    """
    if role == "train":
        if out_of_fold is None:
            raise CorpusError(
                f"predict_clues: training corpus '{corpus}' needs the out-of-fold predictions of train_tagger"
            )
        predicted = _read_out_of_fold(out_of_fold, corpus)
    else:
        predicted = _predict_corpus(Tagger.load(weights), features, tagger.normalise)
    tokenizer = load_tokenizer(llm_manifest)
    rows = [
        clue_row(key, Tagger.clues(predicted.get(key, {}), tagger.threshold), transcript, tokenizer, prompts)
        for key, transcript in read_transcripts(transcripts).items()
    ]
    notes = {"normalise": tagger.normalise, "transductive": tagger.normalise == "corpus" and role == "test"}
    artifacts.write(rows, out, "clues", "predict_clues", notes)


def _read_out_of_fold(path: str | Path, corpus: str) -> dict[str, dict[str, dict[str, float]]]:
    predicted: dict[str, dict[str, dict[str, float]]] = {}
    for row in artifacts.read_rows(path, "tagger_predictions"):
        if row["corpus"] == corpus and row["labels"]:
            tags = dict(zip(row["labels"], row["probabilities"], strict=True))
            predicted.setdefault(row["utterance_id"], {})[row["kind"]] = tags
    return predicted


def _predict_corpus(model: Tagger, features: str | Path, normalise: str) -> dict[str, dict[str, dict[str, float]]]:
    from aligncap.speech.features import load_features

    if model.normalise != normalise:
        raise ArtifactError(
            f"tagger: trained with normalise '{model.normalise}', asked for '{normalise}'; train it again"
        )
    rows = {key: pooled(value) for key, value in load_features(Path(features)).items()}
    if not rows:
        return {}
    stacked = np.stack(list(rows.values()))
    found = model.predict_pooled(stacked, statistics(stacked) if normalise == "corpus" else None)
    return {
        key: {kind: dict(zip(model.heads[kind].labels, map(float, p[i]), strict=True)) for kind, p in found.items()}
        for i, key in enumerate(rows)
    }
