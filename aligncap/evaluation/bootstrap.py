"""Intervals: 95 % percentile bootstrap, stratified by label and clustered (docs/method.md).

A resample is a row of multiplicities: how often each utterance is drawn. Every statistic (a mean, a macro recall, the
corpus BLEU) is then a function of these weights, computed for all resamples at once, and a paired difference uses the
same rows for both systems. How strata and clusters meet is ours: clusters are drawn whole, within the stratum of
their label where all utterances of the cluster share it; clusters of mixed labels (sessions), and those alone in their
stratum, form one common stratum. Two-sided p-values come from the same resamples as the interval: twice the smaller
share of resampled differences on either side of zero, so that p < 0.05 says what the interval says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)
PRIMARY = ("emotion_agreement_macro", "factuality_hallucination")  # ours; a family of their own for Holm


def resample_weights(
    clusters: Sequence[Hashable], labels: Sequence[Hashable], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Draw the multiplicities of a stratified cluster bootstrap.

    Args:
        clusters: one an utterance; utterances of a cluster are drawn together.
        labels: one an utterance; what the draw is stratified by.
        resamples: number of rows.
        seed: of numpy's PCG64.

    Returns:
        [resamples, n_utterances], whole numbers.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, cluster in enumerate(clusters):
        members[cluster].append(row)
    shared = {c: {labels[row] for row in rows} for c, rows in members.items()}
    stratum: dict[Hashable, Hashable] = {c: next(iter(s)) if len(s) == 1 else None for c, s in shared.items()}
    sizes = Counter(stratum.values())
    strata: dict[str, list[int]] = defaultdict(list)
    names = list(members)
    for number, cluster in enumerate(names):
        alone = stratum[cluster] is None or sizes[stratum[cluster]] < 2
        strata["" if alone else f"label {stratum[cluster]}"].append(number)
    generator = np.random.default_rng(seed)
    drawn = np.zeros((resamples, len(names)))
    for key in sorted(strata):
        numbers = np.asarray(strata[key])
        share = np.full(len(numbers), 1 / len(numbers))
        drawn[:, numbers] = generator.multinomial(len(numbers), share, size=resamples)
    index = {cluster: number for number, cluster in enumerate(names)}
    return drawn[:, [index[cluster] for cluster in clusters]]


def weighted_mean(weights: Array, values: Array) -> Array:
    """Mean of ``values`` [n] under each row of ``weights`` [b, n]; NaN values do not count. Returns [b]."""
    known = ~np.isnan(values)
    mass = weights[:, known].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights[:, known] @ values[known] / mass


def weighted_macro(weights: Array, values: Array, classes: Sequence[str | None], minimum: int = 1) -> Array:
    """Mean over classes of the class mean: macro recall where ``values`` [n] say 'correct'.

    A class counts where at least ``minimum`` utterances carry it; in a resample that draws none of it, it is left out.
    Returns [b].
    """
    counts = Counter(c for c, v in zip(classes, values, strict=True) if c is not None and not np.isnan(v))
    kept = sorted(name for name, count in counts.items() if count >= minimum)
    if not kept:
        return np.full(len(weights), np.nan)
    columns = []
    for name in kept:
        masked = np.where([c == name for c in classes], values, np.nan)
        columns.append(weighted_mean(weights, masked))
    stacked = np.stack(columns, axis=1)
    seen = ~np.isnan(stacked)
    with np.errstate(invalid="ignore"):
        return np.where(seen, stacked, 0).sum(axis=1) / seen.sum(axis=1)


def weighted_ratio(weights: Array, numerators: Array, denominators: Array) -> Array:
    """Sum over sum under each row of ``weights``. Returns [b]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ numerators / (weights @ denominators)


def measured(
    clusters: Sequence[Hashable], statistic: Callable[[Array], Array], resamples: int, seed: int
) -> dict[str, float | int | None]:
    """``value``, ``ci_low``, ``ci_high`` and ``n`` of a statistic without strata; None where it is undefined.

    Args:
        clusters: one an item; items of a cluster are drawn together.
        statistic: weights [b, n] -> [b].
        resamples: of the interval.
        seed: as in ``resample_weights``.
    """
    nothing: dict[str, float | int | None] = {"value": None, "ci_low": None, "ci_high": None, "n": len(clusters)}
    if not clusters:
        return nothing
    value = float(statistic(np.ones((1, len(clusters))))[0])
    if np.isnan(value):
        return nothing
    low, high = interval(statistic(resample_weights(clusters, [""] * len(clusters), resamples, seed))) or (None, None)
    return nothing | {"value": value, "ci_low": low, "ci_high": high}


def interval(samples: Array) -> tuple[float, float] | None:
    """The 2.5 and 97.5 percentiles of the resampled statistic; None where it is not defined."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def p_value(samples: Array) -> float:
    """Two-sided bootstrap p of "no difference" from resampled differences [b]; NaN where none is defined.

    ``2 min(#(d <= 0) + 1, #(d >= 0) + 1) / (b + 1)``, at most 1: never 0, however few the resamples.
    """
    known = samples[~np.isnan(samples)]
    if not len(known):
        return float("nan")
    sides = min(int((known <= 0).sum()), int((known >= 0).sum())) + 1
    return min(1.0, 2 * sides / (len(known) + 1))


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Holm's step-down adjustment of a family of p-values, in the order given; a NaN stays one and is not counted."""
    known = sorted(((p, name) for name, p in p_values.items() if not np.isnan(p)), key=lambda item: item[0])
    adjusted, floor = dict(p_values), 0.0
    for rank, (p, name) in enumerate(known):
        floor = max(floor, min(1.0, (len(known) - rank) * p))
        adjusted[name] = floor
    return adjusted
