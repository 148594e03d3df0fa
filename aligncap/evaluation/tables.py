"""The zero-shot table: every system on every test corpus, as long Parquet, CSV, Markdown, LaTeX and for a terminal."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts, tracking
from aligncap.clues import canonical
from aligncap.config import Evaluation
from aligncap.errors import ArtifactError
from aligncap.evaluation import bootstrap

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # (system, corpus)
RULE = "zero_shot_table"
# metric -> (heading, better: +1 higher, -1 lower, 0 neither); the order of the columns
COLUMNS: dict[str, tuple[str, int]] = {
    "emotion_agreement_macro": ("agreement (macro)", 1),
    "emotion_agreement": ("agreement", 1),
    "coverage": ("coverage", 0),
    "factuality_hallucination": ("factuality halluc.", -1),
    "faithfulness_hallucination": ("faithfulness halluc.", -1),
    "similarity": ("similarity", 1),
    "cider_d": ("CIDEr-D", 1),
    "bleu4": ("BLEU-4", 1),
    "meteor": ("METEOR", 1),
    "rouge_l": ("ROUGE-L", 1),
    "collapse": ("collapse", -1),
    "distinct2": ("distinct-2", 0),
    "length_ratio": ("length ratio", 0),
}
SHORT = {  # for a terminal, where eleven columns must stand side by side
    "emotion_agreement_macro": "agree\n(macro)↑",
    "emotion_agreement": "agree↑",
    "coverage": "cover",
    "factuality_hallucination": "fact.\nhalluc↓",
    "faithfulness_hallucination": "faith.\nhalluc↓",
    "similarity": "simil↑",
    "cider_d": "CIDEr↑",
    "bleu4": "BLEU4↑",
    "rouge_l": "ROUGE↑",
    "meteor": "METEOR↑",
    "collapse": "coll↓",
}
WITH_INTERVAL = tuple(COLUMNS)[:6]
# The reference judge rewards what these measure, with the same clue parser and sentence encoder.
OF_TRAINING_JUDGE = (
    "emotion_agreement_macro",
    "emotion_agreement",
    "factuality_hallucination",
    "faithfulness_hallucination",
    "similarity",
)
BASELINES = ("sft", "kd")
CHANCE = "chance"
COMPARED = ("emotion_agreement_macro", "factuality_hallucination", "faithfulness_hallucination", "similarity")
EXPLAINED = {
    "external": "captions another model wrote; it may have been trained on this corpus (in-domain)",
    "transductive": "normalised with statistics of the unlabelled test audio",
    "kept": "scored in an earlier run of this experiment, not in this one",
    "synthetic": "computer-made speech: figures show that the pipeline works, not how well it hears people",
}
EXPLAINED_JUDGE = "† measured with the instrument that the training judge rewards (clue parser, sentence encoder)"


@dataclass(frozen=True)
class Difference:
    """``system`` minus ``baseline`` on the same utterances."""

    corpus: str
    system: str
    baseline: str
    metric: str
    value: float
    low: float
    high: float


def _kept(evaluations: Mapping[Key, Path], folder: Path) -> dict[Key, Path]:
    """Evaluations under ``folder`` of systems that are not in this run, over the same utterances as this run's."""
    kept: dict[Key, Path] = {}
    for corpus in dict.fromkeys(corpus for _, corpus in evaluations):
        wanted = next(path for (_, name), path in evaluations.items() if name == corpus)
        ids = [row["utterance_id"] for row in artifacts.read_rows(wanted, "evaluation")]
        for path in sorted(Path(folder).glob(f"*/{corpus}.parquet")):
            key = (path.parent.name, corpus)
            if key in evaluations:
                continue
            try:
                own = [row["utterance_id"] for row in artifacts.read_rows(path, "evaluation")]
            except ArtifactError as error:
                logger.warning("left out of the table: %s", error)
                continue
            if own == ids:
                kept[key] = path
            else:
                logger.warning("left out of the table: %s was scored on other utterances", path)
    return kept


