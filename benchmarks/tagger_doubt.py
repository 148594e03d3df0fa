"""What tells how sure to be of an emotion on speech of a new corpus: ways to calibrate the tagger, chosen nested.

The rule, written before the runs. A corpus is left out; the tagger is trained on the others, and each way of ``WAYS``
is fitted on predictions for those others, each left out in turn. ECE and negative log-likelihood (NLL) are of the
corpus left out. The way that would be chosen for a corpus is the one whose mean ECE on the other corpora is lowest,
each left out of these; of equal ways the first. The default is the one with the lowest mean over all. Test corpora are
refused.

A way is a temperature that may depend on the clip, ``log T = a + b·x``: on how far it lies from the training speech
(``distance``, that of the familiarity), or on how much taggers disagree that were each trained without one of the
training corpora (``jackknife``) or on one alone (``experts``), measured as the mutual information of label and tagger
(BALD, Houlsby et al., arXiv 1112.5745). ``mean`` averages the probabilities of the jackknife in place of the tagger's
own. ``corpora`` weighs each training corpus alike in the fit.

    python benchmarks/tagger_doubt.py results/people ravdess nemo emodb emovo ased koremo
"""

import argparse
import functools
import itertools
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from tagger_loco import KIND, Corpora, configured, settings_of
from tagger_nested import shown

from aligncap.clues.tagger.familiarity import Familiarity, distance, fit_familiarity
from aligncap.clues.tagger.heads import LABELS, Array, fit_heads, softmax, standardise, statistics
from aligncap.evaluation import bootstrap
from aligncap.evaluation.tables.tagger import ScoredTags, calibration_error

NAMES = LABELS[KIND]
MISSING = -1e4  # logit of a label that a tagger does not know
# name -> what the temperature depends on, average of the jackknife, corpora alike
WAYS: dict[str, tuple[tuple[str, ...], bool, bool]] = {
    f"{' and '.join(read) or 'one temperature'}{', mean' * mean}{', corpora' * alike}": (read, mean, alike)
    for read in ((), ("distance",), ("jackknife",), ("experts",), ("distance", "jackknife"), ("jackknife", "experts"))
    for mean in (False, True)
    for alike in (False, True)
}


class Predictions:
    """Predictions of every clip by taggers of any set of training corpora, each trained once."""

    def __init__(self, corpora: Corpora, choice: str, seed: int) -> None:
        self.corpora, self.seed = corpora, seed
        self.settings, layers = settings_of(choice)
        self.rows = corpora.rows(layers, self.settings.pooling)
        self.of = functools.cache(self._of)
        self.clues = functools.cache(self._clues)

    def clips_of(self, names: frozenset[str]) -> np.ndarray:
        """Numbers of the clips of some corpora."""
        return np.flatnonzero(np.isin(self.corpora.corpus, list(names)))

    def _of(self, names: frozenset[str]) -> Array:
        """Logits [N, C] of all clips."""
        inside = self.clips_of(names)
        centre = statistics(self.rows[inside])
        labels = [self.corpora.labels[i] for i in inside]
        head = fit_heads(standardise(self.rows[inside], *centre), {KIND: labels}, self.settings, self.seed)[KIND]
        logits = np.full((len(self.rows), len(NAMES)), MISSING)
        logits[:, [NAMES.index(label) for label in head.labels]] = head.logits(standardise(self.rows, *centre))
        return logits

    def _clues(self, names: frozenset[str]) -> dict[str, Array]:
        """What is known of each clip beside the logits, and the mean probabilities of the jackknife."""
        inside = self.clips_of(names)
        centre = statistics(self.rows[inside])
        one = np.zeros(len(inside), dtype=np.int64)
        known: Familiarity = fit_familiarity(self.rows[inside], one, [""] * len(inside), self.settings, self.seed)
        taggers = {
            "jackknife": [self.of(names - {name} or names) for name in sorted(names)],
            "experts": [self.of(frozenset({name})) for name in sorted(names)],
        }
        probabilities = {which: np.stack([softmax(logits) for logits in own]) for which, own in taggers.items()}
        found = {which: disagreement(own) for which, own in probabilities.items()}
        far = distance(standardise(self.rows, *centre), known.centre, known.components)
        return found | {"distance": np.log(far), "mean": np.log(probabilities["jackknife"].mean(axis=0) + 1e-12)}


def disagreement(probabilities: Array) -> Array:
    """Mutual information [N] of label and tagger, in nat, of probabilities [M, N, C]."""
    entropy = -(probabilities * np.log(probabilities + 1e-12)).sum(axis=-1)
    together = probabilities.mean(axis=0)
    return -(together * np.log(together + 1e-12)).sum(axis=-1) - entropy.mean(axis=0)


