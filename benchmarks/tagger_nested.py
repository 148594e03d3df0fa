"""Choose the clue tagger by leaving corpora out, nested: what a choice made so is worth on a corpus that it never saw.

The rule, written before the runs. The candidates are ``CANDIDATES`` below, in that order; none looks at other clips of
the corpus it is tested on. For each training corpus left out, every candidate is scored on the others, each left out in
turn, by the mean of their macro recalls of the emotion. The candidate with the highest mean is trained on all of them
and scored on the corpus left out; of equal candidates the first counts. The default for a new corpus is the candidate
with the highest mean over all training corpora. Test corpora are refused.

The first table has every candidate on every corpus with 95 % intervals, the second the nested choices. Intervals are
bootstrap intervals over the speakers of a corpus, and of a mean over those of all corpora, each resampled by itself.

    python benchmarks/tagger_nested.py results/people ravdess nemo emodb emovo ased koremo
"""

import argparse
import itertools
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from tagger_loco import KIND, Corpora, configured, settings_of

from aligncap.clues.tagger.heads import Array, fit_heads, standardised_rows
from aligncap.evaluation.bootstrap import resample_weights, weighted_macro

CANDIDATES = (
    "",
    "prior=uniform",
    "pooling=mean_std",
    *(f"l2={value}" for value in (0.001, 0.003, 0.03, 0.1)),
    *(f"layers={value}" for value in ("0", "1", "2", "0,1", "1,2")),
)


def right(corpora: Corpora, choice: str, held: tuple[str, ...], seed: int) -> Array:
    """Whether the emotion of each clip of ``held`` is told by a tagger of all other corpora; NaN elsewhere."""
    settings, layers = settings_of(choice)
    inside = np.isin(corpora.corpus, held)
    outside = np.flatnonzero(~inside)
    rows = corpora.rows(layers, settings.pooling)
    rows = standardised_rows(rows, corpora.groups(settings.normalise), settings.normalise, outside)
    head = fit_heads(rows[outside], {KIND: [corpora.labels[i] for i in outside]}, settings, seed)[KIND]
    clips = np.flatnonzero(inside)
    best = [head.labels[column] for column in head.logits(rows[clips]).argmax(axis=1)]
    told = np.full(len(inside), np.nan)
    told[clips] = [
        float(b == corpora.labels[i]) if corpora.labels[i] else np.nan for b, i in zip(best, clips, strict=True)
    ]
    return told


def macro(corpora: Corpora, told: Array, weights: dict[str, Array]) -> dict[str, Array]:
    """Macro recall of each corpus in ``weights`` that was told, for its clips as they are and for each resample."""
    found = {}
    for name, drawn in weights.items():
        own = corpora.corpus == name
        if not np.isnan(told[own]).all():
            labels = [corpora.labels[i] or None for i in np.flatnonzero(own)]
            found[name] = weighted_macro(np.vstack([np.ones(own.sum()), drawn]), told[own], labels)
    return found


def shown(values: Array) -> str:
    """A figure with its interval."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return f"{values[0]:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/{experiment} with features and corpora")
    parser.add_argument("corpora", nargs="+", help="training corpora, three or more")
    parser.add_argument("--candidates", nargs="+", default=CANDIDATES, help="fewer of them, for a trial")
    arguments = parser.parse_args()
    if len(arguments.corpora) < 3:
        sys.exit("a nested choice needs three training corpora")
    seed = configured().seed
    corpora, names = Corpora(arguments.results, arguments.corpora), sorted(arguments.corpora)
    weights = {}
    for name in names:
        speakers = [corpora.speakers[i] for i in np.flatnonzero(corpora.corpus == name)]
        weights[name] = resample_weights(speakers, [""] * len(speakers), 1000, seed)
    outer: dict[str, dict[str, Array]] = {}
    inner: dict[tuple[str, str], list[float]] = defaultdict(list)
    print(f"| candidate | {' | '.join(names)} | mean |\n|---|{'---:|' * (len(names) + 1)}")
    for choice in arguments.candidates:
        outer[choice] = {}
        for name in names:
            outer[choice] |= macro(corpora, right(corpora, choice, (name,), seed), weights)
        for pair in itertools.combinations(names, 2):  # one tagger for two choices: each of a pair is the other's test
            found = macro(corpora, right(corpora, choice, pair, seed), weights)
            for name, other in (pair, pair[::-1]):
                inner[name, choice].append(float(found[other][0]))
        cells = [shown(outer[choice][name]) for name in names]
        mean = shown(np.mean(list(outer[choice].values()), axis=0))
        print(f"| `{choice or 'config.yaml'}` | {' | '.join(cells)} | {mean} |", flush=True)
    print("\n| left out | chosen on the others | their mean | macro recall on it |\n|---|---|---:|---:|")
    chosen = {name: max(arguments.candidates, key=lambda choice: np.mean(inner[name, choice])) for name in names}
    for name, choice in chosen.items():
        value = np.mean(inner[name, choice])
        print(f"| {name} | `{choice or 'config.yaml'}` | {value:.3f} | {shown(outer[choice][name])} |")
    print(f"| mean | | | {shown(np.mean([outer[choice][name] for name, choice in chosen.items()], axis=0))} |")


if __name__ == "__main__":
    main()