def paired_differences(evaluation: Evaluation, evaluations: Mapping[Key, Path]) -> list[Difference]:
    """Every system but chance against ``sft`` and ``kd`` where the run has them, with paired 95 % bootstrap intervals.

    No correction for the number of comparisons is made here.
    """
    found = []
    for corpus in dict.fromkeys(corpus for _, corpus in evaluations):
        rows = {s: artifacts.read_rows(path, "evaluation") for (s, name), path in evaluations.items() if name == corpus}
        baselines = [name for name in BASELINES if name in rows]
        if not baselines:
            continue
        first = rows[baselines[0]]
        classes = [canonical(row["label"]) for row in first]
        weights = bootstrap.resample_weights(
            [row["cluster"] for row in first], classes, evaluation.bootstrap, evaluation.seed
        )
        for baseline in baselines:
            for system in rows:
                if system in (CHANCE, *BASELINES[: BASELINES.index(baseline) + 1]):
                    continue
                for metric in COMPARED:
                    one, other = _values(rows[system], metric), _values(rows[baseline], metric)
                    by_class = classes if metric.endswith("_macro") else None
                    value, low, high = bootstrap.paired_difference(one, other, weights, by_class)
                    if not math.isnan(value):
                        found.append(Difference(corpus, system, baseline, metric, value, low, high))
    return found


def _values(rows: Sequence[Mapping[str, Any]], metric: str) -> bootstrap.Array:
    name = metric.removesuffix("_macro")
    values = [dict(zip(row["metric_names"], row["metric_values"], strict=True)).get(name) for row in rows]
    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)


def write_zero_shot(
    evaluation: Evaluation,
    evaluations: Mapping[Key, Path],
    kept_from: Path,
    marks: Mapping[str, str],
    described: Mapping[str, Mapping[str, Any]],
    parquet_out: Path,
    csv_out: Path,
    md_out: Path,
    tex_out: Path,
) -> None:
    """Write the table in four forms.

    Args:
        evaluation: resamples and seed of the paired differences.
        evaluations: (system, corpus) -> ``evaluation`` artifact of this run.
        kept_from: folder ``evaluation/{system}/{corpus}.parquet``; rows of other systems found there are kept.
        marks: system or corpus -> what it is: external, transductive, zero-shot, synthetic …
        described: system -> settings to show where runs are compared: each of these is a tracked run of its own.
        parquet_out: long ``table`` artifact; its notes hold marks, reasons for absent metrics and the rows kept.
        csv_out: the same rows.
        md_out: one wide table a corpus, with notes and paired differences.
        tex_out: the same for a paper (booktabs).
    """
    kept = _kept(evaluations, kept_from)
    rows, unavailable = [], {}
    for (system, corpus), path in (dict(evaluations) | kept).items():
        notes = artifacts.read_notes(path, "evaluation")
        for metric, figure in notes["figures"].items():
            rows.append({"system": system, "corpus": corpus, "metric": metric, **figure})
        for metric, reason in notes["unavailable"].items():
            unavailable[f"{corpus}/{metric}"] = reason
    notes = {
        "marks": {name: mark for name, mark in marks.items() if mark != "zero-shot"}
        | {f"{system}/{corpus}": "kept" for system, corpus in kept},
        "unavailable": unavailable,
    }
    artifacts.write(rows, parquet_out, "table", RULE, notes)
    artifacts.write_text(_as_csv(rows), csv_out)
    differences = paired_differences(evaluation, evaluations)
    artifacts.write_text(render_markdown(rows, notes, differences), md_out)
    artifacts.write_text(render_latex(rows, notes), tex_out)
    with tracking.stage(RULE, "", evaluation.model_dump()) as recorder:
        for row in rows:
            recorder.metric(1, f"{row['corpus']}/{row['system']}", row["metric"], row["value"])
        recorder.table("zero_shot", rows)
    for system, settings in described.items():
        with tracking.stage("zero_shot", system, settings) as recorder:
            for row in rows:
                if row["system"] == system:
                    recorder.metric(1, row["corpus"], row["metric"], row["value"])


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, artifacts.SCHEMAS["table"].names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def by_corpus(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Mapping[str, Any]]]]:
    """Nest by corpus -> system -> metric -> long row, in the order of the rows."""
    nested: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for row in rows:
        nested.setdefault(row["corpus"], {}).setdefault(row["system"], {})[row["metric"]] = row
    return nested