def calibrated(found: Predictions, names: frozenset[str], way: str, tested: np.ndarray) -> Array:
    """Probabilities [N, C] of the clips ``tested`` by a tagger of ``names``, calibrated in a way."""
    read, mean, alike = WAYS[way]

    def given(training: frozenset[str], clips: np.ndarray) -> tuple[Array, Array]:
        clues = found.clues(training)
        logits = clues["mean"] if mean else found.of(training)
        return logits[clips], np.stack([np.ones(len(clips)), *(clues[c][clips] for c in read)], axis=1)

    parts, wanted, weights = [], [], []
    for name in sorted(names):
        clips = np.array([i for i in found.clips_of(frozenset({name})) if found.corpora.labels[i]])
        right = np.array([NAMES.index(found.corpora.labels[i]) for i in clips])
        logits, inputs = given(names - {name}, clips)
        known = logits[np.arange(len(clips)), right] > MISSING
        parts.append((logits[known], inputs[known]))
        wanted.append(right[known])
        weights.append(np.full(known.sum(), 1 / known.sum() if alike else 1.0))
    logits, inputs = (np.concatenate(part) for part in zip(*parts, strict=True))
    right, weight = np.concatenate(wanted), np.concatenate(weights)
    if found.settings.prior == "uniform":
        weight = weight / np.bincount(right, weight, len(NAMES))[right]
    centre, scale = inputs[:, 1:].mean(axis=0), inputs[:, 1:].std(axis=0)
    scale = np.where(scale > 0, scale, 1)

    def temperatures(rows: Array, coefficients: Array) -> Array:
        z = np.concatenate([rows[:, :1], (rows[:, 1:] - centre) / scale], axis=1)
        return np.exp(np.clip(z @ coefficients, np.log(0.05), np.log(20)))[:, None]

    def loss(coefficients: Array) -> float:
        chosen = softmax(logits / temperatures(inputs, coefficients))[np.arange(len(right)), right]
        return float(-np.average(np.log(np.maximum(chosen, 1e-12)), weights=weight))

    fitted = minimize(loss, np.zeros(inputs.shape[1]), method="Nelder-Mead", options={"maxiter": 2000}).x
    logits, inputs = given(names, tested)
    return softmax(logits / temperatures(inputs, fitted))


def scored(found: Predictions, names: frozenset[str], way: str, held: str) -> tuple[ScoredTags, float]:
    """The tags of a corpus left out, and their NLL."""
    clips = np.array([i for i in found.clips_of(frozenset({held})) if found.corpora.labels[i]])
    labels = [found.corpora.labels[i] for i in clips]
    p = calibrated(found, names, way, clips)
    right = np.array([NAMES.index(label) for label in labels])
    nll = -np.log(np.maximum(p[np.arange(len(clips)), right], 1e-12)).mean()
    hits, best = (p.argmax(axis=1) == right).astype(float), p.max(axis=1)
    nothing = np.zeros(len(clips))
    speakers = [found.corpora.speakers[i] for i in clips]
    return ScoredTags(hits, best, nothing, nothing, labels, speakers), float(nll)


def main() -> None:
    """Print the table of all ways, and what the nested choice is worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/{experiment} with features and corpora")
    parser.add_argument("corpora", nargs="+", help="training corpora, four or more")
    parser.add_argument("--choice", default="prior=uniform", help="keys of tagger, as those of people.yaml")
    arguments = parser.parse_args()
    if len(arguments.corpora) < 4:
        sys.exit("calibrating inside of a nested choice needs four training corpora")
    seed, names = configured().seed, sorted(arguments.corpora)
    found = Predictions(Corpora(arguments.results, arguments.corpora), arguments.choice, seed)
    errors: dict[str, dict[str, Array]] = {}
    inner: dict[tuple[str, str], list[float]] = {(name, way): [] for name in names for way in WAYS}
    print(f"| way | {' | '.join(names)} | mean | mean NLL |\n|---|{'---:|' * (len(names) + 2)}")
    for way in WAYS:
        errors[way], losses = {}, []
        for name in names:
            own, nll = scored(found, frozenset(names) - {name}, way, name)
            weights = bootstrap.resample_weights(own.clusters, [""] * len(own.targets), 1000, seed)
            errors[way][name] = calibration_error(np.vstack([np.ones(len(own.targets)), weights]), own)
            losses.append(nll)
        for name, other in itertools.permutations(names, 2):
            own, _ = scored(found, frozenset(names) - {name, other}, way, other)
            inner[name, way].append(float(calibration_error(np.ones((1, len(own.targets))), own)[0]))
        cells = [shown(errors[way][name]) for name in names]
        mean = shown(np.mean(list(errors[way].values()), axis=0))
        print(f"| {way} | {' | '.join(cells)} | {mean} | {np.mean(losses):.3f} |", flush=True)
    print("\n| left out | chosen on the others | their mean ECE | ECE on it |\n|---|---|---:|---:|")
    chosen = {name: min(WAYS, key=lambda way: np.mean(inner[name, way])) for name in names}
    for name, way in chosen.items():
        print(f"| {name} | {way} | {np.mean(inner[name, way]):.3f} | {shown(errors[way][name])} |")
    print(f"| mean | | | {shown(np.mean([errors[way][name] for name, way in chosen.items()], axis=0))} |")


if __name__ == "__main__":
    main()
