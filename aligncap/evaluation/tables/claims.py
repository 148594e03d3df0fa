"""The claims table: every difference on which a claim of the paper rests, with its interval and a verdict.

The config (``tables.claims``) lists which systems a claim compares. The list is ours: the paper's own comparisons are
not available. A claim is measured by three metrics. The first is macro agreement. The second is factuality
hallucination at equal coverage, on the utterances where both captions assert an emotion, because a caption that says
nothing contradicts nothing. The third is the share of a caption's clues that contradict, because a caption that names
no pitch cannot be wrong about it. The first two are also given by the second instrument, which no training used and
which has its own coverage: the utterances where it finds an emotion in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.tables.columns import COLUMNS, Key
from aligncap.evaluation.tables.render import TableForms, as_csv, escape_latex, latex_table
from aligncap.evaluation.tables.seeds import (
    CorpusScores,
    Difference,
    Members,
    corrected,
    of_one_corpus,
    scores_by_corpus,
)
from aligncap.evaluation.wording import difference_cells, markdown_table

RULE = "claims_table"
# metric -> the same metric by the second instrument, which knows emotions only
MEASURED = {
    "emotion_agreement_macro": "emotion_agreement_macro_2",
    "factuality_hallucination_covered": "factuality_hallucination_covered_2",
    "contradicted_clues": None,
}
SHOWN = {
    "emotion_agreement_macro": "agreement (macro)",
    "factuality_hallucination_covered": "factuality halluc. at equal coverage",
    "contradicted_clues": "share of clues contradicted",
}
VERDICTS = {
    "holds": "the interval excludes zero in the paper's favour",
    "against": "it excludes zero against the paper",
    "open": "it contains zero",
}
CLAIM_HEADINGS = (
    "claim",
    "metric",
    "difference",
    "interval",
    "p",
    "p (Holm)",
    "seeds",
    "n",
    "second instrument",
    "verdict",
)
ALIGNMENT = "llrlrrrrrl"


def write_claims(
    claims: Sequence[tuple[str, str]],
    evaluation: Evaluation,
    evaluations: Mapping[Key, Path],
    members: Members,
    outs: TableForms,
) -> None:
    """Test every claim on every test corpus and write the table.

    Args:
        claims: Pairs (system, baseline) that the experiment has.
        evaluation: Resamples and seed of the bootstrap.
        evaluations: (system or one seed of it, corpus) -> ``evaluation`` artifact.
        members: Trained system -> its members and their seeds.
        outs: ``claims`` artifact, CSV, Markdown and LaTeX.
    """
    rows: list[dict[str, Any]] = []
    for scores in scores_by_corpus(evaluation, evaluations, members).values():
        tested = [d for pair in claims for d in _differences(scores, *pair)]
        rows += [
            {**asdict(d), "second_instrument": _second(scores, d), "verdict": _verdict(d)}
            for d in corrected(tested, of_one_corpus)
        ]
    artifacts.write(rows, outs.parquet, "claims", RULE, {"claims": [list(pair) for pair in claims]})
    artifacts.write_text(as_csv(rows, "claims"), outs.csv)
    artifacts.write_text(_markdown(rows), outs.md)
    artifacts.write_text(_latex(rows), outs.tex)


def _differences(scores: CorpusScores, system: str, against: str) -> list[Difference]:
    found = (scores.difference(system, against, metric) for metric in MEASURED)
    return [difference for difference in found if difference is not None]


def _second(scores: CorpusScores, difference: Difference) -> float | None:
    metric = MEASURED[difference.metric]
    found = scores.difference(difference.system, difference.against, metric) if metric else None
    return None if found is None else found.value


def _verdict(difference: Difference) -> str:
    better = COLUMNS[difference.metric].better
    if difference.ci_low <= 0 <= difference.ci_high:
        return "open"
    return "holds" if np.sign(difference.value) == better else "against"


def _cells(row: Mapping[str, Any]) -> list[str]:
    second = row["second_instrument"]
    return [
        f"{row['system']} - {row['against']}",
        SHOWN[row["metric"]],
        *difference_cells(row),
        str(row["seeds"]),
        str(row["n"]),
        "–" if second is None else f"{second:+.3f}" + ("" if second * row["value"] >= 0 else " (other sign)"),
        row["verdict"],
    ]


def claims_in_words(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """Return corpus -> table cells of every claim, under ``CLAIM_HEADINGS``."""
    found: dict[str, list[list[str]]] = {}
    for row in rows:
        found.setdefault(row["corpus"], []).append(_cells(row))
    return found


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["# Claims", ""]
    for corpus, own in claims_in_words(rows).items():
        lines += [f"## {corpus}", "", *markdown_table(ALIGNMENT, CLAIM_HEADINGS, own)]
    lines += [f"- {verdict}: {meaning}" for verdict, meaning in VERDICTS.items()]
    lines += ["- equal coverage: over the n utterances where both captions assert an emotion"]
    lines += ["- Holm's correction is over all rows of a corpus; the second instrument was not used in training"]
    return "\n".join(lines) + "\n"


def _latex(rows: Sequence[Mapping[str, Any]]) -> str:
    blocks = []
    for corpus, own in claims_in_words(rows).items():
        body = [" & ".join(map(escape_latex, cells)) + r" \\" for cells in own]
        caption = f"Claims on {corpus}. " + "; ".join(f"{v}: {m}" for v, m in VERDICTS.items())
        blocks.append(latex_table(caption, ALIGNMENT, CLAIM_HEADINGS, body))
    return "\n\n".join(blocks) + "\n"
