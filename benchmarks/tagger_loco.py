"""Leave one training corpus out: what each choice of the clue tagger is worth on a corpus that it has not heard.

Reads the features, labels and audio tables of training corpora that an experiment has made; test corpora are refused.
Each corpus is predicted by a tagger trained on the others: accuracy and macro recall of the emotion, and the expected
calibration error under a temperature fitted on speakers left out (`calibrate: folds`) and under one fitted on the other
corpora left out (`calibrate: corpus`), never on the corpus that is scored; under the latter also the share of clips
whose emotion reaches the threshold, and how many of these are right.

    python benchmarks/tagger_loco.py results/emosec ravdess nemo
    python benchmarks/tagger_loco.py results/emosec ravdess nemo --set normalise=speaker l2=0.1 --set pooling=mean
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np

from aligncap import artifacts
from aligncap.clues.tagger.heads import Array, OutOfFold, fit_temperature, out_of_fold, softmax
from aligncap.clues.tagger.model import normalisation_groups, pooled
from aligncap.config import AlignCapConfig, TaggerSettings
from aligncap.evaluation.tables.tagger import measures, score_kind
from aligncap.speech.features import load_features
from aligncap.systems import load
from aligncap.vocabulary import canonical

ROOT = Path(__file__).parents[1]
KIND = "emotion"
# What the documentation's table shows: one choice changed against config.yaml at a time.
CHOICES = (
    "",
    "pooling=mean_std",
    "prior=uniform",
    "normalise=corpus",
    "normalise=speaker",
    "normalise=speaker pooling=mean_std",
    "threshold=0.35",
    *(f"l2={value}" for value in (0.001, 0.003, 0.03, 0.1)),
    *(f"layers={value}" for value in ("0", "1", "2", "0,1", "1,2")),
)


class Corpora:
    """Training corpora, clip by clip in one order."""

    def __init__(self, results: Path, names: list[str]) -> None:
        self.features, self.names, self.labels, self.speakers = [], [], [], []
        self.audio = {}
        for name in names:
            folder = results / "corpora" / name
            self.audio[name] = artifacts.read_rows(folder / "audio.parquet", "audio")
            if {row["split"] for row in self.audio[name]} != {"train"}:
                sys.exit(f"{name}: a test corpus of {results}; its labels choose nothing")
            label = {r["utterance_id"]: r["emotion"] for r in artifacts.read_rows(folder / "labels.parquet", "labels")}
            speaker = {row["utterance_id"]: row["speaker"] for row in self.audio[name]}
            for key, array in load_features(results / "features" / f"{name}.parquet").items():
                self.features.append(array)
                self.names.append((name, key))
                self.labels.append(canonical(label[key]) or "")
                self.speakers.append(f"{name}/{speaker[key]}")
        self.corpus = np.array([name for name, _ in self.names])
        self._pooled: dict[tuple[tuple[int, ...], str], Array] = {}

    def rows(self, layers: tuple[int, ...], pooling: str) -> Array:
        """Pooled features [N, F] of some of the stored layers; all where none is named."""
        if (layers, pooling) not in self._pooled:
            kept = list(layers) or slice(None)
            self._pooled = {(layers, pooling): np.stack([pooled(array[kept], pooling) for array in self.features])}
        return self._pooled[layers, pooling]

    def groups(self, normalise: str) -> list[str]:
        """What each clip is normalised with."""
        found = {c: normalisation_groups(normalise, rows, c) for c, rows in self.audio.items()}
        return [found[corpus][key] for corpus, key in self.names]


@functools.cache
def configured() -> AlignCapConfig:
    """The project's own configuration."""
    return load(ROOT / "config.yaml")


def settings_of(choice: str) -> tuple[TaggerSettings, tuple[int, ...]]:
    """The tagger of config.yaml with the keys of a choice changed, and the layers that it names; none are all."""
    changed = dict(part.split("=", 1) for part in choice.split())
    layers = tuple(int(x) for x in changed.pop("layers", "").split(",") if x)
    default = configured().tagger.model_dump()
    return TaggerSettings(**(default | {"measured": []} | changed)), layers  # no figure tells an emotion


