"""Figure 1: examples of the two hallucinations, and the loss of every measure on corpora outside the training."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from aligncap import artifacts
from aligncap.clues.hallucination_checks import kind_of
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.figures import drawing
from aligncap.evaluation.tables.columns import COLUMNS, Key
from aligncap.evaluation.tables.seeds import item_values, statistic
from aligncap.hashes import digest_of
from aligncap.job import By
from aligncap.vocabulary import canonical

RULE = "figure_drop"
SHOWN = ("emotion_agreement_macro", "factuality_hallucination_covered", "faithfulness_hallucination", "similarity")
# It is not called "zero-shot", because a corpus may be split into a training and a test part.
IN_DOMAIN, TEST, DROP = "in-domain", "test", "drop"
EXPLAINED = {
    "factuality": "Factuality: contradicts the speech",
    "faithfulness": "Faithfulness: says what the input does not support",
}


class FigureFiles(NamedTuple):
    """The files of figure 1."""

    svg: Path
    png: Path
    parquet: Path
    examples: Path


def _pooled(
    evaluation: Evaluation, files: Sequence[Path], metric: str, seed: int
) -> tuple[dict[str, Any], bootstrap.Array]:
    """Return the figure and samples [b] of a metric over the pooled utterances of several corpora."""
    rows = [(number, row) for number, path in enumerate(files) for row in artifacts.read_rows(path, "evaluation")]
    classes = [canonical(row["label"]) for _, row in rows]
    clusters = [(number, row["cluster"]) for number, row in rows]
    weights = bootstrap.resample_weights(clusters, classes, evaluation.bootstrap, seed)
    values = item_values([row for _, row in rows], metric)
    value, samples = statistic(weights, values, metric, classes)
    return bootstrap.figure(value, samples, int((~np.isnan(values)).sum())), samples


def domain_rows(
    evaluation: Evaluation, systems: Sequence[str], in_domain: Mapping[Key, Path], tested: Mapping[Key, Path]
) -> list[dict[str, Any]]:
    """Return rows of the ``table`` artifact: in-domain, test and their difference, each pooled over its corpora.

    Dev and test clips are different utterances, so the drop is not paired: its interval comes from independent
    resamples of the two sides.
    """
    rows = []
    for system in systems:
        sides = {
            side: [path for (name, _), path in files.items() if name == system]
            for side, files in ((IN_DOMAIN, in_domain), (TEST, tested))
        }
        for metric in SHOWN:
            seeds = {IN_DOMAIN: evaluation.seed + 1, TEST: evaluation.seed}
            drawn = {side: _pooled(evaluation, files, metric, seeds[side]) for side, files in sides.items()}
            (here, ours), (there, theirs) = drawn[IN_DOMAIN], drawn[TEST]
            if np.isnan(here["value"]) or np.isnan(there["value"]):
                continue
            drop = bootstrap.figure(here["value"] - there["value"], ours - theirs, there["n"])
            for side, figure in ((IN_DOMAIN, here), (TEST, there), (DROP, drop)):
                rows.append({"system": system, "corpus": side, "metric": metric, **figure})
    return rows


def pick_hallucinations(
    systems: Sequence[str], evaluations: Mapping[Key, Path], references: Mapping[str, Path]
) -> list[dict[str, Any]]:
    """Return one utterance per kind where the first system hallucinates, as rows of ``hallucination_examples``.

    The choice follows a rule: utterances are tried in the order of the hash of their name, starting with those where
    the last system does not hallucinate at all. Both systems' captions are shown.
    """
    rows = []
    read = {key: {r["utterance_id"]: r for r in artifacts.read_rows(p, "evaluation")} for key, p in evaluations.items()}
    for kind in EXPLAINED:
        tried: list[tuple[bool, bytes, str, str]] = []
        for corpus in references:
            if not {(systems[0], corpus), (systems[-1], corpus)} <= set(read):
                continue
            for name, row in read[systems[0], corpus].items():
                if any(kind_of(flag) == kind for flag in row["flags"]):
                    last = bool(read[systems[-1], corpus][name]["flags"]) or systems[-1] == systems[0]
                    tried.append((last, digest_of(corpus, name), corpus, name))
        if not tried:
            continue
        _, _, corpus, name = min(tried)
        known = {r["utterance_id"]: r["captions"] for r in artifacts.read_rows(references[corpus], "labels")}
        for system in dict.fromkeys((systems[0], systems[-1])):
            row = read[system, corpus][name]
            rows.append(
                {
                    "corpus": corpus,
                    "utterance_id": name,
                    "kind": kind,
                    "system": system,
                    "caption": row["caption"],
                    "flags": [flag for flag in row["flags"] if kind_of(flag) == kind],
                    "label": row["label"],
                    "reference": (known[name] or [""])[0],
                }
            )
    return rows


@dataclass(frozen=True)
class DropInputs:
    """The input files of figure 1.

    Attributes:
        in_domain: (system, training corpus) -> ``evaluation`` of dev utterances.
        tested: (system, test corpus) -> ``evaluation``.
        references: Test corpus -> ``labels``.
    """

    in_domain: Annotated[Mapping[Key, Path], By("systems", "train")]
    tested: Annotated[Mapping[Key, Path], By("systems", "test")]
    references: Annotated[Mapping[str, Path], By("test")]


def draw_drop(evaluation: Evaluation, systems: Sequence[str], inputs: DropInputs, outs: FigureFiles) -> None:
    """Draw figure 1 and write its data.

    Args:
        evaluation: Resamples and seed of the bootstrap.
        systems: Trained systems; the first one's hallucinations are shown, beside the captions of the last.
        inputs: Evaluations and references.
        outs: SVG, PNG, and the data: ``table`` rows and ``hallucination_examples``.
    """
    rows = domain_rows(evaluation, systems, inputs.in_domain, inputs.tested)
    examples = pick_hallucinations(systems, inputs.tested, inputs.references)
    sides = {IN_DOMAIN: inputs.in_domain, TEST: inputs.tested}
    corpora = {side: sorted({corpus for _, corpus in files}) for side, files in sides.items()}
    artifacts.write(rows, outs.parquet, "table", RULE, {"corpora": corpora})
    artifacts.write(examples, outs.examples, "hallucination_examples", RULE)
    with drawing.styled():
        drawing.save(_draw(systems, rows, examples, corpora), outs.svg, outs.png)


def _draw(
    systems: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    corpora: Mapping[str, Sequence[str]],
) -> Any:
    texts = {
        kind: _example_lines([row for row in examples if row["kind"] == kind])
        or [(f"{systems[0]}: none found", drawing.GREY, "normal")]
        for kind in EXPLAINED
    }
    most = max(map(len, texts.values()))
    height, lower = 0.19 * most + 0.5, 1.3 + 0.42 * len(systems)
    figure = drawing.new_figure(11.5, height + lower)
    halves = figure.subfigures(2, 1, height_ratios=[height, lower])
    for axis, (kind, lines) in zip(halves[0].subplots(1, len(texts)), texts.items(), strict=True):
        axis.set_axis_off()
        axis.set_title(EXPLAINED[kind], loc="left", fontweight="bold")
        for number, (text, colour, weight) in enumerate(lines):
            at = 1 - (number + 0.5) / most
            axis.text(
                0,
                at,
                text,
                color=colour,
                weight=weight,
                va="center",
                transform=axis.transAxes,
                fontsize=8.5,
                parse_math=False,
            )
    axes = halves[1].subplots(1, len(SHOWN), squeeze=False)[0]
    for number, (axis, metric) in enumerate(zip(axes, SHOWN, strict=True)):
        own = {(row["system"], row["corpus"]): row for row in rows if row["metric"] == metric}
        for line, system in enumerate(systems):
            if (system, DROP) not in own:
                continue
            here, there = own[system, IN_DOMAIN], own[system, TEST]
            axis.annotate(
                "", (there["value"], line), (here["value"], line),
                arrowprops={"arrowstyle": "-", "color": drawing.PALE, "linewidth": 3},
            )  # fmt: skip
            drawing.interval_line(axis, here, line - 0.13, drawing.BLUE, "o", label=IN_DOMAIN if line == 0 else None)
            drawing.interval_line(axis, there, line + 0.13, drawing.RED, "s", label=TEST if line == 0 else None)
        drawing.name_lines(axis, systems, number == 0)
        axis.set_title(COLUMNS[metric].title)
    handles, labels = axes[0].get_legend_handles_labels()
    told = [f"{label} ({', '.join(corpora[label])})" for label in labels]
    halves[1].legend(handles, told, loc="outside lower center", ncols=2, fontsize=8.5)
    return figure


def _example_lines(block: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return text, colour and weight of the lines of one example; none where there is none."""
    if not block:
        return []
    first = block[0]
    lines: list[tuple[str, str, str]] = []

    def add(text: str, colour: str, weight: str = "normal") -> None:
        lines.extend((part, colour, weight) for part in textwrap.wrap(text, 78))

    add(f"{first['corpus']} {first['utterance_id']}, label: {first['label'] or 'none'}", drawing.GREY)
    if first["reference"]:
        add(f"reference: {first['reference']}", drawing.INK)
    for row in block:
        add(f"{row['system']}: {row['caption'] or '(nothing)'}", drawing.INK)
        if row["flags"]:
            add(f"    found: {'; '.join(row['flags'])}", drawing.RED, "bold")
        else:
            add("    nothing found", drawing.GREEN, "bold")
    return lines
