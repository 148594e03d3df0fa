"""Figure 4: selective captioning, the risk of hallucination against the share of clips that get a caption.

A captioner that may be silent captions the clips first of whose emotion the tagger is surest. The selective risk at a
coverage is the factuality hallucination of the captions given there, and AURC the area under the curve, the mean risk
over all coverages (Geifman and El-Yaniv, NeurIPS 2017; the name is Geifman et al.'s, ICLR 2019). To read it, it stands
between the area of a random order, which is the risk of all clips, and that of the best order, wrong captions last.
Clips of equal confidence are in random order: the risk among them is its expectation. Used for scoring only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.figures import drawing
from aligncap.evaluation.tables.columns import COLUMNS, Key
from aligncap.evaluation.tables.seeds import CorpusScores, Members, scores_by_corpus
from aligncap.evaluation.wording import bounds
from aligncap.job import By
from aligncap.systems import plain_name

RULE = "figure_selective"
SHOWN = ("factuality_hallucination", "factuality_hallucination_2")
COVERAGES = np.arange(1, 21) / 20
AREAS = ("aurc", "aurc_random", "aurc_best", "aurc_gain")  # of the order, and what it gains on a random one
MARKS = (("o", drawing.BLUE), ("s", drawing.ORANGE), ("^", drawing.GREEN), ("D", drawing.RED))

Array = bootstrap.Array


class SelectiveFiles(NamedTuple):
    """The pictures of figure 4, the points of the curves, and the areas under them."""

    svg: Path
    png: Path
    parquet: Path
    areas: Path


def _by_confidence(weights: Array, risk: Array, confidence: Array) -> tuple[Array, Array]:
    """Return number and risk [b, k] of the clips of each of k confidences, the highest first."""
    order = np.argsort(-confidence, kind="stable")
    starts = np.flatnonzero(np.diff(confidence[order], prepend=np.inf))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    return counts, np.add.reduceat((weights * risk)[:, order], starts, axis=1)


def area(weights: Array, risk: Array, confidence: Array) -> Array:
    """Return the area under the risk-coverage curve [b], ``(1/N) sum_k risk(k)`` of the k most confident of N clips.

    Args:
        weights: Whole multiplicities of the clips, [b, n].
        risk: Risk of each clip, [n].
        confidence: By which they are ordered, [n]; clips of equal confidence are in random order.
    """
    counts, risks = _by_confidence(weights, risk, confidence)
    before = np.cumsum(counts, axis=1) - counts
    cost = np.cumsum(risks, axis=1) - risks
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(counts > 0, risks / counts, 0.0)
    total = counts.sum(axis=1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(total.max()) + 1))])
    # the sum of (cost + t mean) / (before + t) over t = 1 … counts
    steps = harmonic[(before + counts).astype(int)] - harmonic[before.astype(int)]
    return (risks + (cost - mean * before) * steps).sum(axis=1) / total


def curve(weights: Array, risk: Array, confidence: Array) -> Array:
    """Return the selective risk [b, c] at each of ``COVERAGES``; arguments as for ``area``."""
    counts, risks = _by_confidence(weights, risk, confidence)
    reached = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    cost = np.pad(np.cumsum(risks, axis=1), ((0, 0), (1, 0)))
    wanted = reached[:, -1:] * COVERAGES
    rows = [np.interp(*own) for own in zip(wanted, reached, cost, strict=True)]
    return np.stack(rows) / wanted


def confidences(path: Path) -> dict[str, float]:
    """Return utterance id -> probability of the tagged emotion from predicted ``clues``; 0 where none is tagged."""
    return {
        row["utterance_id"]: next((c["probability"] for c in row["clues"] if c["kind"] == "emotion"), 0.0)
        for row in artifacts.read_rows(path, "clues")
    }


def _areas(weights: Array, risk: Array, confidence: Array) -> dict[str, Array]:
    own, random = area(weights, risk, confidence), bootstrap.weighted_mean(weights, risk)
    return dict(zip(AREAS, (own, random, area(weights, risk, -risk), random - own), strict=True))


def measured(
    scores: CorpusScores, members: Sequence[str], metric: str, confidence: Array
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the points of a curve (coverage, value, interval, n) and area of ``AREAS`` -> figure; means over seeds.

    Args:
        scores: Evaluations of a corpus, and the resamples of its utterances.
        members: Members of one system, one per seed.
        metric: One of ``SHOWN``; without any value there is neither point nor area.
        confidence: Confidence of each utterance of the corpus, [n].
    """
    values = [scores.values(member, metric) for member in members]
    known = [~np.isnan(own) for own in values]
    n = min(int(own.sum()) for own in known)
    if not n:
        return [], {}
    curves, areas = [], []
    for own, kept in zip(values, known, strict=True):
        risk, sure = own[kept], confidence[kept]
        both = (np.ones((1, len(risk))), scores.weights[:, kept])
        curves.append([curve(weights, risk, sure) for weights in both])
        areas.append([_areas(weights, risk, sure) for weights in both])

    def figure(wholes: Sequence[Array], samples: Sequence[Array]) -> dict[str, Any]:
        return bootstrap.figure(np.mean(wholes), scores.over_seeds(samples), n)

    points = [
        {"coverage": float(at), **figure([w[:, i] for w, _ in curves], [s[:, i] for _, s in curves])}
        for i, at in enumerate(COVERAGES)
    ]
    return points, {name: figure([w[name] for w, _ in areas], [s[name] for _, s in areas]) for name in AREAS}