def temperature(found: OutOfFold, labels: list[str], used: np.ndarray, prior: str) -> float:
    """Fitted on the predictions of the clips ``used`` (a mask)."""
    names = found.labels[KIND]
    wanted = np.array([names.index(label) if label else 0 for label in labels])
    logits = found.logits[KIND]
    usable = used & np.array([bool(label) for label in labels])
    usable &= np.isfinite(logits[np.arange(len(wanted)), wanted])
    return fit_temperature(logits[usable], wanted[usable], prior)


def leave_one_out(
    corpora: Corpora, settings: TaggerSettings, layers: tuple[int, ...], seed: int
) -> dict[str, list[float]]:
    """Held-out corpus -> accuracy, macro recall, ECE by folds, and by corpora: ECE, share kept, accuracy of kept."""
    rows, groups = corpora.rows(layers, settings.pooling), corpora.groups(settings.normalise)
    targets = {KIND: corpora.labels}
    names, number = np.unique(corpora.corpus, return_inverse=True)
    found = out_of_fold(rows, targets, number, groups, settings, seed)
    results = {}
    for name in names:
        held = corpora.corpus == name
        inside = np.flatnonzero(~held)
        own = {KIND: [corpora.labels[i] for i in inside]}
        _, speakers = np.unique([corpora.speakers[i] for i in inside], return_inverse=True)
        folds = speakers % settings.n_folds
        within = out_of_fold(rows[inside], own, folds, [groups[i] for i in inside], settings, seed)
        by_folds = temperature(within, own[KIND], np.ones(len(inside), dtype=bool), settings.prior)
        scored = []
        for fitted in (by_folds, temperature(found, corpora.labels, ~held, settings.prior)):
            tags = softmax(found.logits[KIND][held] / fitted)
            keys = [str(i) for i in np.flatnonzero(held)]
            predicted = {
                k: {KIND: dict(zip(found.labels[KIND], p, strict=True))} for k, p in zip(keys, tags, strict=True)
            }
            labels = {k: corpora.labels[int(k)] for k in keys}
            scored.append(score_kind(predicted, labels, {k: k for k in keys}, KIND, settings.threshold))
        figures = [measures(np.ones((1, len(own.targets))), own) for own in scored]
        wanted = [(1, "accuracy"), (1, "macro_recall"), (0, "ece"), (1, "ece"), (1, "coverage"), (1, "accuracy_kept")]
        results[str(name)] = [float(figures[which][metric][0]) for which, metric in wanted]
    return results


def main() -> None:
    """Print a Markdown table, a line for each choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/{experiment} with features and corpora")
    parser.add_argument("corpora", nargs="+", help="training corpora, two or more")
    parser.add_argument("--set", nargs="+", action="append", metavar="KEY=VALUE", help="keys of tagger; layers=0,1")
    arguments = parser.parse_args()
    if len(arguments.corpora) < 2:
        sys.exit("leave one corpus out needs two training corpora")
    corpora = Corpora(arguments.results, arguments.corpora)
    columns = "acc / macro | ECE folds / corpus | kept: acc"
    heads = " | ".join(f"→ {name}: {columns}" for name in sorted(arguments.corpora))
    print(f"| choice | {heads} | mean macro |\n|---|{'---:|' * (3 * len(arguments.corpora) + 1)}")
    for choice in [" ".join(parts) for parts in arguments.set] if arguments.set else CHOICES:
        settings, layers = settings_of(choice)
        found = leave_one_out(corpora, settings, layers, configured().seed)
        cells = [
            f"{a:.3f} / {m:.3f} | {f:.3f} / {c:.3f} | {kept:.2f}: {right:.2f}"
            for a, m, f, c, kept, right in (found[name] for name in sorted(found))
        ]
        mean = np.mean([figures[1] for figures in found.values()])
        print(f"| {choice or 'config.yaml'} | {' | '.join(cells)} | {mean:.3f} |", flush=True)


if __name__ == "__main__":
    main()
