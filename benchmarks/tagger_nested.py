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
import sys
from pathlib import Path

import numpy as np
from tagger_loco import KIND, ROOT, Corpora

from aligncap.clues.tagger.heads import Array, out_of_fold
from aligncap.config import TaggerSettings
from aligncap.evaluation.bootstrap import resample_weights, weighted_macro
from aligncap.systems import load

CANDIDATES = (
    "",
    "prior=uniform",
    "pooling=mean_std",
    *(f"l2={value}" for value in (0.001, 0.003, 0.03, 0.1)),
    *(f"layers={value}" for value in ("0", "1", "2", "0,1", "1,2")),
)


def right(corpora: Corpora, choice: str, inside: np.ndarray, seed: int) -> Array:
    """Whether the emotion of each clip is told by a tagger of the other corpora of ``inside`` (mask); NaN elsewhere."""
    changed = dict(part.split("=", 1) for part in choice.split())
    layers = tuple(int(x) for x in changed.pop("layers", "").split(",") if x)
    default = load(ROOT / "config.yaml").tagger.model_dump()
    settings = TaggerSettings(**(default | {"measured": []} | changed))  # no figure tells an emotion
    clips = np.flatnonzero(inside)
    rows = corpora.rows(layers, settings.pooling)[clips]
    targets = [corpora.labels[i] for i in clips]
    groups = corpora.groups(settings.normalise)
    _, folds = np.unique(corpora.corpus[clips], return_inverse=True)
    found = out_of_fold(rows, {KIND: targets}, folds, [groups[i] for i in clips], settings, seed)
    best = [found.labels[KIND][i] for i in found.logits[KIND].argmax(axis=1)]
    told = np.full(len(inside), np.nan)
    told[clips] = [float(b == t) if t else np.nan for b, t in zip(best, targets, strict=True)]
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
    seed = load(ROOT / "config.yaml").seed
    corpora, names = Corpora(arguments.results, arguments.corpora), sorted(arguments.corpora)
    weights = {}
    for name in names:
        speakers = [corpora.speakers[i] for i in np.flatnonzero(corpora.corpus == name)]
        weights[name] = resample_weights(speakers, [""] * len(speakers), 1000, seed)
    everyone = np.ones(len(corpora.corpus), dtype=bool)
    outer, inner = {}, {}
    print(f"| candidate | {' | '.join(names)} | mean |\n|---|{'---:|' * (len(names) + 1)}")
    for choice in arguments.candidates:
        outer[choice] = macro(corpora, right(corpora, choice, everyone, seed), weights)
        for name in names:
            found = macro(corpora, right(corpora, choice, corpora.corpus != name, seed), weights)
            inner[name, choice] = float(np.mean([values[0] for values in found.values()]))
        cells = [shown(outer[choice][name]) for name in names]
        mean = shown(np.mean(list(outer[choice].values()), axis=0))
        print(f"| `{choice or 'config.yaml'}` | {' | '.join(cells)} | {mean} |", flush=True)
    print("\n| left out | chosen on the others | their mean | macro recall on it |\n|---|---|---:|---:|")
    chosen = {name: max(arguments.candidates, key=lambda choice: inner[name, choice]) for name in names}
    for name, choice in chosen.items():
        print(f"| {name} | `{choice or 'config.yaml'}` | {inner[name, choice]:.3f} | {shown(outer[choice][name])} |")
    print(f"| mean | | | {shown(np.mean([outer[choice][name] for name, choice in chosen.items()], axis=0))} |")


if __name__ == "__main__":
    main()
