"""Figures and paired differences over seeds: the bootstrap draws utterances and, where there are several, seeds.

A crossed bootstrap (ours): one resample is a draw of utterances (stratified, clustered, the same for every system and
seed of a corpus) and an independent draw, with replacement, of as many seeds as there are; its statistic is the mean
over the drawn seeds. With two or three seeds the spread over seeds is known poorly and understated: an interval says
what these seeds show. A difference is paired by utterance and seed: seed 1 of the one against seed 1 of the other; a
system that is not trained is the same for every seed.
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
Members = Mapping[str, Mapping[str, int]]  # trained system -> its members, itself first, and the seed of each
MACRO = "_macro"


@dataclass(frozen=True)
class Difference:
    """``system`` minus ``against`` on the same utterances and seeds; see the ``differences`` artifact."""

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


class CorpusScores:
    """The evaluations of one test corpus, read once.

    Args:
        evaluation: resamples and seed.
        corpus: its name.
        paths: member (a system, or one seed of it) -> ``evaluation`` artifact, all over the same utterances.
        members: of every trained system.
    """

    def __init__(self, evaluation: Evaluation, corpus: str, paths: Mapping[str, Path], members: Members) -> None:
        self.corpus, self._evaluation, self._members = corpus, evaluation, members
        self.rows = {name: artifacts.read_rows(path, "evaluation") for name, path in paths.items()}
        first = next(iter(self.rows.values()))
        self.ids = [row["utterance_id"] for row in first]
        self.classes = [canonical(row["label"]) for row in first]
        clusters = [row["cluster"] for row in first]
        self.weights = bootstrap.resample_weights(clusters, self.classes, evaluation.bootstrap, evaluation.seed)

    def members_of(self, system: str) -> dict[int | None, str]:
        """Seed -> member of this corpus, of a trained system; else {None: system}."""
        if system not in self._members:
            return {None: system} if system in self.rows else {}
        return {seed: name for name, seed in self._members[system].items() if name in self.rows}

    def pairs(self, system: str, against: str) -> list[tuple[str, str]]:
        """Members to compare: of equal seeds; a system without seeds stands beside each seed of the other."""
        one, other = self.members_of(system), self.members_of(against)
        if None in one or None in other:
            return [(a, b) for a in one.values() for b in other.values()]
        return [(one[seed], other[seed]) for seed in one if seed in other]

    def values(self, member: str, metric: str) -> bootstrap.Array:
        """Item values [n] of a metric; NaN where it does not apply. A macro average has those of its micro average."""
        name = metric.replace("_macro_n10", "").replace(MACRO, "")
        found = [dict(zip(r["metric_names"], r["metric_values"], strict=True)).get(name) for r in self.rows[member]]
        return np.asarray([np.nan if value is None else value for value in found], dtype=np.float64)

    def _statistic(self, weights: bootstrap.Array, values: bootstrap.Array, metric: str) -> bootstrap.Array:
        if MACRO not in metric:
            return bootstrap.weighted_mean(weights, values)
        return bootstrap.weighted_macro(weights, values, self.classes, 10 if metric.endswith("_n10") else 1)

    def statistic(self, values: bootstrap.Array, metric: str) -> tuple[float, bootstrap.Array]:
        """The metric of ``values`` [n], over all utterances and over each resample [b]."""
        whole = self._statistic(np.ones((1, len(values))), values, metric)[0]
        return float(whole), self._statistic(self.weights, values, metric)

    def over_seeds(self, samples: Sequence[bootstrap.Array]) -> bootstrap.Array:
        """Mean over drawn seeds: ``samples`` hold, a seed each, the statistic of every resample [b]. Returns [b]."""
        count = len(samples)
        generator = np.random.default_rng([self._evaluation.seed, count])
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=self._evaluation.bootstrap) / count
        stacked = np.stack(samples, axis=1)
        return np.where(drawn > 0, drawn * stacked, 0.0).sum(axis=1)

    def mean_figure(self, members: Sequence[str], metric: str, figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The mean of a corpus figure over seeds.

        The interval belongs to the mean of items (or its macro average), moved to the mean figure; a metric without
        item values (collapse, BLEU, …) has none over seeds.
        """
        value = float(np.mean([figure["value"] for figure in figures]))
        known = [self.statistic(self.values(member, metric), metric) for member in members]
        bounds, plain = None, float(np.mean([whole for whole, _ in known]))
        if not np.isnan(plain) and all(figure["ci_low"] is not None for figure in figures):
            bounds = bootstrap.interval(self.over_seeds([samples for _, samples in known]))
        low, high = (max(0.0, bounds[0] + value - plain), bounds[1] + value - plain) if bounds else (None, None)
        return {"value": value, "ci_low": low, "ci_high": high, "n": min(figure["n"] for figure in figures)}

    def difference(self, system: str, against: str, metric: str) -> Difference | None:
        """``system`` minus ``against``; None where nothing can be compared."""
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
        """A difference with its interval and p, before Holm's correction, from its value and samples [b] a seed."""
        if not wholes or np.isnan(wholes).any():
            return None
        drawn = self.over_seeds(samples)
        bounds = bootstrap.interval(drawn)
        if bounds is None:
            return None
        value, p = float(np.mean(wholes)), bootstrap.p_value(drawn)
        return Difference(system, against, self.corpus, metric, value, *bounds, p, p, min(counts), len(wholes))


def scores_by_corpus(evaluation: Evaluation, paths: Mapping[Key, Path], members: Members) -> dict[str, CorpusScores]:
    """Corpus -> its evaluations, in the order of ``paths``."""
    return {
        corpus: CorpusScores(evaluation, corpus, {s: path for (s, c), path in paths.items() if c == corpus}, members)
        for corpus in dict.fromkeys(corpus for _, corpus in paths)
    }


def compare(
    scores: CorpusScores, systems: Sequence[str], against: str, metrics: Sequence[str] = COMPARED
) -> list[Difference]:
    """Each system against the baseline, on each of ``metrics``; not yet corrected."""
    found = (scores.difference(s, against, metric) for s in systems if s != against for metric in metrics)
    return [difference for difference in found if difference is not None]


def by_baseline(difference: Difference) -> tuple[str, str, bool]:
    """Two families a corpus and baseline: the primary metrics and all others (ours)."""
    return difference.corpus, difference.against, difference.metric in bootstrap.PRIMARY


def of_one_corpus(difference: Difference) -> str:
    """One family a corpus."""
    return difference.corpus


def corrected(
    differences: Sequence[Difference], family: Callable[[Difference], Hashable] = by_baseline
) -> list[Difference]:
    """With Holm's correction within each family.

    A p of R resamples is at least 2 / (R + 1), so a family of many tests needs many resamples to find anything.
    """
    families: dict[Hashable, dict[int, float]] = {}
    for number, d in enumerate(differences):
        families.setdefault(family(d), {})[number] = d.p
    adjusted = {number: p for family in families.values() for number, p in bootstrap.holm(family).items()}
    return [replace(d, p_holm=adjusted[number]) for number, d in enumerate(differences)]
