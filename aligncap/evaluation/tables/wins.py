"""Judge win rates: how often a judge prefers a system's caption of a test utterance to the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.errors import ArtifactError
from aligncap.evaluation import bootstrap
from aligncap.evaluation.tables.columns import Key
from aligncap.evaluation.tables.seeds import CorpusScores, Difference

WIN_RATE = "win_rate"
SAME = 1e-9  # scores closer than this are a tie


def read_overall(path: Path, ids: Sequence[str]) -> tuple[str, bootstrap.Array]:
    """Return the judge's name and its overall scores [n] in the order of ``ids``, NaN where it gave none.

    Raises:
        ArtifactError: The file has several judges, or an utterance is missing.
    """
    rows = artifacts.read_rows(path, "judged_captions")
    judges = sorted({row["judge"] for row in rows})
    overall = {row["utterance_id"]: row["overall"] for row in rows}
    if len(judges) != 1 or len(overall) != len(rows) or not set(ids) <= set(overall):
        raise ArtifactError(
            f"{path}: {len(rows)} scores of {len(overall)} utterances by {judges}; a win rate needs one judge's score "
            f"of each of the {len(ids)} utterances; delete the file and run judge_captions again"
        )
    return judges[0], np.asarray([np.nan if overall[i] is None else overall[i] for i in ids], dtype=np.float64)


def _outcomes(one: bootstrap.Array, other: bootstrap.Array) -> dict[str, bootstrap.Array]:
    """Return win, tie, loss, and win plus half a tie, [n] each; NaN where either caption has no score."""
    gap = np.where(np.abs(one - other) < SAME, 0.0, one - other)
    known = np.where(np.isnan(gap), np.nan, 0.0)
    win, tie, loss = (np.where(own, 1.0, 0.0) + known for own in (gap > 0, gap == 0, gap < 0))
    return {WIN_RATE: win + tie / 2, "judge_win": win, "judge_tie": tie, "judge_loss": loss}


def _known(outcomes: Mapping[str, bootstrap.Array]) -> int:
    """Return the number of utterances of which both captions have a score."""
    return int((~np.isnan(outcomes[WIN_RATE])).sum())


def win_rates(
    scores: CorpusScores, judged: Mapping[Key, Path], systems: Sequence[str], against: str
) -> tuple[str, list[dict[str, Any]], list[Difference]]:
    """Return win, tie and loss shares of every judged system against the baseline, over utterances and seeds.

    Args:
        scores: Evaluations of one test corpus.
        judged: (system or one seed of it, corpus) -> ``judged_captions``.
        systems: Systems that get rows; those without judged captions are left out.
        against: Name of the baseline.

    Returns:
        The judge's name, rows of the ``table`` artifact, and the differences of the win rates from one half.
    """
    read = {
        system: read_overall(path, scores.ids) for (system, corpus), path in judged.items() if corpus == scores.corpus
    }
    rows: list[dict[str, Any]] = []
    differences = []
    for system in systems:
        pairs = [pair for pair in scores.pairs(system, against) if set(pair) <= set(read)]
        compared = {pair: _outcomes(read[pair[0]][1], read[pair[1]][1]) for pair in pairs}
        compared = {pair: own for pair, own in compared.items() if _known(own)}
        if system == against or not compared:
            continue
        found = list(compared.values())
        named = {system: found}
        if len(compared) > 1 and len({one for one, _ in compared}) == len(compared):
            seeds = {name: seed for seed, name in scores.members_of(system).items()}
            named |= {f"{system}@{seeds[one]}": [own] for (one, _), own in compared.items()}
        for name, outcomes in named.items():
            for metric in found[0]:
                wholes, samples = zip(*(scores.statistic(own[metric], metric) for own in outcomes), strict=True)
                figure = bootstrap.figure(np.mean(wholes), scores.over_seeds(samples), min(map(_known, outcomes)))
                rows.append({"system": name, "corpus": scores.corpus, "metric": metric, **figure})
                if name == system and metric == WIN_RATE:
                    halves = [whole - 0.5 for whole in wholes], [own - 0.5 for own in samples]
                    differences.append(scores.tested(system, against, metric, *halves, list(map(_known, found))))
    judge = ", ".join(sorted({name for name, _ in read.values()}))
    return judge, rows, [difference for difference in differences if difference is not None]
