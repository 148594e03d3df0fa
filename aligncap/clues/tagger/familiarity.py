"""Familiarity: how like the speech that the tagger was trained on a clip sounds (ours).

The distance of a clip is the root mean square of what the first principal components of the training clips leave
unexplained of its standardised features (the residual of ViM, Wang et al., CVPR 2022). Distances of clips that a model
was not trained on, from corpora or speakers left out, say how far new speech of a known kind lies. The familiarity of
a clip is the share of these that lie at least as far: about even on new speech of such a kind, and 0 on another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.tagger.heads import Array, standardised_rows
from aligncap.config import TaggerSettings

COMPONENTS = 32
QUANTILES = 201  # kept of the distances of clips left out


@dataclass(frozen=True)
class Familiarity:
    """What is known of the training speech: its centre [F], principal components [K, F], and distances left out [Q]."""

    centre: Array
    components: Array
    distances: Array

    def of(self, standardised: Array) -> NDArray[np.float64]:
        """Compute the familiarity [N], 0-1, of standardised pooled features [N, F]."""
        found = distance(standardised, self.centre, self.components)
        return 1 - np.interp(found, self.distances, np.linspace(0, 1, len(self.distances)))


def distance(standardised: Array, centre: Array, components: Array) -> NDArray[np.float64]:
    """Compute the distance [N] of standardised pooled features [N, F] to the subspace of the components [K, F]."""
    away = (standardised - centre).astype(np.float64)
    inside = away @ components.T.astype(np.float64)
    left = np.square(away).sum(axis=1) - np.square(inside).sum(axis=1)
    return np.sqrt(np.maximum(left, 0) / away.shape[1])


def fit_familiarity(
    rows: Array, folds: NDArray[np.int64], groups: list[str], settings: TaggerSettings, seed: int
) -> Familiarity:
    """Learn how the training speech sounds, and how far speech lies that is left out.

    Args:
        rows: Rows [N, F], stacked from ``read_corpus``; the columns of ``settings.measured`` are not used.
        folds: Fold of each row, [N]; where all are equal, the distances are those of the training clips themselves.
        groups: Group of each row, whose statistics ``normalise: corpus | speaker`` uses.
        settings: Section ``tagger``.
        seed: Seed of the randomised PCA.
    """
    features = rows[:, : rows.shape[1] - len(settings.measured)]
    everyone = np.arange(len(rows))
    found = np.empty(len(rows))
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        outside = outside if len(outside) > 1 else everyone
        standardised = standardised_rows(features, groups, settings.normalise, outside)
        found[inside] = distance(standardised[inside], *_subspace(standardised[outside], seed))
    subspace = _subspace(standardised_rows(features, groups, settings.normalise, everyone), seed)
    return Familiarity(*subspace, np.quantile(found, np.linspace(0, 1, QUANTILES)).astype(np.float32))


def _subspace(standardised: Array, seed: int) -> tuple[Array, Array]:
    from sklearn.decomposition import PCA

    pca = PCA(min(COMPONENTS, *standardised.shape), svd_solver="randomized", random_state=seed).fit(standardised)
    return pca.mean_.astype(np.float32), pca.components_.astype(np.float32)


def doubted(tags: Mapping[str, Mapping[str, float]], familiar: float, unfamiliar: float) -> dict[str, dict[str, float]]:
    """Return the probabilities of a clip's tags, nearer to even the less familiar its speech is.

    With the familiarity ``f`` of the clip and ``u = tagger.unfamiliar`` they are ``w p + (1 - w) / C`` of the tagger's
    ``p`` over ``C`` labels, where ``w = min(1, f / u)``: speech of a known kind keeps its probabilities.
    """
    weight = min(1.0, familiar / unfamiliar) if unfamiliar else 1.0
    return {
        kind: {label: weight * p + (1 - weight) / len(labels) for label, p in labels.items()}
        for kind, labels in tags.items()
    }
