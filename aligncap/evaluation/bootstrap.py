"""Confidence intervals: 95 % percentile bootstrap, stratified by label and clustered (docs/method.md).

A resample is a row of multiplicities: how often each utterance is drawn. Every statistic (a mean, a macro recall, the
corpus BLEU) is a function of these weights and is computed for all resamples at once; a paired difference uses the
same rows for both systems. The combination of strata and clusters is ours: clusters are drawn whole, within the stratum
of their label where all utterances of the cluster share it. Clusters of mixed labels (sessions), and those alone in
their stratum, form one common stratum. Two-sided p-values come from the same resamples as the interval: twice the
smaller share of resampled differences on either side of zero, so that p < 0.05 agrees with the interval.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Figure = dict[str, Any]  # value, ci_low, ci_high, n
Name = TypeVar("Name", bound=Hashable)
PRIMARY = ("emotion_agreement_macro", "factuality_hallucination")  # ours; a separate family for Holm's correction


def resample_weights(
    clusters: Sequence[Hashable], labels: Sequence[Hashable], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Draw the multiplicities of a stratified cluster bootstrap.

    Args:
        clusters: Cluster of each utterance; utterances of a cluster are drawn together.
        labels: Label of each utterance, by which the draw is stratified.
        resamples: Number of rows.
        seed: Seed of numpy's PCG64.

    Returns:
        Whole numbers, [resamples, n_utterances].
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
    """Return the mean [b] of ``values`` [n] under each row of ``weights`` [b, n]; NaN values do not count."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ np.where(known, values, 0.0) / (weights @ known.astype(np.float64))


def weighted_macro(weights: Array, values: Array, classes: Sequence[str | None], minimum: int = 1) -> Array:
    """Return the mean over classes of the class mean, which is macro recall where ``values`` [n] say 'correct'.

    A class counts where at least ``minimum`` utterances have it; a resample that draws none of it leaves it out.
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
    """Return the ratio [b] of the weighted sums of numerators and denominators under each row of ``weights``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights @ numerators / (weights @ denominators)


def _ranks(weights: Array, values: Array) -> Array:
    """Return mid-ranks [b, n] of ``values`` [n] where utterance i occurs ``weights[:, i]`` times."""
    ranks = np.zeros_like(weights)
    below = np.zeros(len(weights))
    for value in np.unique(values):
        here = values == value
        mass = weights[:, here].sum(axis=1)
        ranks[:, here] = (below + (mass + 1) / 2)[:, None]
        below = below + mass
    return ranks


def weighted_spearman(weights: Array, first: Array, second: Array) -> Array:
    """Return Spearman's rank correlation [b] of ``first`` and ``second`` [n] under each row of ``weights`` [b, n].

    Ties get their mean rank. NaN in either column does not count. The result is NaN where one column is constant.
    """
    known = ~(np.isnan(first) | np.isnan(second))
    rows = weights[:, known]
    one, other = _ranks(rows, first[known]), _ranks(rows, second[known])
    with np.errstate(invalid="ignore", divide="ignore"):
        mass = rows.sum(axis=1, keepdims=True)
        one = one - (rows * one).sum(axis=1, keepdims=True) / mass
        other = other - (rows * other).sum(axis=1, keepdims=True) / mass
        spread = np.sqrt((rows * one**2).sum(axis=1) * (rows * other**2).sum(axis=1))
        return np.where(spread > 0, (rows * one * other).sum(axis=1) / spread, np.nan)


def ratio_figure(weights: Array, numerators: Array, denominators: Array) -> Figure | None:
    """Return the figure of a ratio of sums; None where the denominators are zero.

    Args:
        weights: Resamples of the utterances [b, n].
        numerators: Their counts [n].
        denominators: Counts that these are part of [n]; ``n`` is their sum.
    """
    if not denominators.any():
        return None
    total = float(denominators.sum())
    return figure(float(numerators.sum()) / total, weighted_ratio(weights, numerators, denominators), int(total))


def measured(clusters: Sequence[Hashable], statistic: Callable[[Array], Array], resamples: int, seed: int) -> Figure:
    """Return the figure of a statistic without strata, None where it is undefined.

    Args:
        clusters: Cluster of each item; items of a cluster are drawn together.
        statistic: Function of weights [b, n] that returns [b].
        resamples: Number of resamples for the interval.
        seed: Seed as in ``resample_weights``.
    """
    if not clusters:
        return figure(None, None, 0)
    value = statistic(np.ones((1, len(clusters))))[0]
    if np.isnan(value):
        return figure(None, None, len(clusters))
    return figure(value, statistic(resample_weights(clusters, [""] * len(clusters), resamples, seed)), len(clusters))


def figure(value: float | np.floating[Any] | None, samples: Array | None, n: int) -> Figure:
    """Return ``value``, ``n``, and ``ci_low`` and ``ci_high`` of ``samples`` [b], None without samples or interval."""
    low, high = (None if samples is None else interval(samples)) or (None, None)
    return {"value": None if value is None else float(value), "ci_low": low, "ci_high": high, "n": n}


def moved(value: float, plain: float, samples: Array | None, n: int) -> Figure:
    """Return a figure whose interval is moved to ``value`` from ``plain``, the statistic of the samples.

    The interval of a value from 0 up goes no lower than 0.
    """
    around = figure(value, samples, n)
    if around["ci_low"] is None:
        return around
    low, high = (around[bound] + value - plain for bound in ("ci_low", "ci_high"))
    return around | {"ci_low": low if value < 0 else max(0.0, low), "ci_high": high}


def interval(samples: Array) -> tuple[float, float] | None:
    """Return the 2.5 and 97.5 percentiles of the resampled statistic, or None where it is undefined."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def p_value(samples: Array) -> float:
    """Return the two-sided bootstrap p of "no difference" from resampled differences [b], NaN where none is defined.

    ``2 min(#(d <= 0) + 1, #(d >= 0) + 1) / (b + 1)``, at most 1: it is never 0, however few the resamples.
    """
    known = samples[~np.isnan(samples)]
    if not len(known):
        return float("nan")
    sides = min(int((known <= 0).sum()), int((known >= 0).sum())) + 1
    return min(1.0, 2 * sides / (len(known) + 1))


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Return Holm's step-down adjustment of a family of p-values, in the same order; NaN stays NaN and is ignored."""
    known = sorted(((p, name) for name, p in p_values.items() if not np.isnan(p)), key=lambda item: item[0])
    adjusted, floor = dict(p_values), 0.0
    for rank, (p, name) in enumerate(known):
        floor = max(floor, min(1.0, (len(known) - rank) * p))
        adjusted[name] = floor
    return adjusted
