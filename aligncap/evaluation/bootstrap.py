"""Intervals: 95 % percentile bootstrap, stratified by label and clustered (DESIGN section 8).

A resample is a row of multiplicities: how often each utterance is drawn. Every statistic (a mean, a macro recall, the
corpus BLEU) is then a function of these weights, computed for all resamples at once, and a paired difference uses the
same rows for both systems. How strata and clusters meet is ours: clusters are drawn whole, within the stratum of
their label where all utterances of the cluster share it; clusters of mixed labels (sessions), and those alone in their
stratum, form one common stratum.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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


def interval(samples: Array) -> tuple[float, float] | None:
    """The 2.5 and 97.5 percentiles of the resampled statistic; None where it is not defined."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def paired_difference(
    first: Array, second: Array, weights: Array, classes: Sequence[str | None] | None = None
) -> tuple[float, float, float]:
    """Difference first - second on the same utterances and the same resamples, with its 95 % interval.

    Args:
        first: [n] item values of one system; NaN where the metric does not apply.
        second: [n] likewise of the other system, same order.
        weights: [b, n] of ``resample_weights``.
        classes: given for a macro average over these classes, else the plain mean.

    Returns:
        (difference, low, high); NaN where undefined.
    """
    both = np.where(np.isnan(first) | np.isnan(second), np.nan, 0.0)
    ones = np.ones((1, len(first)))

    def statistic(rows: Array, values: Array) -> Array:
        return weighted_mean(rows, values) if classes is None else weighted_macro(rows, values, classes)

    value = statistic(ones, first + both)[0] - statistic(ones, second + both)[0]
    bounds = interval(statistic(weights, first + both) - statistic(weights, second + both))
    low, high = bounds if bounds is not None else (float("nan"), float("nan"))
    return float(value), low, high