@dataclass(frozen=True)
class SelectiveInputs:
    """The input files of figure 4.

    Attributes:
        evaluations: (system or one seed of it, test corpus) -> ``evaluation``.
        predicted: Test corpus -> predicted ``clues``.
    """

    evaluations: Annotated[Mapping[Key, Path], By("rows")]
    predicted: Annotated[Mapping[str, Path], By("test")]


def draw_selective(evaluation: Evaluation, members: Members, inputs: SelectiveInputs, outs: SelectiveFiles) -> None:
    """Draw figure 4 and write its data.

    Args:
        evaluation: Resamples and seed of the bootstrap.
        members: Trained system -> its members and their seeds.
        inputs: Evaluations and predicted clues.
        outs: Pictures, ``risk_coverage`` rows, and ``table`` rows, whose metric is ``{risk}_{one of AREAS}``.
    """
    points: list[dict[str, Any]] = []
    areas: list[dict[str, Any]] = []
    for corpus, scores in scores_by_corpus(evaluation, inputs.evaluations, members).items():
        sure = confidences(inputs.predicted[corpus])
        confidence = np.asarray([sure[key] for key in scores.ids])
        for system in dict.fromkeys(map(plain_name, scores.rows)):
            for metric in SHOWN:
                own = list(scores.members_of(system).values())
                found, under = measured(scores, own, metric, confidence)
                about = {"system": system, "corpus": corpus}
                points += [{**about, "metric": metric, **point} for point in found]
                areas += [{**about, "metric": f"{metric}_{name}", **figure} for name, figure in under.items()]
    artifacts.write(points, outs.parquet, "risk_coverage", RULE)
    artifacts.write(areas, outs.areas, "table", RULE)
    with drawing.styled():
        drawing.save(_draw(points, areas), outs.svg, outs.png)


def _draw(points: Sequence[Mapping[str, Any]], areas: Sequence[Mapping[str, Any]]) -> Any:
    corpora = list(dict.fromkeys(row["corpus"] for row in points))
    under = {(row["corpus"], row["system"], row["metric"]): row for row in areas}
    systems = list(dict.fromkeys(row["system"] for row in points))
    height = 3.2 + 0.2 * len(systems)
    figure = drawing.new_figure(10.5, height * max(1, len(corpora)))
    grid = figure.subplots(max(1, len(corpora)), len(SHOWN), squeeze=False)
    for axes, corpus in zip(grid, corpora, strict=False):
        for axis, metric in zip(axes, SHOWN, strict=True):
            for number, system in enumerate(systems):
                own = [r for r in points if (r["corpus"], r["system"], r["metric"]) == (corpus, system, metric)]
                if own:
                    _line(axis, own, {a: under[corpus, system, f"{metric}_{a}"] for a in AREAS}, number)
            axis.set_title(COLUMNS[metric].title)
            axis.set_xlabel("coverage: share of clips captioned, surest emotion tag first")
            axis.set_xlim(0, 1.02)
            axis.set_ylim(bottom=0)
            axis.grid(axis="both")
            if axis.lines:
                axis.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.2))
        axes[0].set_ylabel(f"selective risk, {corpus}")
    return figure


def _line(axis: Any, points: Sequence[Mapping[str, Any]], areas: Mapping[str, Mapping[str, Any]], number: int) -> None:
    marker, colour = MARKS[number % len(MARKS)]
    at = [row["coverage"] for row in points]
    low, high = ([row[side] for row in points] for side in ("ci_low", "ci_high"))
    axis.fill_between(at, low, high, color=colour, alpha=0.08, linewidth=0)
    area_text = f"area {areas['aurc']['value']:.3f} {bounds(areas['aurc'])}"
    label = (
        f"{points[0]['system']}: {area_text}, random {areas['aurc_random']['value']:.3f}, "
        f"best {areas['aurc_best']['value']:.3f}"
    )
    axis.plot(at, [row["value"] for row in points], marker, color=colour, linestyle="-", markersize=3.5, label=label)
