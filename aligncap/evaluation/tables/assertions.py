"""The assertions table: every assertion of a caption checked by itself, by kind of clue. Ours, for scoring only.

It reads the verdicts of ``aligncap.clues.hallucination_checks.check``. Compare EmoSURA (Jing et al. 2026, arXiv
2603.09820), which verifies the atomic units of a caption against the audio. Here label and measurement decide, so that
much remains unchecked, and the table says how much. The assertions supported and contradicted a caption add up over the
kinds to the row ``all``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aligncap import artifacts
from aligncap.clues.hallucination_checks import VERDICTS
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.tables.columns import Key
from aligncap.evaluation.tables.render import as_csv
from aligncap.evaluation.tables.seeds import Members, scores_by_corpus
from aligncap.evaluation.wording import bounds, markdown_table
from aligncap.systems import plain_name
from aligncap.vocabulary import KINDS

RULE = "assertions_table"
ALL = "all"
METRICS = {
    "precision": "precision",
    "contradicted": "contradicted",
    "not_checkable": "not checkable",
    "supported_per_caption": "supported a caption",
    "contradicted_per_caption": "contradicted a caption",
}
HEADINGS = ("asserted", *METRICS.values())
EXPLAINED = (
    "precision: supported / (supported + contradicted); contradicted and not checkable: shares of all that is asserted",
    "not checkable: nothing is known of the clip that decides about it, such as a middle third or most timbres",
)

Checked = Sequence[Sequence[Mapping[str, Any]]]  # assertions of each utterance, as in the artifact `evaluation`


class AssertionsTable(NamedTuple):
    """The ``assertions`` artifact, the same rows as CSV, and the table as Markdown."""

    parquet: Path
    csv: Path
    md: Path


def _counts(captions: Checked, kind: str) -> bootstrap.Array:
    """Return how often each of ``VERDICTS`` was given in each caption, [3, n]."""
    verdicts = [[a["verdict"] for a in own if kind in (a["kind"], ALL)] for own in captions]
    return np.asarray([[own.count(v) for own in verdicts] for v in VERDICTS], dtype=np.float64)


def figures_by_kind(weights: bootstrap.Array, members: Sequence[Checked]) -> list[dict[str, Any]]:
    """Return rows (kind, metric, value, ci_low, ci_high, n) of each kind that is asserted and of ``all``.

    Args:
        weights: Resamples of the utterances, [b, n].
        members: Assertions of one system, by seed and utterance. Seeds are pooled; the bootstrap draws utterances.
    """
    captions = np.full(weights.shape[1], float(len(members)))
    rows = []
    for kind in (*KINDS, ALL):
        supported, contradicted, undecided = np.sum([_counts(own, kind) for own in members], axis=0)
        asserted = supported + contradicted + undecided
        if not asserted.any():
            continue
        ratios = (
            (supported, supported + contradicted),
            (contradicted, asserted),
            (undecided, asserted),
            (supported, captions),
            (contradicted, captions),
        )
        for metric, (part, whole) in zip(METRICS, ratios, strict=True):
            if (figure := bootstrap.ratio_figure(weights, part, whole)) is not None:
                rows.append({"kind": kind, "metric": metric, **figure})
    return rows


def in_words(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Return kind -> text and interval of each cell under ``HEADINGS``, from the rows of one system on one corpus."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["kind"], {})[row["metric"]] = row
    return {
        kind: [(str(own["contradicted"]["n"]), ""), *(_cell(own.get(metric)) for metric in METRICS)]
        for kind, own in found.items()
    }


def _cell(figure: Mapping[str, Any] | None) -> tuple[str, str]:
    return ("–", "") if figure is None else (f"{figure['value']:.3f}", bounds(figure))


def by_kind(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, str, list[tuple[str, str]]]]]:
    """Return corpus -> (kind, system, cells of ``in_words``), the systems of a kind one below the other."""
    grouped: dict[Key, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["system"], row["corpus"]), []).append(row)
    found: dict[str, list[tuple[str, str, list[tuple[str, str]]]]] = {}
    for (system, corpus), own in grouped.items():
        found.setdefault(corpus, []).extend((kind, system, cells) for kind, cells in in_words(own).items())
    order = (*KINDS, ALL)
    return {corpus: sorted(lines, key=lambda line: order.index(line[0])) for corpus, lines in found.items()}


def write_assertions(
    evaluation: Evaluation, evaluations: Mapping[Key, Path], members: Members, outs: AssertionsTable
) -> None:
    """Write the assertions table (rule ``assertions_table``).

    Args:
        evaluation: Resamples and seed of the bootstrap.
        evaluations: (system or one seed of it, corpus) -> ``evaluation`` artifact.
        members: Trained system -> its members and their seeds; several seeds have rows together and rows each.
        outs: Target files.
    """
    rows: list[dict[str, Any]] = []
    for corpus, scores in scores_by_corpus(evaluation, evaluations, members).items():
        checked = {name: [row["assertions"] for row in own] for name, own in scores.rows.items()}
        for system in dict.fromkeys(map(plain_name, scores.rows)):
            seeds = scores.members_of(system)
            parts = {system: list(seeds.values())}
            parts |= {f"{system}@{seed}": [name] for seed, name in seeds.items() if len(seeds) > 1}
            for part, names in parts.items():
                own = figures_by_kind(scores.weights, [checked[name] for name in names])
                rows += [{"system": part, "corpus": corpus, **row} for row in own]
    artifacts.write(rows, outs.parquet, "assertions", RULE)
    artifacts.write_text(as_csv(rows, "assertions"), outs.csv)
    artifacts.write_text(_markdown(rows), outs.md)


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["# Assertions, each checked by itself", ""]
    for corpus, own in by_kind(rows).items():
        body = [[kind, f"`{system}`", *(" ".join(filter(None, cell)) for cell in cells)] for kind, system, cells in own]
        lines += [f"## {corpus}", "", *markdown_table("ll" + "r" * len(HEADINGS), ["kind", "system", *HEADINGS], body)]
    lines += [*(f"- {line}" for line in EXPLAINED), "- chance: the captions of its first shuffle", ""]
    lines.append("Brackets: 95 % bootstrap over utterances, stratified by label, clustered by caption or session.")
    return "\n".join(lines) + "\n"
