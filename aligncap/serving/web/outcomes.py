"""Results of the annotation: preferences for the judge ``human``, win rates, and agreement between people."""

from __future__ import annotations

import itertools
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.errors import ArtifactError
from aligncap.evaluation import bootstrap
from aligncap.evaluation.tables.judge_agreement import weighted_kappa
from aligncap.evaluation.wording import markdown_table, worded
from aligncap.serving.web.answers import CHOICES, Answer, Answers
from aligncap.serving.web.tasks import Task, Tasks, trainable

logger = logging.getLogger(__name__)

RESAMPLES, SEED = 2000, 0
WON = {"first": 1.0, "second": 0.0, "both_fine": 0.5, "both_hallucinate": 0.5}
PREFERENCES = {"first": 0, "second": 1, "both_fine": 2, "both_hallucinate": 2}
Array = NDArray[np.float64]
Row = dict[str, Any]


def export_preferences(results: Path, answers: Path, out: Path) -> int:
    """Write the answers about training candidates as the JSONL that the judge ``human`` reads.

    Answers about test captions are excluded, and so are those about utterances that the experiment's plan does not give
    to preference training.

    Args:
        results: Folder of the experiment that will train on them.
        answers: SQLite file of answers.
        out: JSONL file, which ``preference.judge.human.answers`` names.

    Returns:
        The number of answers written.

    Raises:
        ArtifactError: There is no answer to write.
    """
    if not answers.is_file():
        raise ArtifactError(f"{answers}: no such file; 'aligncap annotate' makes it")
    allowed = trainable(results)
    given = Answers(answers).all()
    kept = [own for own in given if own.source == "candidates" and (own.corpus, own.utterance_id) in allowed]
    if not kept:
        raise ArtifactError(
            f"{answers}: none of its {len(given)} answers is about training candidates of {results}; "
            "annotate with --candidates"
        )
    preferred = {"first": "a", "second": "b"}
    rows = [
        {
            "corpus": own.corpus,
            "utterance_id": own.utterance_id,
            "candidate_a": own.first_caption,
            "candidate_b": own.second_caption,
            "preferred": preferred.get(own.choice, "tie"),
            "annotator": own.annotator,
            "why": own.choice.replace("_", " ") if own.choice not in preferred else "",
        }
        for own in kept
    ]
    artifacts.write_text("".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows), out)
    logger.info("%s: %d answers, %d others left out", out, len(kept), len(given) - len(kept))
    return len(kept)