def mark_of(notes: Mapping[str, Any], system: str, corpus: str) -> str:
    """Mark of a table row, such as "external, kept"; empty for a zero-shot row of this run."""
    marks = notes["marks"]
    return ", ".join(marks[key] for key in (system, f"{system}/{corpus}") if key in marks)


def present_columns(systems: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Metrics of ``COLUMNS`` that at least one system has."""
    return [metric for metric in COLUMNS if any(metric in own for own in systems.values())]


def value_text(figure: Mapping[str, Any] | None) -> str:
    """A value with three digits; a dash where the metric is absent."""
    return "–" if figure is None else f"{figure['value']:.3f}"


def interval_text(figure: Mapping[str, Any] | None, metric: str) -> str:
    """The interval with two digits, of the metrics that are shown with one; else empty."""
    if figure is None or metric not in WITH_INTERVAL or figure["ci_low"] is None:
        return ""
    return f"[{figure['ci_low']:.2f}, {figure['ci_high']:.2f}]"


def _cell(figure: Mapping[str, Any] | None, metric: str) -> str:
    return f"{value_text(figure)} {interval_text(figure, metric)}".strip()


def heading(metric: str) -> str:
    """Heading of a column: name, which way is better, and whether the training judge rewards it (†)."""
    name, better = COLUMNS[metric]
    return name + {1: "\u00a0↑", -1: "\u00a0↓", 0: ""}[better] + ("\u00a0†" if metric in OF_TRAINING_JUDGE else "")


def footnotes(notes: Mapping[str, Any], corpus: str, systems: Sequence[str]) -> list[str]:
    """What the marks of one corpus's table mean, and why a metric is absent."""
    keys = [corpus, *systems, *(f"{system}/{corpus}" for system in systems)]
    used = dict.fromkeys(notes["marks"][key] for key in keys if key in notes["marks"])
    lines = [f"{mark}: {EXPLAINED[mark]}" for mark in used if mark in EXPLAINED]
    for key, reason in notes["unavailable"].items():
        where, metric = key.rsplit("/", 1)
        if where == corpus:
            lines.append(f"{metric} is absent: {reason}")
    return [*lines, EXPLAINED_JUDGE]


def render_markdown(
    rows: Sequence[Mapping[str, Any]], notes: Mapping[str, Any], differences: Sequence[Difference] = ()
) -> str:
    """The table as Markdown: one section a corpus."""
    lines = ["# Zero-shot table", ""]
    for corpus, systems in by_corpus(rows).items():
        columns = present_columns(systems)
        title = f"{corpus} ({notes['marks'][corpus]})" if corpus in notes["marks"] else corpus
        lines += [f"## {title}", "", f"| system | mark | n | {' | '.join(map(heading, columns))} |"]
        lines.append("|---|---|" + "---:|" * (len(columns) + 1))
        for system, own in systems.items():
            cells = [_cell(own.get(metric), metric) for metric in columns]
            n = max(row["n"] for row in own.values())
            lines.append(f"| `{system}` | {mark_of(notes, system, corpus)} | {n} | {' | '.join(cells)} |")
        lines += ["", *(f"- {note}" for note in footnotes(notes, corpus, list(systems))), ""]
        own_differences = [d for d in differences if d.corpus == corpus]
        if own_differences:
            lines += ["Paired differences on the same utterances, 95 % bootstrap, not corrected for their number:", ""]
            lines += ["| system - baseline | metric | difference | interval |", "|---|---|---:|---|"]
            lines += [
                f"| `{d.system}` - `{d.baseline}` | {COLUMNS[d.metric][0]} | {d.value:+.3f} "
                f"| [{d.low:+.3f}, {d.high:+.3f}] |"
                for d in own_differences
            ]
            lines.append("")
    lines.append("Brackets: 95 % bootstrap, stratified by label, clustered by caption or session.")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    for plain, tex in (
        ("_", r"\_"),
        ("%", r"\%"),
        ("&", r"\&"),
        ("†", r"$^\dagger$"),
        ("↑", r"$\uparrow$"),
        ("\u00a0", "~"),
    ):
        text = text.replace(plain, tex)
    return text.replace("↓", r"$\downarrow$").replace("–", "--")


def _latex_cell(figure: Mapping[str, Any] | None, metric: str) -> str:
    interval = interval_text(figure, metric)
    return value_text(figure).replace("–", "--") + (rf" {{\scriptsize {interval}}}" if interval else "")


def render_latex(rows: Sequence[Mapping[str, Any]], notes: Mapping[str, Any]) -> str:
    """The table as LaTeX with booktabs, one ``table*`` a corpus."""
    blocks = []
    for corpus, systems in by_corpus(rows).items():
        columns = present_columns(systems)
        remarks = "; ".join(footnotes(notes, corpus, list(systems)))
        body = []
        for system, own in systems.items():
            mark = mark_of(notes, system, corpus)
            name = f"{system} ({mark})" if mark else system
            cells = [_latex_cell(own.get(metric), metric) for metric in columns]
            body.append(" & ".join([_escape(name), *cells]) + r" \\")
        blocks.append(
            "\n".join(
                [
                    r"\begin{table*}",
                    r"\centering\small",
                    rf"\caption{{{_escape(f'Zero-shot captioning on {corpus}. {remarks}')}.}}",
                    rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
                    r"\toprule",
                    " & ".join(["system", *(_escape(heading(metric)) for metric in columns)]) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table*}",
                ]
            )
        )
    return "\n\n".join(blocks) + "\n"


