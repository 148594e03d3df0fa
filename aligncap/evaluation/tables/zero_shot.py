"""The zero-shot table: every system on every test corpus, averaged over seeds; other tables show parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.tables.columns import Key
from aligncap.evaluation.tables.render import TableForms, as_csv, render_latex, render_markdown
from aligncap.evaluation.tables.seeds import CorpusScores, Difference, Members, compare, corrected, scores_by_corpus
from aligncap.systems import plain_name

RULE = "zero_shot_table"
BASELINES = ("sft", "kd")
CHANCE = "chance"


def paired_differences(
    evaluation: Evaluation, evaluations: Mapping[Key, Path], members: Members | None = None
) -> list[Difference]:
    """Compare every system but chance with ``sft`` and ``kd``, each pair once, with Holm's correction."""
    found = []
    for scores in scores_by_corpus(evaluation, evaluations, members or {}).values():
        present = dict.fromkeys(plain_name(s) for s, corpus in evaluations if corpus == scores.corpus)
        for number, baseline in enumerate(BASELINES):
            if baseline in present:
                earlier = (CHANCE, *BASELINES[: number + 1])
                found += compare(scores, [s for s in present if s not in earlier], baseline)
    return corrected(found)


def _rows_of(system: str, corpus: str, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"system": system, "corpus": corpus, "metric": metric, **figure} for metric, figure in figures.items()]


def _averaged(system: str, scores: CorpusScores, figures: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a system: its mean over seeds under its name, then each seed as ``{system}@{seed}``."""
    members = scores.members_of(system)
    names = list(members.values())
    if len(names) == 1:
        return _rows_of(names[0], scores.corpus, figures[names[0]])
    shared = [metric for metric in figures[names[0]] if all(metric in figures[name] for name in names)]
    mean = {metric: scores.mean_figure(names, metric, [figures[name][metric] for name in names]) for metric in shared}
    rows = _rows_of(system, scores.corpus, mean)
    for seed, name in members.items():
        rows += _rows_of(f"{system}@{seed}", scores.corpus, figures[name])
    return rows


def write_zero_shot(
    evaluation: Evaluation,
    evaluations: Mapping[Key, Path],
    members: Members,
    marks: Mapping[str, str],
    outs: TableForms,
) -> None:
    """Write the zero-shot table in four formats.

    Args:
        evaluation: Resamples and seed of the paired differences.
        evaluations: (system or one seed of it, corpus) -> ``evaluation`` artifact.
        members: Trained system -> its members and their seeds; a system with several seeds is averaged over them.
        marks: System or corpus -> its mark: external, transductive, zero-shot, synthetic …
        outs: Target files.
    """
    rows: list[dict[str, Any]] = []
    unavailable: dict[str, str] = {}
    for corpus, scores in scores_by_corpus(evaluation, evaluations, members).items():
        files = {system: path for (system, name), path in evaluations.items() if name == corpus}
        notes = {system: artifacts.read_notes(path, "evaluation") for system, path in files.items()}
        figures = {system: own["figures"] for system, own in notes.items()}
        for system in dict.fromkeys(map(plain_name, files)):
            rows += _averaged(system, scores, figures)
        for own in notes.values():
            unavailable |= {f"{corpus}/{metric}": reason for metric, reason in own["unavailable"].items()}
    notes = {
        "marks": {name: mark for name, mark in marks.items() if mark != "zero-shot"},
        "unavailable": unavailable,
        "seeds": {system: list(own.values()) for system, own in members.items() if len(own) > 1},
    }
    artifacts.write(rows, outs.parquet, "table", RULE, notes)
    artifacts.write_text(as_csv(rows, "table"), outs.csv)
    differences = paired_differences(evaluation, evaluations, members)
    artifacts.write_text(render_markdown(rows, notes, differences), outs.md)
    artifacts.write_text(render_latex(rows, notes), outs.tex)
