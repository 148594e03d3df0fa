"""Agreement of judges on the same candidates: Spearman's rank correlation and Cohen's kappa, with intervals.

Scores are compared by rank (Spearman), decisions by kappa, which is agreement beyond chance. The decisions are whether
a caption is accepted (score of 3.5 or more), and which of two captions of one clip is preferred (better, worse, or
within a margin); their definition is ours. Candidates come from training corpora, so no test caption is read.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.errors import ArtifactError
from aligncap.evaluation import bootstrap
from aligncap.evaluation.wording import markdown_table, worded

ASPECTS = ("factuality", "faithfulness")
SCORES = (*ASPECTS, "overall")
ACCEPTED = 3.5
Array = NDArray[np.float64]
Row = dict[str, Any]
Values = NDArray[Any]
Statistic = Callable[[Array, Values, Values], Array]


def weighted_kappa(weights: Array, first: NDArray[np.int64], second: NDArray[np.int64]) -> Array:
    """Return Cohen's kappa of two lists of decisions under each row of weights.

    Args:
        weights: Weights [b, n].
        first: Categories [n], from 0 upwards.
        second: Categories [n] of the other judge.

    Returns:
        Kappa [b]; NaN where both judges always decide the same one category.
    """
    categories = int(max(first.max(), second.max())) + 1
    cells = np.eye(categories * categories)[first * categories + second]  # [n, c * c]
    table = (weights @ cells).reshape(len(weights), categories, categories)
    total = table.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = np.trace(table, axis1=1, axis2=2) / total
        expected = (table.sum(axis=2) * table.sum(axis=1)).sum(axis=1) / total**2
        kappa = (seen - expected) / (1 - expected)
    return np.where(np.isclose(expected, 1), np.nan, kappa)


def decisions(scores: Sequence[float], clips: Sequence[str], margin: float) -> tuple[NDArray[np.int64], list[str]]:
    """Return which of two captions is preferred, for every pair of captions of one clip.

    Args:
        scores: Score of each candidate.
        clips: Clip of each candidate.
        margin: Difference that a preference needs; a smaller one is a tie.

    Returns:
        For each pair 0 (tie), 1 (the first) or 2 (the second), and its clip.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, clip in enumerate(clips):
        places[clip].append(place)
    made, owners = [], []
    for clip, own in places.items():
        for one, other in itertools.combinations(own, 2):
            difference = scores[one] - scores[other]
            tie = abs(difference) < margin or difference == 0
            made.append(0 if tie else 1 if difference > 0 else 2)
            owners.append(clip)
    return np.asarray(made, np.int64), owners


def compare(
    evaluation: Evaluation, margin: float, clips: Sequence[str], first: Sequence[Row], second: Sequence[Row]
) -> list[Row]:
    """Compute every measure of agreement of two judges.

    Args:
        evaluation: Resamples and seed of the bootstrap.
        margin: Difference of scores that makes a preference.
        clips: Clip of each candidate.
        first: ``judge_scores`` rows of one judge, in the order of ``clips``.
        second: ``judge_scores`` rows of the other. A candidate counts for the scores that both judges gave it.
    """
    both = {of: [i for i in range(len(clips)) if None not in (first[i][of], second[i][of])] for of in SCORES}
    own = {of: [clips[i] for i in both[of]] for of in SCORES}
    found = []

    def add(statistic: Statistic, of: str, owners: Sequence[str], a: Values, b: Values) -> None:
        resampling = evaluation.bootstrap, evaluation.seed
        measured = bootstrap.measured(owners, lambda weights: statistic(weights, a, b), *resampling)
        found.append({"measure": statistic.__name__.removeprefix("weighted_"), "of": of, **measured})

    for of in SCORES:
        scores = [np.asarray([rows[i][of] for i in both[of]]) for rows in (first, second)]
        add(bootstrap.weighted_spearman, of, own[of], *scores)
    for of in ASPECTS:
        accepted = [np.asarray([rows[i][of] >= ACCEPTED for i in both[of]], np.int64) for rows in (first, second)]
        add(weighted_kappa, f"accepted_{of}", own[of], *accepted)
    for of in SCORES:
        found_by = (decisions([rows[i][of] for i in both[of]], own[of], margin) for rows in (first, second))
        (one, owners), (other, _) = found_by
        add(weighted_kappa, f"preferred_{of}", owners, one, other)
    return found


def write_agreement(
    evaluation: Evaluation, margin: float, candidates: Path, scores: Mapping[str, Path], out: Path, markdown: Path
) -> None:
    """Write the agreement of every pair of judges, as the ``judge_agreement`` artifact and as Markdown.

    Args:
        evaluation: Resamples and seed of the bootstrap.
        margin: Difference of scores that makes a preference.
        candidates: ``candidates`` artifact.
        scores: Judge -> ``judge_scores`` of these candidates.
        out: ``judge_agreement`` artifact.
        markdown: The same table as Markdown.

    Raises:
        ArtifactError: A file scores other candidates.
    """
    rows = artifacts.read_rows(candidates, "candidates")
    clips = [f"{row['corpus']}/{row['utterance_id']}" for row in rows]
    judged: dict[str, list[Row]] = {}
    for name, path in scores.items():
        judged[name] = artifacts.read_rows(path, "judge_scores")
        if [row["candidate_id"] for row in judged[name]] != [row["candidate_id"] for row in rows]:
            raise ArtifactError(f"{path}: scores other candidates than {candidates}; run the judge again")
    table = [
        {"judge_a": one, "judge_b": other, **row}
        for one, other in itertools.combinations(judged, 2)
        for row in compare(evaluation, margin, clips, judged[one], judged[other])
    ]
    notes = {
        "margin": margin,
        "accepted": ACCEPTED,
        "scored": {name: sum(any(row[of] is not None for of in SCORES) for row in own) for name, own in judged.items()},
        "candidates": len(rows),
    }
    artifacts.write(table, out, "judge_agreement", "judge_agreement", notes)
    artifacts.write_text(_markdown(table, notes), markdown)


def _markdown(table: Sequence[Row], notes: Mapping[str, Any]) -> str:
    cells = (
        (
            f"{row['judge_a']}, {row['judge_b']}",
            row["measure"],
            row["of"],
            worded(row, absent="undefined"),
            str(row["n"]),
        )
        for row in table
    )
    lines = markdown_table("lllll", ("judges", "measure", "of", "agreement [95 %]", "n"), cells)
    scored = ", ".join(f"{name} {count}" for name, count in notes["scored"].items())
    lines += [
        f"Of {notes['candidates']} candidates (training corpora) scored: {scored}. accepted: a score of "
        f"{notes['accepted']} or more. preferred: which of two captions of one clip, a difference below "
        f"{notes['margin']} being a tie; n counts such twos. Intervals: bootstrap over clips. undefined: a judge that "
        "never varies.",
    ]
    return "\n".join(lines) + "\n"
