"""Figures and paired differences over seeds, by a bootstrap over utterances and, where there are several, seeds.

The bootstrap is crossed (ours). One resample is a draw of utterances (stratified, clustered, the same for every system
and seed of a corpus) and an independent draw, with replacement, of as many seeds as there are. Its statistic is the
mean over the drawn seeds. With two or three seeds the spread over seeds is estimated poorly and understated, so an
interval holds only for these seeds. A difference is paired by utterance and seed: seed 1 of one system against seed 1
of the other. A system that is not trained is the same for every seed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.tables.columns import COMPARED, Key
from aligncap.vocabulary import canonical

Rows = Sequence[Mapping[str, Any]]
Members = Mapping[str, Mapping[str, int]]  # trained system -> its members (itself first) -> their seeds
MACRO = "_macro"


@dataclass(frozen=True)
class Difference:
    """The difference ``system`` minus ``against`` on the same utterances and seeds (artifact ``differences``)."""

    system: str
    against: str
    corpus: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    n: int
    seeds: int


def item_values(rows: Rows, metric: str) -> bootstrap.Array:
    """Return a metric's values [n] in rows of ``evaluation``, NaN where it does not apply.

    Macro and micro averages share them.
    """
    name = metric.replace("_macro_n10", "").replace(MACRO, "")
    found = [dict(zip(row["metric_names"], row["metric_values"], strict=True)).get(name) for row in rows]
    return np.asarray([np.nan if value is None else value for value in found], dtype=np.float64)


def statistic(
    weights: bootstrap.Array, values: bootstrap.Array, metric: str, classes: Sequence[str | None]
) -> tuple[float, bootstrap.Array]:
    """Return the metric of item values [n] over all utterances, and under each row of ``weights`` [b, n].

    It is their mean, or with ``_macro`` in its name the mean over ``classes`` [n].
    """

    def under(rows: bootstrap.Array) -> bootstrap.Array:
        if MACRO not in metric:
            return bootstrap.weighted_mean(rows, values)
        return bootstrap.weighted_macro(rows, values, classes, 10 if metric.endswith("_n10") else 1)

    return float(under(np.ones((1, len(values))))[0]), under(weights)


class CorpusScores:
    """The evaluations of one test corpus, with the resamples of its utterances.

    Args:
        evaluation: Resamples and seed of the bootstrap.
        corpus: Name of the corpus.
        rows: Member (a system, or one seed of it) -> rows of ``evaluation``, all over the same utterances. Of these,
            ``label``, ``cluster``, ``metric_names`` and ``metric_values`` are read here.
        members: Members of every trained system.
    """

    def __init__(self, evaluation: Evaluation, corpus: str, rows: Mapping[str, Rows], members: Members) -> None:
        self.corpus, self._evaluation, self._members = corpus, evaluation, members
        self.rows = dict(rows)
        first = next(iter(self.rows.values()))
        self.ids = [row["utterance_id"] for row in first]
        self.classes = [canonical(row["label"]) for row in first]
        clusters = [row["cluster"] for row in first]
        self.weights = bootstrap.resample_weights(clusters, self.classes, evaluation.bootstrap, evaluation.seed)

    def members_of(self, system: str) -> dict[int | None, str]:
        """Return seed -> member in this corpus for a trained system, else {None: system}."""
        if system not in self._members:
            return {None: system} if system in self.rows else {}
        return {seed: name for name, seed in self._members[system].items() if name in self.rows}

    def pairs(self, system: str, against: str) -> list[tuple[str, str]]:
        """Return pairs of members with equal seeds; a system without seeds is paired with each seed of the other."""
        one, other = self.members_of(system), self.members_of(against)
        if None in one or None in other:
            return [(a, b) for a in one.values() for b in other.values()]
        return [(one[seed], other[seed]) for seed in one if seed in other]

    def values(self, member: str, metric: str) -> bootstrap.Array:
        """Return a metric's item values [n], NaN where it does not apply."""
        return item_values(self.rows[member], metric)

    def statistic(self, values: bootstrap.Array, metric: str) -> tuple[float, bootstrap.Array]:
        """Return the metric of ``values`` [n] over all utterances, and over each resample [b]."""
        return statistic(self.weights, values, metric, self.classes)

    def over_seeds(self, samples: Sequence[bootstrap.Array]) -> bootstrap.Array:
        """Return the mean [b] over drawn seeds; ``samples`` hold the statistic of every resample [b] per seed."""
        count = len(samples)
        generator = np.random.default_rng([self._evaluation.seed, count])
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=self._evaluation.bootstrap) / count
        stacked = np.stack(samples, axis=1)
        return np.where(drawn > 0, drawn * stacked, 0.0).sum(axis=1)

    def mean_figure(self, members: Sequence[str], metric: str, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the mean of a corpus figure over seeds, with its interval.

        The interval is that of the mean of items (or its macro average), moved to the mean figure. A metric without
        item values, such as collapse, has no interval over seeds.
        """
        value = float(np.mean([figure["value"] for figure in figures]))
        known = [self.statistic(self.values(member, metric), metric) for member in members]
        plain, n = float(np.mean([whole for whole, _ in known])), min(figure["n"] for figure in figures)
        if np.isnan(plain) or any(figure["ci_low"] is None for figure in figures):
            return bootstrap.figure(value, None, n)
        return bootstrap.moved(value, plain, self.over_seeds([samples for _, samples in known]), n)

    def difference(self, system: str, against: str, metric: str) -> Difference | None:
        """Return the difference ``system`` minus ``against``, or None where nothing can be compared."""
        wholes, samples, counts = [], [], []
        for one, other in self.pairs(system, against):
            first, second = self.values(one, metric), self.values(other, metric)
            both = np.where(np.isnan(first) | np.isnan(second), np.nan, 0.0)
            (whole, drawn), (whole_2, drawn_2) = (self.statistic(own + both, metric) for own in (first, second))
            wholes.append(whole - whole_2)
            samples.append(drawn - drawn_2)
            counts.append(int((~np.isnan(both)).sum()))
        return self.tested(system, against, metric, wholes, samples, counts)

    def tested(
        self,
        system: str,
        against: str,
        metric: str,
        wholes: Sequence[float],
        samples: Sequence[bootstrap.Array],
        counts: Sequence[int],
    ) -> Difference | None:
        """Return a difference with interval and p before Holm's correction, from values and samples [b] per seed."""
        if not wholes or np.isnan(wholes).any():
            return None
        drawn = self.over_seeds(samples)
        bounds = bootstrap.interval(drawn)
        if bounds is None:
            return None
        value, p = float(np.mean(wholes)), bootstrap.p_value(drawn)
        return Difference(system, against, self.corpus, metric, value, *bounds, p, p, min(counts), len(wholes))


def scores_by_corpus(evaluation: Evaluation, paths: Mapping[Key, Path], members: Members) -> dict[str, CorpusScores]:
    """Read the evaluations of each corpus, in the order of ``paths``."""
    read: dict[str, dict[str, Rows]] = {}
    for (system, corpus), path in paths.items():
        read.setdefault(corpus, {})[system] = artifacts.read_rows(path, "evaluation")
    return {corpus: CorpusScores(evaluation, corpus, rows, members) for corpus, rows in read.items()}


def compare(
    scores: CorpusScores, systems: Sequence[str], against: str, metrics: Sequence[str] = COMPARED
) -> list[Difference]:
    """Compare each system with the baseline on each of ``metrics``, without correction for multiple tests."""
    found = (scores.difference(s, against, metric) for s in systems if s != against for metric in metrics)
    return [difference for difference in found if difference is not None]


def by_baseline(difference: Difference) -> tuple[str, str, bool]:
    """Return the test family of a difference: for each corpus and baseline, primary metrics or all others (ours)."""
    return difference.corpus, difference.against, difference.metric in bootstrap.PRIMARY


def of_one_corpus(difference: Difference) -> str:
    """Return the test family of a difference, where all differences of a corpus form one family."""
    return difference.corpus


def corrected(
    differences: Sequence[Difference], family: Callable[[Difference], Hashable] = by_baseline
) -> list[Difference]:
    """Return the differences with Holm's correction within each family.

    A p from R resamples is at least 2 / (R + 1), so a family of many tests needs many resamples to find anything.
    """
    families: dict[Hashable, dict[int, float]] = {}
    for number, d in enumerate(differences):
        families.setdefault(family(d), {})[number] = d.p
    adjusted = {number: p for family in families.values() for number, p in bootstrap.holm(family).items()}
    return [replace(d, p_holm=adjusted[number]) for number, d in enumerate(differences)]
