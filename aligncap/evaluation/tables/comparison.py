"""Tables 1 to 4: chosen rows of the zero-shot table, tested against a baseline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from aligncap import artifacts
from aligncap.config import Evaluation, Table
from aligncap.evaluation.tables.columns import COLUMNS, COMPARED, METRICS, TITLES, Key
from aligncap.evaluation.tables.render import as_csv, as_rows, render_latex, render_markdown
from aligncap.evaluation.tables.seeds import Difference, Members, compare, corrected, scores_by_corpus
from aligncap.evaluation.tables.wins import win_rates
from aligncap.evaluation.tables.zero_shot import CHANCE
from aligncap.job import By
from aligncap.systems import plain_name

logger = logging.getLogger(__name__)

RULE = "comparison_table"


class TableFiles(NamedTuple):
    """The files of one of the tables 1 to 4."""

    parquet: Path
    csv: Path
    md: Path
    tex: Path
    tests: Path
    tests_csv: Path


@dataclass(frozen=True)
class ComparisonSettings:
    """The settings of one of the tables 1 to 4.

    Attributes:
        name: Name of the table, table1 … table4.
        table: Rows and baseline of the table; systems that the experiment lacks are left out.
        members: Trained system -> its members and their seeds.
        training_judge: Judge that scored the candidates of the preference pairs; its win rates are marked.
        evaluation: Resamples and seed of the bootstrap.
    """

    name: str
    table: Table
    members: Members
    training_judge: str
    evaluation: Evaluation


@dataclass(frozen=True)
class ComparisonInputs:
    """The input files of one of the tables 1 to 4.

    Attributes:
        zero_shot: ``table`` artifact with every system.
        evaluations: (system or one seed of it, corpus) -> ``evaluation`` artifact, for the rows and the baseline.
        judged: (system or one seed of it, corpus) -> ``judged_captions``; empty where the table has no win rates.
    """

    zero_shot: Path
    evaluations: Annotated[Mapping[Key, Path], By("rows")]
    judged: Annotated[Mapping[Key, Path], By("judged")]


def write_comparison(settings: ComparisonSettings, inputs: ComparisonInputs, outs: TableFiles) -> None:
    """Write one of the tables 1 to 4: figures of the zero-shot table, and paired differences from the baseline.

    Args:
        settings: Settings of the table.
        inputs: Input files.
        outs: Parquet (``table``), CSV, Markdown and LaTeX, and the ``differences`` as Parquet and CSV.
    """
    name, against = settings.name, settings.table.against
    everything, notes = artifacts.read_rows(inputs.zero_shot, "table"), artifacts.read_notes(inputs.zero_shot, "table")
    order = list(dict.fromkeys(plain_name(row["system"]) for row in everything))
    wanted = (
        order if settings.table.systems is None else [system for system in settings.table.systems if system in order]
    )
    chosen = [
        row
        for row in everything
        if plain_name(row["system"]) in wanted and (name == "table1" or row["metric"] in METRICS[name])
    ]
    tested = [metric for metric in COMPARED if metric in METRICS[name]]
    found: list[Difference] = []
    judges = []
    for scores in scores_by_corpus(settings.evaluation, inputs.evaluations, settings.members).values():
        if scores.members_of(against):
            present = [system for system in wanted if system != CHANCE and scores.members_of(system)]
            found += compare(scores, present, against, tested)
        else:
            logger.warning("%s on %s: no scores of '%s' (against), so nothing is tested", name, scores.corpus, against)
        if inputs.judged:
            judge, rows, differences = win_rates(scores, inputs.judged, wanted, against)
            judges += [judge] if rows else []
            chosen += rows
            found += differences
    place = {system: number for number, system in enumerate(wanted)}
    corpora = list(dict.fromkeys(row["corpus"] for row in chosen))
    chosen.sort(key=lambda row: (corpora.index(row["corpus"]), place[plain_name(row["system"])], row["system"]))
    own: dict[str, Any] = {**notes, "against": against, "training_judge": settings.training_judge}
    own["seeds"] = {system: seeds for system, seeds in notes["seeds"].items() if system in wanted}
    if any(judges):
        own["judge"] = ", ".join(dict.fromkeys(judges))
    shown_order = list(COLUMNS)
    differences = sorted(
        corrected(found), key=lambda d: (corpora.index(d.corpus), place[d.system], shown_order.index(d.metric))
    )
    artifacts.write(chosen, outs.parquet, "table", RULE, own)
    artifacts.write(as_rows(differences), outs.tests, "differences", RULE, {"table": name})
    artifacts.write_text(as_csv(chosen, "table"), outs.csv)
    artifacts.write_text(as_csv(as_rows(differences), "differences"), outs.tests_csv)
    shown = chosen, own, differences, TITLES[name], METRICS[name]
    artifacts.write_text(render_markdown(*shown), outs.md)
    artifacts.write_text(render_latex(*shown), outs.tex)
