"""The text clue: the emotion of what was said, by similarity to prototype sentences. Nothing is trained. Ours.

With unit embeddings ``e`` of a sentence encoder, the score of class ``c`` is the mean of the ``NEAREST`` highest
cosines between the transcript and the prototypes of ``c``, and

    p_text(c | t) = softmax_c( score(c, t) / TEMPERATURE ),        p(c | s, t) ∝ p_tagger(c | s) · p_text(c | t)^w

with ``w = tagger.text_weight``. An empty transcript says nothing: its ``p_text`` is uniform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.prototypes import PROTOTYPES
from aligncap.vocabulary import CLASSES

# The least log-loss on the sentences that the synthetic corpora say, which are ours and not the prototypes.
NEAREST = 3
TEMPERATURE = 0.05


class Encoder(Protocol):
    """What the text clue needs of a sentence encoder."""

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Unit vectors [n, dim]."""


class TextClue:
    """Transcript -> probabilities of ``CLASSES``."""

    def __init__(self, encoder: Encoder) -> None:
        """Embed the prototypes once with ``encoder``."""
        self._encoder = encoder
        self._prototypes = {label: encoder.encode(PROTOTYPES[label]) for label in CLASSES}

    def probabilities(self, transcripts: Sequence[str]) -> NDArray[np.float64]:
        """[N, len(CLASSES)], rows sum to 1."""
        found = np.full((len(transcripts), len(CLASSES)), 1 / len(CLASSES))
        said = [i for i, text in enumerate(transcripts) if text.strip()]
        if not said:
            return found
        distinct = sorted({" ".join(transcripts[i].split()) for i in said})
        vectors = dict(zip(distinct, self._encoder.encode(distinct), strict=True))
        stacked = np.stack([vectors[" ".join(transcripts[i].split())] for i in said])
        scores = np.stack(
            [np.sort(stacked @ own.T, axis=1)[:, -NEAREST:].mean(axis=1) for own in self._prototypes.values()], axis=1
        ).astype(np.float64)
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / TEMPERATURE)
        found[said] = weights / weights.sum(axis=1, keepdims=True)
        return found

    def tags(self, transcripts: Sequence[str]) -> list[dict[str, float]]:
        """Class -> probability, for each transcript."""
        return [dict(zip(CLASSES, map(float, row), strict=True)) for row in self.probabilities(transcripts)]


def join(tagger: Mapping[str, float], text: Mapping[str, float], weight: float) -> dict[str, float]:
    """The tagger's probabilities times the text's to the power ``weight``, over the tagger's labels, renormalised.

    A label that the tagger rules out (probability 0) stays ruled out.
    """
    logs = {label: math.log(p) + weight * math.log(text[label]) for label, p in tagger.items() if p > 0}
    highest = max(logs.values())
    joined = {label: math.exp(value - highest) for label, value in logs.items()}
    return {label: joined.get(label, 0.0) / sum(joined.values()) for label in tagger}
