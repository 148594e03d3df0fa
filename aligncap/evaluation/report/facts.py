"""Grids beyond the paper's tables: assertions, reliance on the emotion tag, tagger out of fold, preference pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from aligncap import artifacts
from aligncap.evaluation import tables
from aligncap.evaluation.report.grids import Cell, Grid, Line
from aligncap.evaluation.report.sources import Sources
from aligncap.evaluation.tables.assertions import HEADINGS, by_kind
from aligncap.evaluation.tables.tag_reliance import METRICS as RELIANCE
from aligncap.evaluation.tables.tag_reliance import in_words
from aligncap.systems import plain_name

TAGGER_HEADINGS = ("corpus", "clue", "n", "accuracy", "macro recall", "majority class")
PAIR_HEADINGS = (
    "pairs of", "pairs", "utterances", "factuality", "faithfulness", "clue swaps", "dev", "mean margin (judged)",
)  # fmt: skip
RELIANCE_HEADINGS = ("system", *RELIANCE.values(), "captions")


def tagger_grid(path: Path | None, sources: Sources) -> Grid | None:
    """Return out-of-fold accuracy and macro recall per clue kind and training corpus, beside the majority share."""
    if path is None:
        return None
    hits: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in artifacts.read_rows(path, "tagger_predictions"):
        if row["target"] and row["probabilities"]:
            best = max(range(len(row["labels"])), key=row["probabilities"].__getitem__)
            hits[row["corpus"], row["kind"]].append((row["target"], row["labels"][best]))
    lines = []
    for (corpus, kind), found in sorted(hits.items()):
        classes = sorted({target for target, _ in found})
        recalls = [sum(t == p for t, p in found if t == c) / sum(t == c for t, _ in found) for c in classes]
        shares = (
            sum(target == said for target, said in found) / len(found),
            sum(recalls) / len(recalls),
            max(sum(target == c for target, _ in found) for c in classes) / len(found),
        )
        lines.append(Line(corpus, [Cell(kind), Cell(str(len(found))), *(Cell(f"{share:.3f}") for share in shares)]))
    return Grid("Clue tagger, out of fold", TAGGER_HEADINGS, lines, sources.of(path)) if lines else None


def reliance_grids(path: Path | None, sources: Sources) -> dict[str, Grid]:
    """Return corpus -> how often captions repeat the predicted emotion tag, seeds pooled; empty without a file."""
    if path is None:
        return {}
    found: dict[str, Grid] = {}
    for corpus, systems in tables.by_corpus(artifacts.read_rows(path, "table")).items():
        lines = [Line(system, [Cell(*c) for c in in_words(own, digits=2)]) for system, own in systems.items()]
        found[corpus] = Grid(f"Captions and the emotion tag on {corpus}", RELIANCE_HEADINGS, lines, sources.of(path))
    return found


def assertion_grids(path: Path | None, sources: Sources) -> dict[str, Grid]:
    """Return corpus -> the assertions of each kind and system, seeds pooled; empty without a file."""
    if path is None:
        return {}
    rows = [row for row in artifacts.read_rows(path, "assertions") if row["system"] == plain_name(row["system"])]
    found: dict[str, Grid] = {}
    for corpus, own in by_kind(rows).items():
        lines = [Line(kind, [Cell(system), *(Cell(*c) for c in cells)]) for kind, system, cells in own]
        found[corpus] = Grid(f"Assertions on {corpus}", ("kind", "system", *HEADINGS), lines, sources.of(path))
    return found


def pair_grids(paths: Mapping[str, Path], sources: Sources) -> list[Grid]:
    """Return the sizes of every set of preference pairs."""
    grids = []
    for name, path in paths.items():
        rows = artifacts.read_rows(path, "preference_pairs")
        judged = [row["margin"] for row in rows if "#swap" not in row["rejected_id"]]
        counts = (
            len(rows),
            len({(row["corpus"], row["utterance_id"]) for row in rows}),
            sum(row["kind"] == "factuality" for row in rows),
            sum(row["kind"] == "faithfulness" for row in rows),
            len(rows) - len(judged),
            sum(row["role"] == "dev" for row in rows),
        )
        margin = f"{sum(judged) / len(judged):.2f}" if judged else "–"
        line = Line(name, [*(Cell(str(count)) for count in counts), Cell(margin)])
        grids.append(Grid(f"Preference pairs of {name}", PAIR_HEADINGS, [line], sources.of(path)))
    return grids
