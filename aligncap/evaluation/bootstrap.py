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
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
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
    mass = weights[:, known].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return weights[:, known] @ values[known] / mass


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


def ratio_figure(weights: Array, numerators: Array, denominators: Array) -> dict[str, float | int | None] | None:
    """Return ``value``, ``ci_low``, ``ci_high`` and ``n`` of a ratio of sums; None where the denominators are zero.

    Args:
        weights: Resamples of the utterances [b, n].
        numerators: Their counts [n].
        denominators: Counts that these are part of [n]; ``n`` is their sum.
    """
    if not denominators.any():
        return None
    low, high = interval(weighted_ratio(weights, numerators, denominators)) or (None, None)
    total = float(denominators.sum())
    return {"value": float(numerators.sum()) / total, "ci_low": low, "ci_high": high, "n": int(total)}


def measured(
    clusters: Sequence[Hashable], statistic: Callable[[Array], Array], resamples: int, seed: int
) -> dict[str, float | int | None]:
    """Return ``value``, ``ci_low``, ``ci_high`` and ``n`` of a statistic without strata; None where it is undefined.

    Args:
        clusters: Cluster of each item; items of a cluster are drawn together.
        statistic: Function of weights [b, n] that returns [b].
        resamples: Number of resamples for the interval.
        seed: Seed as in ``resample_weights``.
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
