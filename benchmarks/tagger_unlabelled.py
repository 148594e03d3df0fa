"""What the clue tagger learns from unlabelled audio of the corpus that it is used on; test corpora are refused.

Each training corpus in turn is the new one: the tagger is fitted on another, half of the new one's speakers are heard
without labels, the other half is scored; then the halves change places. Mean over both of the macro recall of each
clue kind: without hearing them, from features or from the figures of the clip itself (`tagger.measured`); and with
prosody and timbre measured on them.

    python benchmarks/tagger_unlabelled.py results/emosec ravdess nemo
"""

import argparse
import math
import warnings
from pathlib import Path

import numpy as np
from tagger_loco import Corpora

from aligncap import artifacts
from aligncap.clues.tagger.heads import LABELS, Array, Head, fit_heads, standardise, statistics
from aligncap.clues.tagger.model import figures
from aligncap.clues.tagger.training import targets_of
from aligncap.config import TaggerSettings
from aligncap.systems import load
from aligncap.vocabulary import SCALES

ROOT = Path(__file__).parents[1]
KINDS = ("emotion", *SCALES, "timbre")


def macro_recall(head: Head, rows: Array, targets: list[str]) -> float:
    """Mean over the labels among ``targets`` of how often a row with it gets it."""
    said = np.array([head.labels[i] for i in head.logits(rows).argmax(axis=1)])
    wanted = np.array(targets)
    return float(np.mean([(said[wanted == label] == label).mean() for label in set(targets) - {""}]))


def main() -> None:
    """Print a Markdown table for each new corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/{experiment} with features and corpora")
    parser.add_argument("corpora", nargs=2, help="two training corpora")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="lbfgs failed to converge")  # as at training, 300 iterations are enough
    config = load(ROOT / "config.yaml")
    corpora = Corpora(arguments.results, arguments.corpora)
    rows = corpora.rows((), config.tagger.pooling)
    files = {
        name: {corpus: arguments.results / "corpora" / corpus / f"{name}.parquet" for corpus in arguments.corpora}
        for name in ("references", "prosody", "timbre")
    }
    known = targets_of(**files)
    prosody = {
        (corpus, row["utterance_id"]): row
        for corpus, path in files["prosody"].items()
        for row in artifacts.read_rows(path, "prosody")
    }
    own = np.stack([figures(prosody[name], list(SCALES)) for name in corpora.names])
    of_features, of_figures = (
        TaggerSettings(**config.tagger.model_dump() | {"measured": kinds}) for kinds in ([], list(SCALES))
    )
    for new in arguments.corpora:
        old = np.flatnonzero(corpora.corpus != new)
        speakers = sorted({s for s, c in zip(corpora.speakers, corpora.corpus, strict=True) if c == new})
        standardised = standardise(rows, *statistics(rows[old]))
        with_figures = np.hstack([standardised, standardise(own, *statistics(own[old]))])

        def told(clips: np.ndarray, kinds: tuple[str, ...] = tuple(LABELS)) -> dict[str, list[str]]:
            return {k: [known[corpora.names[i]].get(k, "") if k in kinds else "" for i in clips] for k in LABELS}

        not_heard = fit_heads(standardised[old], told(old), of_features, config.seed)
        measured_heads = fit_heads(with_figures[old], told(old, tuple(SCALES)), of_figures, config.seed)
        found: dict[str, list[list[float]]] = {}
        for half in (0, 1):
            heard = np.flatnonzero(np.isin(corpora.speakers, speakers[half::2]))
            scored = np.flatnonzero(np.isin(corpora.speakers, speakers[1 - half :: 2]))
            fitted = {"not heard": not_heard}
            measured, labelled = told(heard, (*SCALES, "timbre")), told(old)
            joined = {kind: [*labels, *measured[kind]] for kind, labels in labelled.items()}
            both = np.concatenate([standardised[old], standardised[heard]])
            fitted["heard: prosody and timbre measured"] = fit_heads(both, joined, of_features, config.seed)
            wanted = told(scored)
            for name, heads in fitted.items():
                scores = [macro_recall(heads[k], standardised[scored], wanted[k]) for k in KINDS]
                found.setdefault(name, []).append(scores)
            told_by_figures = [
                macro_recall(measured_heads[k], with_figures[scored], wanted[k]) if k in SCALES else math.nan
                for k in KINDS
            ]
            found.setdefault("not heard; the clip's own figure", []).append(told_by_figures)
        print(f"| → {new} | {' | '.join(KINDS)} |\n|---|{'---:|' * len(KINDS)}")
        for name, halves in found.items():
            print(f"| {name} | {' | '.join(f'{value:.3f}' for value in np.mean(halves, axis=0))} |", flush=True)
        print()


if __name__ == "__main__":
    main()
