"""Fitting of the clue tagger: linear heads on principal components, out-of-fold predictions, and calibration (ours)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.config import TaggerSettings
from aligncap.vocabulary import CLASSES, SCALES, TIMBRES

LABELS: dict[str, tuple[str, ...]] = {
    "emotion": CLASSES,
    "intensity": ("normal", "strong"),
    **SCALES,
    "timbre": TIMBRES,
}
COMPONENTS = 256
ITERATIONS = 300
ABSENT = -np.inf  # logit of a label that a training fold did not have

Array = NDArray[np.float32]
Statistics = tuple[Array, Array]  # mean [F], scale [F]


def statistics(rows: Array) -> Statistics:
    """Compute mean and scale of each column of [N, F], ignoring NaN; the scale of a constant column is 1."""
    known = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    mean = (np.nansum(rows, axis=0) / known).astype(np.float32)
    scale = np.sqrt(np.nansum((rows - mean) ** 2, axis=0) / known)
    return mean, np.where(scale > 1e-6, scale, 1.0).astype(np.float32)


def standardise(rows: Array, mean: Array, scale: Array) -> Array:
    """Standardise rows [N, F] by mean and scale; NaN (not measurable) becomes 0, the mean."""
    return np.nan_to_num((rows - mean) / scale)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the row-wise softmax of [N, C] in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Head:
    """A linear classifier on standardised pooled features: labels, weight [C, F], bias [C], temperature."""

    labels: tuple[str, ...]
    weight: Array
    bias: Array
    temperature: float = 1.0

    def logits(self, standardised: Array) -> NDArray[Any]:
        """Compute the logits [N, C] of rows [N, F], not divided by the temperature."""
        return standardised @ self.weight.T + self.bias


def fit_heads(
    rows: Array, targets: Mapping[str, Sequence[str]], settings: TaggerSettings, seed: int
) -> dict[str, Head]:
    """Fit one head for each clue kind on standardised rows.

    Args:
        rows: Standardised rows [N, F], whose last columns are the measured values of ``settings.measured``, in its
            order. The head of such a kind has only this column as input, and no penalty.
        targets: Label of each row by kind, "" where unknown.
        settings: Section ``tagger``: ``l2`` is the inverse strength C; ``prior: uniform`` gives all classes the same
            weight, ``prior: train`` their frequency.
        seed: Seed of the randomised PCA.

    Returns:
        Heads of the kinds that have at least two labels among these rows, at temperature 1.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    figures = rows.shape[1] - len(settings.measured)  # first column of the measured values
    heard = rows[:, :figures]
    pca = PCA(min(COMPONENTS, *heard.shape), svd_solver="randomized", random_state=seed).fit(heard)
    reduced = pca.transform(heard)
    heads = {}
    for kind, labels in targets.items():
        known = np.array([label != "" for label in labels])
        present = [label for label in LABELS[kind] if label in set(labels)]
        if len(present) < 2:
            continue
        wanted = np.array([present.index(label) for label in labels if label])
        balance = "balanced" if settings.prior == "uniform" else None
        if kind in settings.measured:
            column = figures + settings.measured.index(kind)
            columns, strength = slice(column, column + 1), np.inf
            read, basis, centre = rows[:, columns], np.eye(1), np.zeros(1)
        else:
            columns, strength = slice(figures), settings.l2
            read, basis, centre = reduced, pca.components_, pca.mean_
        model = LogisticRegression(C=strength, class_weight=balance, max_iter=ITERATIONS).fit(read[known], wanted)
        coefficients, intercept = model.coef_, model.intercept_
        if len(present) == 2:  # scikit-learn keeps one row: sigmoid(z) = softmax(0, z)
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([np.zeros_like(intercept), intercept])
        weight = np.zeros((len(present), rows.shape[1]))
        weight[:, columns] = coefficients @ basis
        bias = intercept - weight[:, columns] @ centre
        heads[kind] = Head(tuple(present), weight.astype(np.float32), bias.astype(np.float32))
    return heads


