"""The text clue: the emotion of a transcript by its similarity to prototype sentences, without training (ours).

With unit embeddings ``e`` of a sentence encoder, the score of class ``c`` is the mean of the ``NEAREST`` highest
cosines between the transcript and the prototypes of ``c``, and

    p_text(c | t) = softmax_c( score(c, t) / TEMPERATURE ),        p(c | s, t) ∝ p_tagger(c | s) · p_text(c | t)^w

with ``w = tagger.text_weight``. For an empty transcript ``p_text`` is uniform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.prototypes import PROTOTYPES
from aligncap.vocabulary import CLASSES

# Chosen for the least log-loss on the sentences of the synthetic corpora, which are ours and not the prototypes.
NEAREST = 3
TEMPERATURE = 0.05


class Encoder(Protocol):
    """The interface of a sentence encoder that the text clue needs."""

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Embed texts as unit vectors [n, dim], zeros for a text of spaces alone."""


class TextClue:
    """A classifier of transcripts that gives probabilities of ``CLASSES``."""

    def __init__(self, encoder: Encoder) -> None:
        """Embed the prototypes once with ``encoder``."""
        self._encoder = encoder
        self._prototypes = {label: encoder.encode(PROTOTYPES[label]) for label in CLASSES}

    def probabilities(self, transcripts: Sequence[str]) -> NDArray[np.float64]:
        """Compute the class probabilities of N transcripts, [N, len(CLASSES)], whose rows sum to 1."""
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
        """Return the probabilities of each transcript as a mapping from class to probability."""
        return [dict(zip(CLASSES, map(float, row), strict=True)) for row in self.probabilities(transcripts)]


def join(tagger: Mapping[str, float], text: Mapping[str, float], weight: float) -> dict[str, float]:
    """Join tagger and text clue: multiply the tagger's probabilities by the text's to the power ``weight``.

    The product is renormalised over the tagger's labels. A label with probability 0 from the tagger keeps it.
    """
    logs = {label: math.log(p) + weight * math.log(text[label]) for label, p in tagger.items() if p > 0}
    highest = max(logs.values())
    joined = {label: math.exp(value - highest) for label, value in logs.items()}
    return {label: joined.get(label, 0.0) / sum(joined.values()) for label in tagger}
