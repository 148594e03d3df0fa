"""Tag reliance: whether a caption says more of the emotion than the predicted tag in its acoustic prompt. Ours.

A captioner that has learned to repeat the tag is exactly as right as the clue tagger, whatever its macro agreement, and
then no alignment loss can show on new speech. So the table covers the clips whose emotion is tagged. It gives how often
the caption's dominant emotion differs from the tag, and, on just those clips, how often the caption is right and how
often the tag would have been. Their difference, ``departs_gain``, is what speech embeddings and LLM add to the tag, or
take from it. It is used for scoring only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.tables.seeds import CorpusScores, scores_by_corpus
from aligncap.evaluation.wording import bounds, markdown_table
from aligncap.systems import plain_name
from aligncap.vocabulary import canonical

Array = NDArray[np.float64]

RULE = "tag_reliance"
METRICS = {
    "repeats_tag": "repeats the tag",
    "departs": "says another emotion",
    "departs_right": "right there",
    "departs_tag_right": "the tag would have been",
    "departs_gain": "difference",
}


def counted(rows: Sequence[Mapping[str, Any]], tags: Mapping[str, str]) -> tuple[Array, Array]:
    """Return numerators and denominators of the metrics: two arrays [metrics, utterances] in the order of ``METRICS``.

    Args:
        rows: Rows of one ``evaluation`` artifact.
        tags: Utterance id -> tagged emotion, for utterances whose tag is certain enough to stand in the prompt.
    """
    truth = [canonical(row["label"]) for row in rows]
    tag = [tags.get(row["utterance_id"]) for row in rows]
    said = [row["dominant"] for row in rows]
    tagged = np.asarray([t is not None for t in tag], dtype=np.float64)
    repeats = tagged * [s == t for s, t in zip(said, tag, strict=True)]
    departs = (tagged - repeats) * [s is not None for s in said]
    judged = departs * [label is not None for label in truth]
    right = judged * [s == label for s, label in zip(said, truth, strict=True)]
    tag_right = judged * [t == label for t, label in zip(tag, truth, strict=True)]
    return np.stack([repeats, departs, right, tag_right, right - tag_right]), np.stack([tagged, tagged, *[judged] * 3])


def reliance(scores: CorpusScores, members: Sequence[str], tags: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return metric of ``METRICS`` -> value, 95 % interval and number of captions; undefined metrics are left out.

    Args:
        scores: Evaluations of a corpus, and the resamples of its utterances.
        members: Members of one system, one per seed. Their captions are pooled; the bootstrap draws utterances, not
            seeds.
        tags: Tagged emotions as in ``counted``.
    """
    counts = [counted(scores.rows[name], tags) for name in members]
    tops, bottoms = (np.sum(parts, axis=0) for parts in zip(*counts, strict=True))
    ratios = [bootstrap.ratio_figure(scores.weights, *sums) for sums in zip(tops, bottoms, strict=True)]
    return {metric: figure for metric, figure in zip(METRICS, ratios, strict=True) if figure is not None}


def in_words(figures: Mapping[str, Mapping[str, Any]], digits: int) -> list[tuple[str, str]]:
    """Return the text of value and interval of each of ``METRICS``, and last the number of departing captions."""
    cells = []
    for metric in METRICS:
        figure, sign = figures.get(metric), "+" if metric == "departs_gain" else ""
        if figure is None:
            cells.append(("–", ""))
            continue
        cells.append((f"{figure['value']:{sign}.3f}", bounds(figure, digits, sign)))
    return [*cells, (str(figures.get("departs_right", {"n": 0})["n"]), "")]


def tagged_emotions(path: Path) -> dict[str, str]:
    """Return utterance id -> emotion in the acoustic prompt, from the ``clues`` artifact of ``predict_clues``."""
    clues = {row["utterance_id"]: row["clues"] for row in artifacts.read_rows(path, "clues")}
    return {key: clue["lemma"] for key, own in clues.items() for clue in own if clue["kind"] == "emotion"}


def write_tag_reliance(
    evaluation: Evaluation,
    evaluations: Mapping[tuple[str, str], Path],
    members: Mapping[str, Mapping[str, int]],
    predicted: Mapping[str, Path],
    parquet_out: Path,
    md_out: Path,
) -> None:
    """Write the table of tag reliance (rule ``tag_reliance``).

    Args:
        evaluation: Resamples and seed of the bootstrap.
        evaluations: (system or one seed of it, corpus) -> ``evaluation`` artifact.
        members: Trained system -> its members and their seeds; several seeds have a row together and one each.
        predicted: Test corpus -> ``clues`` artifact of ``predict_clues``.
        parquet_out: ``table`` artifact with one row per system or seed, corpus and metric of ``METRICS``.
        md_out: The same table as Markdown.

    Raises:
        ArtifactError: An input is not the artifact it should be.
    """
    tags = {corpus: tagged_emotions(path) for corpus, path in predicted.items()}
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for corpus, scores in scores_by_corpus(evaluation, evaluations, members).items():
        own = found[corpus] = {}
        for system in dict.fromkeys(map(plain_name, scores.rows)):
            seeds = scores.members_of(system)
            own[system] = reliance(scores, list(seeds.values()), tags[corpus])
            for seed, name in seeds.items() if len(seeds) > 1 else ():
                own[f"{system}@{seed}"] = reliance(scores, [name], tags[corpus])
    rows = [
        {"system": system, "corpus": corpus, "metric": metric, **figure}
        for corpus, own in found.items()
        for system, figures in own.items()
        for metric, figure in figures.items()
    ]
    artifacts.write(rows, parquet_out, "table", RULE)
    artifacts.write_text(_markdown(found), md_out)


def _markdown(found: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> str:
    lines = ["# Captions and the predicted emotion tag", ""]
    head = ("system", *METRICS.values(), "captions")
    for corpus, own in found.items():
        body = (
            [f"`{system}`", *(" ".join(filter(None, cell)) for cell in in_words(figures, digits=3))]
            for system, figures in own.items()
        )
        lines += [f"## {corpus}", "", *markdown_table("l" + "r" * (len(METRICS) + 1), head, body)]
    lines += [
        "Of the clips whose emotion is tagged. `right there`, `the tag would have been` and their difference are over "
        "the labelled clips on which the caption says another emotion than the tag; `captions` counts these. "
        "Brackets: 95 % bootstrap over utterances, stratified by label, clustered as in the zero-shot table.",
    ]
    return "\n".join(lines) + "\n"
