"""Self-training of the clue tagger: audio without labels teaches it what a new corpus sounds like. Ours.

Pseudo-labels (Lee 2013), of each predicted class the surest share alike, so that an easy class does not crowd out the
others (class-balanced self-training, Zou et al. 2018). Level, pitch, rate and timbre need no pseudo-label: they are
measured on the audio itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.tagger.heads import Array, Head, fit_heads, softmax
from aligncap.config import Tagger as TaggerSettings

log = logging.getLogger(__name__)

Targets = Mapping[str, Sequence[str]]


def fit_with_unlabelled(
    rows: Array, targets: Targets, unlabelled: Array, measured: Targets, settings: TaggerSettings, seed: int
) -> dict[str, Head]:
    """Fit heads on labelled and unlabelled rows, round by round.

    The first fit knows of the unlabelled rows what was measured. Each round gives the surest ``keep`` of every
    predicted class its prediction as label and fits again, from the measured labels on: a round may change its mind.

    Args:
        rows: [N, F], standardised.
        targets: kind -> label of each row, "" where unknown.
        unlabelled: [M, F], standardised.
        measured: kind -> label of each unlabelled row, "" where unknown.
        settings: ``self_training`` and what ``fit_heads`` reads.
        seed: of the PCA, which is over all rows.

    Returns:
        Heads as of ``fit_heads``.
    """
    everything = np.concatenate([rows, unlabelled])
    heads = fit_heads(everything, _joined(targets, measured), settings, seed)
    for number in range(settings.self_training.rounds):
        told = {kind: list(labels) for kind, labels in measured.items()}
        for kind, head in heads.items():
            unknown = np.array([label == "" for label in told[kind]])
            probabilities = softmax(head.logits(unlabelled))
            kept = surest(probabilities, settings.self_training.keep) & unknown
            for row in np.flatnonzero(kept):
                told[kind][row] = head.labels[int(probabilities[row].argmax())]
            if unknown.any():
                log.info("self-training: round %d, %s of %d of %d clips", number + 1, kind, kept.sum(), unknown.sum())
        heads = fit_heads(everything, _joined(targets, told), settings, seed)
    return heads


def surest(probabilities: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Of each predicted class this share of its rows, those of the highest probability: a mask [N] for [N, C]."""
    best = probabilities.argmax(axis=1)
    kept = np.zeros(len(best), dtype=bool)
    for column in np.unique(best):
        own = np.flatnonzero(best == column)
        order = own[np.argsort(-probabilities[own, column], kind="stable")]
        kept[order[: round(share * len(own))]] = True
    return kept


def _joined(targets: Targets, others: Targets) -> dict[str, list[str]]:
    return {kind: [*labels, *others[kind]] for kind, labels in targets.items()}
