"""Figure 3: t-SNE of the LLM's representations of paired speech and text input, with numbers beside the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aligncap import artifacts
from aligncap.config import Evaluation, Figures
from aligncap.evaluation import bootstrap
from aligncap.evaluation.figures import drawing
from aligncap.evaluation.tables.render import as_rows
from aligncap.evaluation.tables.seeds import Difference, corrected
from aligncap.evaluation.wording import worded

RULE = "figure_tsne"
STAGES = {
    "before": "(a) before LLM decoding:\nspeech embeddings, text embeddings",
    "after": "(b) after LLM decoding:\nhidden states at response positions",
    "response": "(b) after LLM decoding:\nresponse distribution",
}
MODALITIES = ("speech", "text")
DEV = "dev of training corpora"
Array = bootstrap.Array


class TsneFiles(NamedTuple):
    """The files of figure 3."""

    svg: Path
    png: Path
    points: Path
    measures: Path
    tests: Path


class Paired(NamedTuple):
    """One stage of one system: row i of ``speech`` [n, H] and of ``text`` [n, H] are the same utterance."""

    names: list[tuple[str, str]]  # (corpus, utterance_id)
    speech: Array
    text: Array
    kl: Array  # [n], NaN where not measured


def read_paired(path: Path) -> dict[str, Paired]:
    """Return stage -> paired vectors of a ``representations`` artifact."""
    rows = artifacts.read_rows(path, "representations")
    found = {}
    for stage in STAGES:
        vectors: dict[str, dict[tuple[str, str], Any]] = {
            side: {
                (row["corpus"], row["utterance_id"]): row
                for row in rows
                if row["stage"] == stage and row["modality"] == side
            }
            for side in MODALITIES
        }
        names = list(vectors["speech"])
        speech, text = (np.asarray([vectors[side][name]["vector"] for name in names]) for side in MODALITIES)
        kl = [np.nan if (v := vectors["speech"][name]["kl"]) is None else v for name in names]
        found[stage] = Paired(names, speech, text, np.asarray(kl, dtype=np.float64))
    return found


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def retrieval(speech: Array, text: Array) -> Array:
    """Return nearest-pair retrieval: 1 where the text vector nearest (cosine) to a speech vector is that of its pair.

    Equal text inputs (the same words, the same clues) cannot be told apart. Where k are equally near and the pair is
    one of them, the hit counts 1/k, as in a draw among them. A random choice gets 1/n.

    Returns:
        Hits [n], 0-1.
    """
    similar = _unit(speech) @ _unit(text).T
    own = np.diag(similar)
    nearest = similar.max(axis=1)
    tied = (similar >= nearest[:, None] - 1e-6).sum(axis=1)
    return np.where(own >= nearest - 1e-6, 1.0 / tied, 0.0)


def modality_silhouette(speech: Array, text: Array) -> Array:
    """Return the silhouette [n] (cosine) of every utterance with modalities as clusters, the mean of its two points.

    It is 1 where speech and text lie apart, and 0 where they are mixed. An interval over these items leaves all other
    points in place.
    """
    from sklearn.metrics import silhouette_samples

    points = _unit(np.concatenate([speech, text]))
    found = silhouette_samples(points, np.repeat([0, 1], len(speech)), metric="cosine")
    return found.reshape(2, -1).mean(axis=0)


def measures_of(stage: str, paired: Paired) -> dict[str, Array]:
    """Return measure -> item values [n]."""
    found = {
        f"retrieval_{stage}": retrieval(paired.speech, paired.text),
        f"silhouette_{stage}": modality_silhouette(paired.speech, paired.text),
    }
    return found if np.isnan(paired.kl).all() else {**found, "kl": paired.kl}


def project(paired: Paired, perplexity: float, seed: int) -> Array:
    """Return the t-SNE [2 n, 2] of speech, then text, by cosine distance, started from the first two PCs."""
    from sklearn.manifold import TSNE

    points = _unit(np.concatenate([paired.speech, paired.text]))
    tsne = TSNE(
        perplexity=min(perplexity, (len(points) - 1) / 3), init="pca", random_state=seed, metric="euclidean", n_jobs=1
    )
    return np.asarray(tsne.fit_transform(points), dtype=np.float64)


def draw_tsne(settings: Figures, evaluation: Evaluation, representations: Mapping[str, Path], outs: TsneFiles) -> None:
    """Draw figure 3 and write its data.

    Args:
        settings: Perplexity and seed.
        evaluation: Resamples and seed of the bootstrap.
        representations: System -> ``representations`` artifact; the first is the baseline of the others.
        outs: Pictures; points (``tsne``); measures (``table``) and their paired differences.
    """
    found = {system: read_paired(path) for system, path in representations.items()}
    names = next(iter(found.values()))["before"].names
    weights = bootstrap.resample_weights(names, [None] * len(names), evaluation.bootstrap, evaluation.seed)
    points, measures, items = [], [], {}
    for system, stages in found.items():
        for stage, paired in stages.items():
            placed = project(paired, settings.perplexity, settings.seed)
            for number, (x, y) in enumerate(placed.tolist()):
                side, (corpus, name) = MODALITIES[number // len(paired.names)], paired.names[number % len(paired.names)]
                point = {"system": system, "stage": stage, "modality": side, "corpus": corpus, "utterance_id": name}
                points.append({**point, "x": x, "y": y})
            for measure, values in measures_of(stage, paired).items():
                items[system, measure] = values
                figure = bootstrap.figure(values.mean(), bootstrap.weighted_mean(weights, values), len(values))
                measures.append({"system": system, "corpus": DEV, "metric": measure, **figure})
    tests = _tests(list(found), items, weights)
    chance = 1 / len(names)
    artifacts.write(points, outs.points, "tsne", RULE)
    artifacts.write(measures, outs.measures, "table", RULE, {"retrieval_by_chance": chance})
    artifacts.write(tests, outs.tests, "differences", RULE)
    with drawing.styled():
        drawing.save(_draw(list(found), points, measures, chance), outs.svg, outs.png)


def _tests(systems: Sequence[str], items: Mapping[tuple[str, str], Array], weights: Array) -> list[dict[str, Any]]:
    """Return rows of ``differences``: every system against the first, on every measure, paired by utterance."""
    against = systems[0]
    found = []
    for system, measure in items:
        if system == against:
            continue
        gap = items[system, measure] - items[against, measure]
        samples = bootstrap.weighted_mean(weights, gap)
        low, high = bootstrap.interval(samples) or (float("nan"), float("nan"))
        p = bootstrap.p_value(samples)
        found.append(Difference(system, against, DEV, measure, float(gap.mean()), low, high, p, p, len(gap), 1))
    return as_rows(corrected(found))


def _draw(
    systems: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    measures: Sequence[Mapping[str, Any]],
    chance: float,
) -> Any:
    figure = drawing.new_figure(10.5, 0.9 + 3.1 * len(systems))
    grid = figure.subplots(len(systems), len(STAGES), squeeze=False)
    value = {(row["system"], row["metric"]): row for row in measures}
    for line, (axes, system) in enumerate(zip(grid, systems, strict=True)):
        for axis, (stage, title) in zip(axes, STAGES.items(), strict=True):
            sides = [
                np.asarray(
                    [
                        (p["x"], p["y"])
                        for p in points
                        if (p["system"], p["stage"], p["modality"]) == (system, stage, side)
                    ]
                )
                for side in MODALITIES
            ]
            for one, other in zip(*sides, strict=True):
                axis.plot(*zip(one, other, strict=True), color=drawing.PALE, linewidth=0.6, zorder=1)
            for own, side, colour, marker in zip(
                sides, MODALITIES, (drawing.BLUE, drawing.ORANGE), ("o", "^"), strict=True
            ):
                axis.scatter(*own.T, s=16, c=colour, marker=marker, linewidths=0, zorder=2, label=f"{side} input")
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set_visible(True)
                spine.set_color(drawing.PALE)
            if line == 0:
                axis.set_title(title)
            axis.set_xlabel(_caption(system, stage, value, chance), fontsize=8)
        axes[0].set_ylabel(system, fontweight="bold")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _caption(system: str, stage: str, value: Mapping[tuple[str, str], Mapping[str, Any]], chance: float) -> str:
    near, apart = value[system, f"retrieval_{stage}"], value[system, f"silhouette_{stage}"]
    text = f"retrieval {worded(near)}, chance {chance:.2f}\nsilhouette of modality {worded(apart)}"
    kl = value.get((system, "kl")) if stage == "response" else None
    return text if kl is None else f"{text}\nmean KL {worded(kl)} nat"