def fit_temperature(logits: NDArray[Any], wanted: NDArray[np.int64], prior: str = "train") -> float:
    """Fit the temperature T of ``softmax(logits / T)`` that minimises the negative log-likelihood (Guo et al. 2017).

    Args:
        logits: Logits [N, C].
        wanted: Index of the right label, [N].
        prior: "uniform" gives all classes the same weight, "train" all clips.

    Returns:
        The temperature, within 0.05-20.
    """
    from scipy.optimize import minimize_scalar

    weights = np.ones(len(wanted)) if prior == "train" else 1 / np.bincount(wanted)[wanted]

    def loss(log_temperature: float) -> float:
        chosen = softmax(logits / np.exp(log_temperature))[np.arange(len(wanted)), wanted]
        return float(-np.average(np.log(np.maximum(chosen, 1e-12)), weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions: each row is predicted by a model that was not trained on its fold. Keys are clue kinds.

    Attributes:
        labels: Labels in the order of the columns.
        logits: Logits [N, C], not divided by the temperature; NaN where the other folds lack two labels of the kind.
        temperatures: Temperatures fitted on these logits.
    """

    labels: dict[str, tuple[str, ...]]
    logits: dict[str, NDArray[np.float64]]
    temperatures: dict[str, float]

    def probabilities(self, kind: str) -> NDArray[np.float64]:
        """Return the calibrated probabilities of a kind, [N, C]; NaN where there is no prediction."""
        return softmax(self.logits[kind] / self.temperatures[kind])

    def scored(self, kind: str, targets: Sequence[str]) -> NDArray[np.intp]:
        """Return the indices of the rows that have a target and a prediction; none of a kind that was not predicted."""
        if kind not in self.labels:
            return np.array([], dtype=np.intp)
        known = np.array([target in self.labels[kind] for target in targets], dtype=bool)
        return np.flatnonzero(known & ~np.isnan(self.logits[kind][:, 0]))


def out_of_fold(
    rows: Array,
    targets: Mapping[str, Sequence[str]],
    folds: NDArray[np.int64],
    groups: Sequence[str],
    settings: TaggerSettings,
    seed: int,
) -> OutOfFold:
    """Predict every row by a model that was not trained on its fold.

    Args:
        rows: Rows [N, F], stacked from ``read_corpus``.
        targets: Label of each row by kind, "" where unknown.
        folds: Fold of each row, [N].
        groups: Group of each row, whose statistics ``normalise: corpus | speaker`` uses.
        settings: Section ``tagger``.
        seed: Seed of the PCA.
    """
    labels = {k: tuple(x for x in LABELS[k] if x in set(t)) for k, t in targets.items() if len(set(t) - {""}) > 1}
    logits = {kind: np.full((len(rows), len(names)), np.nan) for kind, names in labels.items()}
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(outside) < 2:
            continue
        standardised = standardised_rows(rows, groups, settings.normalise, outside)
        known = {kind: [targets[kind][i] for i in outside.tolist()] for kind in labels}
        for kind, head in fit_heads(standardised[outside], known, settings, seed).items():
            columns = [labels[kind].index(label) for label in head.labels]
            logits[kind][inside] = ABSENT
            logits[kind][np.ix_(inside, np.array(columns))] = head.logits(standardised[inside])
    temperatures = {}
    for kind, names in labels.items():
        usable = [i for i, t in enumerate(targets[kind]) if t and logits[kind][i, names.index(t)] > ABSENT]
        wanted = np.array([names.index(targets[kind][i]) for i in usable], dtype=np.int64)
        temperatures[kind] = fit_temperature(logits[kind][usable], wanted, settings.prior) if usable else 1.0
    return OutOfFold(labels, logits, temperatures)


def standardised_rows(rows: Array, groups: Sequence[str], normalise: str, training: NDArray[np.intp]) -> Array:
    """Standardise rows [N, F] by the statistics of the training rows, or each group of clips by those of the group."""
    if normalise == "train":
        return standardise(rows, *statistics(rows[training]))
    result = np.empty_like(rows)
    names = np.array(groups)
    for name in np.unique(names):
        result[names == name] = standardise(rows[names == name], *statistics(rows[names == name]))
    return result
