"""Columns of the tables: their headings, which direction is better, and the text of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aligncap.evaluation.wording import bounds
from aligncap.systems import plain_name

Key = tuple[str, str]  # (system, corpus)


class Column(NamedTuple):
    """A metric as a column of the tables.

    Attributes:
        heading: Heading, without the direction.
        better: +1 where higher is better, -1 where lower is, 0 for neither.
        short: Heading for a terminal, where eleven columns must stand side by side; other columns are not shown there.
        rewarded: Whether the reference judge rewards it, with the same clue parser and sentence encoder.
        detail: Whether it only details another column; the zero-shot table leaves it out, its Parquet file does not.
    """

    heading: str
    better: int
    short: str = ""
    rewarded: bool = False
    detail: bool = False

    @property
    def title(self) -> str:
        """Title of a panel: the heading and which direction is better."""
        direction = {1: "higher is better", -1: "lower is better", 0: ""}[self.better]
        return f"{self.heading}\n{direction}"


COLUMNS = {
    "emotion_agreement_macro": Column("agreement (macro)", 1, "agree\n(macro)↑", rewarded=True),
    "emotion_agreement_macro_n10": Column(
        "agreement (macro, classes of 10 clips or more)", 1, rewarded=True, detail=True
    ),
    "emotion_agreement": Column("agreement", 1, "agree↑", rewarded=True),
    "emotion_agreement_macro_2": Column("agreement (macro), second instrument", 1),
    "emotion_agreement_2": Column("agreement, second instrument", 1, detail=True),
    "coverage": Column("coverage", 0, "cover"),
    "coverage_2": Column("coverage, second instrument", 0, detail=True),
    "factuality_hallucination": Column("factuality halluc.", -1, "fact.\nhalluc↓", rewarded=True),
    "factuality_hallucination_covered": Column(
        "factuality halluc., asserting captions", -1, rewarded=True, detail=True
    ),
    "factuality_hallucination_2": Column("factuality halluc., second instrument", -1),
    "factuality_hallucination_covered_2": Column(
        "factuality halluc., asserting captions, second instrument", -1, detail=True
    ),
    "asserted_clues": Column("clues asserted", 0),
    "contradicted_clues": Column("contradicted clues", -1, rewarded=True),
    "faithfulness_hallucination": Column("faithfulness halluc.", -1, "faith.\nhalluc↓", rewarded=True),
    "win_rate": Column("win rate", 1),
    "judge_win": Column("wins", 1),
    "judge_tie": Column("ties", 0),
    "judge_loss": Column("losses", -1),
    "similarity": Column("similarity", 1, "simil↑", rewarded=True),
    "cider_d": Column("CIDEr-D", 1, "CIDEr↑"),
    "bleu1": Column("BLEU-1", 1),
    "bleu2": Column("BLEU-2", 1, detail=True),
    "bleu3": Column("BLEU-3", 1, detail=True),
    "bleu4": Column("BLEU-4", 1, "BLEU4↑"),
    "meteor": Column("METEOR", 1, "METEOR↑"),
    "rouge_l": Column("ROUGE-L", 1, "ROUGE↑"),
    "spice": Column("SPICE", 1),
    "spider": Column("SPIDEr", 1),
    "collapse": Column("collapse", -1, "coll↓"),
    "distinct1": Column("distinct-1", 0, detail=True),
    "distinct2": Column("distinct-2", 0),
    "length_ratio": Column("length ratio", 0),
}
ZERO_SHOT = tuple(metric for metric, column in COLUMNS.items() if not column.detail)
CLAIMS = (
    "emotion_agreement_macro",
    "emotion_agreement",
    "emotion_agreement_macro_2",
    "coverage",
    "factuality_hallucination",
    "factuality_hallucination_covered",
    "factuality_hallucination_2",
    "factuality_hallucination_covered_2",
    "asserted_clues",
    "contradicted_clues",
    "faithfulness_hallucination",
    "similarity",
)
# Verdicts of the judge of captions; where it is the training judge, systems were trained to please it.
BY_JUDGE = ("win_rate", "judge_win", "judge_tie", "judge_loss")
METRICS: dict[str, tuple[str, ...]] = {
    "table1": tuple(COLUMNS),
    "table2": (*CLAIMS, "cider_d", "length_ratio"),
    "table3": (*CLAIMS, "cider_d", "collapse", "length_ratio"),
    "table4": (
        "coverage",
        "factuality_hallucination",
        "factuality_hallucination_covered",
        "factuality_hallucination_2",
        "factuality_hallucination_covered_2",
        "asserted_clues",
        "contradicted_clues",
        "faithfulness_hallucination",
        *BY_JUDGE,
    ),
}
TITLES = {
    "table1": "Results on the test corpora, zero-shot unless marked",
    "table2": "Ablations",
    "table3": "Alignment methods and preference losses",
    "table4": "Hallucination rates and judge win rates",
}
WITH_INTERVAL = (*CLAIMS, "win_rate", "cider_d")
COMPARED = (  # metrics whose differences are tested
    "emotion_agreement_macro",
    "factuality_hallucination",
    "factuality_hallucination_covered",
    "contradicted_clues",
    "faithfulness_hallucination",
    "emotion_agreement_macro_2",
    "factuality_hallucination_2",
    "factuality_hallucination_covered_2",
    "similarity",
)
EXPLAINED = {
    "external": "captions another model wrote; it may have been trained on this corpus (in-domain)",
    "transductive": "normalised with statistics of the unlabelled test audio",
    "in-domain": "the held-out side of a corpus whose other side trained the models; not a zero-shot result",
    "unlabelled audio": "the tagger was fitted on other clips of this corpus, without labels; not a zero-shot result",
    "synthetic": "computer-made speech: figures show that the pipeline works, not how well it captions people",
}
EXPLAINED_JUDGE = (
    "† measured with the instrument that the training judge rewards (clue parser, sentence encoder), or by that judge"
)
EXPLAINED_SECOND = "second instrument: a classifier of captions on other embeddings, which no training step used"
EXPLAINED_COVERED = "asserting captions: those that assert an emotion; differences over utterances where both do"


def by_corpus(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Mapping[str, Any]]]]:
    """Nest rows by corpus -> system -> metric -> long row, in the order of the rows, without rows of single seeds."""
    nested: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for row in rows:
        if row["system"] == plain_name(row["system"]):
            nested.setdefault(row["corpus"], {}).setdefault(row["system"], {})[row["metric"]] = row
    return nested


def mark_of(notes: Mapping[str, Any], system: str) -> str:
    """Return the mark of a table row, such as "external" or "3 seeds"; empty for a zero-shot row of one seed."""
    marks, seeds = notes["marks"], notes.get("seeds", {}).get(system, [])
    return ", ".join(
        [*([marks[system]] if system in marks else []), *([f"{len(seeds)} seeds"] if len(seeds) > 1 else [])]
    )


def present_columns(systems: Mapping[str, Mapping[str, Any]], wanted: Sequence[str] = ZERO_SHOT) -> list[str]:
    """Return the metrics of ``wanted`` that at least one system has, in the order of ``COLUMNS``."""
    return [m for m in COLUMNS if m in wanted and any(m in own for own in systems.values())]


def value_text(figure: Mapping[str, Any] | None) -> str:
    """Return a value with three digits, or a dash where the metric is absent."""
    return "–" if figure is None else f"{figure['value']:.3f}"


def interval_text(figure: Mapping[str, Any] | None, metric: str) -> str:
    """Return the interval with two digits for the metrics that are shown with one, else an empty text."""
    return "" if figure is None or metric not in WITH_INTERVAL else bounds(figure)


def heading(metric: str, notes: Mapping[str, Any]) -> str:
    """Return a column's heading with the better direction, and † where the training judge rewards or gives it."""
    column = COLUMNS[metric]
    own_verdict = metric in BY_JUDGE and notes.get("judge") == notes.get("training_judge")
    mark = "\u00a0†" if column.rewarded or own_verdict else ""
    return column.heading + {1: "\u00a0↑", -1: "\u00a0↓", 0: ""}[column.better] + mark