def fleiss_kappa(weights: Array, counts: NDArray[np.int64]) -> Array:
    """Return Fleiss' kappa (1971) under each row of weights, for questions with two or more raters each.

    Args:
        weights: Weights [b, n].
        counts: Number of raters [n, c] who gave each question each category.

    Returns:
        Kappa [b]; NaN where everybody always chose the same category.
    """
    raters = counts.sum(axis=1)
    agreed = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))
    shares = weights @ counts / (weights @ raters)[:, None]
    expected = (shares**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = (bootstrap.weighted_mean(weights, agreed) - expected) / (1 - expected)
    return np.where(np.isclose(expected, 1), np.nan, kappa)


def summarise(tasks: Tasks, given: Sequence[Answer]) -> list[Row]:
    """Return win rate and agreement as rows of the ``annotation`` artifact, without its ``system`` and ``against``.

    A recording's outcome is the mean over the people who answered: won 1, lost 0, both fine or both hallucinated a
    half. ``win_rate`` counts identical captions as ties, ``win_rate_different`` leaves them out. ``win_rate`` is
    undefined until every question about differing captions has an answer, because the ties would outweigh the rest.

    Args:
        tasks: Questions; answers to others do not count.
        given: Answers.
    """
    by_key = {task.key: task for task in tasks.asked}
    answers: dict[str, list[Answer]] = defaultdict(list)
    for own in given:
        if own.task in by_key:
            answers[own.task].append(own)
    answered = [task for task in tasks.asked if answers[task.key]]
    rows = []
    if answered and answered[0].source == "test":
        won = [float(np.mean([WON[own.choice] for own in answers[task.key]])) for task in answered]
        rows.append(_measured("win_rate_different", "all", answered, _mean(won)))
        if len(answered) == len(tasks.asked):
            ties = [0.5] * len(tasks.identical)
            rows.append(_measured("win_rate", "all", [*answered, *tasks.identical], _mean([*won, *ties])))
    for choice in CHOICES:
        share = [float(np.mean([own.choice == choice for own in answers[task.key]])) for task in answered]
        rows.append(_measured(f"share_{choice}", "all", answered, _mean(share)))
    return rows + _agreement(answered, answers)


def _agreement(answered: Sequence[Task], answers: dict[str, list[Answer]]) -> list[Row]:
    """Return Cohen's kappa per pair of people and Fleiss' of all, for the four answers and preferences (with ties)."""
    given = pd.DataFrame(
        [(number, own.annotator, own.choice) for number, task in enumerate(answered) for own in answers[task.key]],
        columns=["question", "person", "choice"],
    ).pivot(index="question", columns="person", values="choice")
    people = sorted(given.columns, key=str.casefold)
    codes = {"answer": {str(choice): number for number, choice in enumerate(CHOICES)}, "preference": PREFERENCES}
    rows = []
    for of, code in codes.items():
        coded = given.apply(lambda column, code=code: column.map(code))
        for one, other in itertools.combinations(people, 2):
            both = coded[[one, other]].dropna().astype(int)
            kappa = partial(weighted_kappa, first=both[one].to_numpy(), second=both[other].to_numpy())
            tasks = [answered[number] for number in both.index]
            rows.append(_measured(f"cohen_kappa_{of}", f"{one}, {other}", tasks, kappa))
        shared = coded[coded.notna().sum(axis=1) > 1]
        counts = np.stack([(shared == value).sum(axis=1) for value in sorted(set(code.values()))], axis=1)
        if len(people) > 1:
            tasks = [answered[number] for number in shared.index]
            rows.append(_measured(f"fleiss_kappa_{of}", "all", tasks, partial(fleiss_kappa, counts=counts)))
    return rows


def _mean(values: Sequence[float]) -> Callable[[Array], Array]:
    return lambda weights: bootstrap.weighted_mean(weights, np.asarray(values, np.float64))


def _measured(measure: str, annotators: str, tasks: Sequence[Task], statistic: Callable[[Array], Array]) -> Row:
    """Return value and 95 % interval over clusters; null where the statistic is undefined."""
    figure = bootstrap.measured([task.cluster for task in tasks], statistic, RESAMPLES, SEED)
    return {"measure": measure, "annotators": annotators, **figure}


def write_summary(tasks: Tasks, answers: Path, out: Path) -> list[Row]:
    """Write win rates and agreement as the ``annotation`` artifact, and as Markdown beside it.

    Args:
        tasks: Questions from ``load_tasks``.
        answers: SQLite file of answers.
        out: Parquet file.

    Returns:
        The rows of the artifact.

    Raises:
        ArtifactError: Nobody has answered any of these questions.
    """
    given = Answers(answers).all([task.key for task in tasks.asked]) if answers.is_file() else []
    if not given:
        raise ArtifactError(f"{answers}: no answer to any of these {len(tasks.asked)} questions; annotate first")
    system, against = tasks.asked[0].systems
    rows = [{"system": system, "against": against, **row} for row in summarise(tasks, given)]
    notes = {
        "source": tasks.asked[0].source,
        "questions": len(tasks.asked),
        "identical": len(tasks.identical),
        "answers": len(given),
        "plays": round(float(np.mean([own.plays for own in given])), 3),
        "resamples": RESAMPLES,
    }
    artifacts.write(rows, out, "annotation", "annotate", notes)
    artifacts.write_text(_markdown(rows, notes), out.with_suffix(".md"))
    return rows


def _markdown(rows: Sequence[Row], notes: Row) -> str:
    cells = ((row["measure"], row["annotators"], worded(row, absent="undefined"), str(row["n"])) for row in rows)
    table = markdown_table("llll", ("measure", "people", "value [95 %]", "n"), cells)
    head = f"`{rows[0]['system']}` (first) against `{rows[0]['against']}` (second), {notes['source']} captions: "
    tail = (
        f"{notes['answers']} answers to {notes['questions']} questions, {notes['identical']} recordings that both "
        f"caption alike, {notes['plays']:.1f} plays an answer. n: recordings. Intervals: bootstrap over recordings or "
        "sessions."
    )
    return "\n".join([head + tail, "", *table])