def render_terminal(path: str | Path, width: int = 120) -> str:
    """The Parquet table for a terminal ``width`` columns wide, with colours; one table a corpus.

    Raises:
        ArtifactError: no such table.
    """
    from rich.console import Console
    from rich.table import Table

    rows, notes = artifacts.read_rows(path, "table"), artifacts.read_notes(path, "table")
    console = Console(width=width, file=io.StringIO(), force_terminal=True)
    for corpus, systems in by_corpus(rows).items():
        columns = [metric for metric in present_columns(systems) if metric not in ("distinct2", "length_ratio")]
        table = Table(title=f"zero-shot on {corpus}", title_style="bold", header_style="bold", padding=(0, 0, 0, 1))
        table.add_column("system", no_wrap=True)
        for metric in columns:
            table.add_column(SHORT.get(metric, heading(metric)), justify="right")
        best = {metric: best_value(systems, metric) for metric in columns}
        for system, own in systems.items():
            cells = []
            for metric in columns:
                text = value_text(own.get(metric))
                cells.append(
                    f"[bold green]{text}[/]" if metric in own and own[metric]["value"] == best[metric] else text
                )
            mark = mark_of(notes, system, corpus)
            table.add_row(system + (f" ({mark})" if mark else ""), *cells)
        console.print(table)
        for note in footnotes(notes, corpus, list(systems)):
            console.print(f"  {note}", style="dim", markup=False, highlight=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


def best_value(systems: Mapping[str, Mapping[str, Any]], metric: str) -> float | None:
    """The best value of a column; None where neither more nor less is better, or all are equal."""
    better = COLUMNS[metric][1]
    values = [own[metric]["value"] for own in systems.values() if metric in own]
    return None if better == 0 or len(set(values)) < 2 else (max(values) if better > 0 else min(values))