def footnotes(notes: Mapping[str, Any], corpus: str, systems: Sequence[str], columns: Sequence[str] = ()) -> list[str]:
    """Return the footnotes of one corpus's table: meaning of marks, reasons for absent metrics, seeds and judge."""
    used = dict.fromkeys(mark for key in (corpus, *systems) for mark in notes["marks"].get(key, "").split(", "))
    lines = [f"{mark}: {EXPLAINED[mark]}" for mark in used if mark in EXPLAINED]
    for key, reason in notes["unavailable"].items():
        where, metric = key.rsplit("/", 1)
        if where == corpus:
            lines.append(f"{metric} is absent: {reason}")
    for system, seeds in notes.get("seeds", {}).items():
        if system in systems and len(seeds) > 1:
            lines.append(
                f"{system}: mean over seeds {', '.join(map(str, seeds))}; the interval is over utterances and seeds"
            )
    if "judge" in notes:
        lines.append(
            f"wins, ties and losses against {notes['against']} by the judge '{notes['judge']}', clip by clip; "
            "win rate: wins + half of the ties"
        )
    if any(metric.endswith("_2") for metric in columns):
        lines.append(EXPLAINED_SECOND)
    if "factuality_hallucination_covered" in columns:
        lines.append(EXPLAINED_COVERED)
    return [*lines, EXPLAINED_JUDGE]


def best_value(systems: Mapping[str, Mapping[str, Any]], metric: str) -> float | None:
    """Return the best value of a column, or None where no direction is better or all values are equal."""
    better = COLUMNS[metric].better
    values = [own[metric]["value"] for own in systems.values() if metric in own]
    return None if better == 0 or len(set(values)) < 2 else (max(values) if better > 0 else min(values))
