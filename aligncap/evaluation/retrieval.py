"""The system ``retrieval``, which gives the training caption of the nearest training utterance. Ours; not trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.tagger.heads import Array, statistics
from aligncap.clues.tagger.model import pooled
from aligncap.errors import CorpusError
from aligncap.evaluation.baselines import caption_rows

logger = logging.getLogger(__name__)

QUERIES = 256  # clips whose cosines to all training clips are in memory together


def nearest(queries: Array, stored: Array) -> NDArray[np.int64]:
    """Return the index [N] of the stored row [M, F] with the highest cosine to each query [N, F], the first of ties."""

    def units(rows: Array) -> Array:
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    against = units(stored).T
    found = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), QUERIES):
        block = slice(start, start + QUERIES)
        found[block] = np.argmax(units(queries[block]) @ against, axis=1)
    return found


def _pooled(path: Path) -> dict[str, Array]:
    from aligncap.speech.features import stream_features

    return {name: pooled(value, "mean_std") for name, value in stream_features(path)}


def caption_retrieval(
    plan: Path,
    references: Mapping[str, Path],
    train_features: Mapping[str, Path],
    features: Path,
    out: Path,
) -> None:
    """Caption a test corpus with captions of training utterances that sound alike (rule ``caption_retrieval``).

    Features are pooled over frames (mean and standard deviation of each layer) and standardised by the statistics of
    the training rows, so that no test clip depends on another. Likeness is the cosine.

    Args:
        plan: Training utterances.
        references: Training corpus -> ``labels`` artifact, of which an utterance's first caption is used.
        train_features: Training corpus -> ``features`` artifact.
        features: ``features`` artifact of the test corpus.
        out: ``captions`` artifact, in the order of ``features``.

    Raises:
        CorpusError: No training utterance has both features and a caption.
    """
    captions, rows = _training(plan, references, train_features)
    heard = _pooled(features)
    mean, scale = statistics(rows)
    found = nearest((np.stack(list(heard.values())) - mean) / scale, (rows - mean) / scale)
    spoken = {name: captions[number] for name, number in zip(heard, found.tolist(), strict=True)}
    logger.info("retrieval: %d different captions for %d utterances", len(set(spoken.values())), len(spoken))
    artifacts.write(caption_rows(spoken), out, "captions", "caption_retrieval")


def _training(plan: Path, references: Mapping[str, Path], features: Mapping[str, Path]) -> tuple[list[str], Array]:
    """Return captions and pooled features [M, F] of all planned utterances that have both, in the order of the plan."""
    said = {
        (corpus, row["utterance_id"]): row["captions"][0]
        for corpus, path in references.items()
        for row in artifacts.stream_rows(path, "labels", columns=["utterance_id", "captions"])
        if row["captions"]
    }
    heard = {(corpus, name): row for corpus, path in features.items() for name, row in _pooled(path).items()}
    planned = [(row["corpus"], row["utterance_id"]) for row in artifacts.stream_rows(plan, "plan")]
    kept = [key for key in planned if key in said and key in heard]
    if not kept:
        raise CorpusError(
            f"{plan}: no training utterance has a caption and features; give the training corpora captions"
        )
    return [said[key] for key in kept], np.stack([heard[key] for key in kept])
