"""Evaluation of the emotion grammar parser on human captions, against the labels of the corpus. Ours.

It is used for scoring only. Annotators read the labels off the same captions, so it measures the parser and not a
captioner. Recall of a class is the share of its utterances whose caption is parsed as that class. Precision is the
share of the captions parsed as the class that carry its label; ``precision_with_other`` also counts utterances labelled
'other' as wrong. Valence and arousal are -1 (low), 0 (mid), 1 (high).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.parser.grammar import dominant_emotion, is_chinese, parse_many
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.gold import by_people
from aligncap.evaluation.wording import markdown_table, worded
from aligncap.vocabulary import CLASSES, canonical

RULE = "parser_table"
NONE, OTHER, ALL = "none", "other", "all"
LEVELS = {"low": -1.0, "mid": 0.0, "high": 1.0}
# Place of a class on the circumplex of affect (Russell 1980), in thirds; it is ours and was fixed before any result.
VALENCE = {"happy": 1.0, "neutral": 0.0, "surprised": 0.0} | dict.fromkeys(("angry", "sad", "fearful", "disgusted"), -1)
AROUSAL = {"sad": -1.0, "neutral": -1.0, "disgusted": 0.0, "happy": 0.5} | dict.fromkeys(
    ("angry", "surprised", "fearful"), 1.0
)
AROUSAL_OF_INTENSITY = {"weak": -0.5, "normal": 0.0, "strong": 0.5}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Captioned:
    """Captions and labels of one corpus in one language: columns of equal length, None where a label is unknown.

    Attributes:
        label: One of ``CLASSES``, "other", or None.
        parsed: One of ``CLASSES``, or "none".
        arousal_shift: Shift of the arousal by the intensity of the parsed emotion.
        valence: -1, 0 or 1; NaN where unknown.
        arousal: -1, 0 or 1; NaN where unknown.
        cluster: Cluster of the bootstrap; utterances of one caption share it.
    """

    label: list[str | None]
    parsed: list[str]
    arousal_shift: Array
    valence: Array
    arousal: Array
    cluster: list[str]


def texts_by_language(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return language -> utterance -> human caption: the first caption, and the Chinese original that it translates."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        own = [text for text in row["captions"] if text.strip()][:1]
        original = row["caption_group"] or ""
        for text in dict.fromkeys([*own, *([original] if is_chinese(original) else [])]):
            found.setdefault("zh" if is_chinese(text) else "en", {}).setdefault(row["utterance_id"], text)
    return dict(sorted(found.items()))


def read_captioned(rows: Sequence[Mapping[str, Any]], texts: Mapping[str, str], language: str) -> Captioned:
    """Parse the captions of a corpus in one language; ``rows`` are those of the ``labels`` artifact."""
    kept = [row for row in rows if row["utterance_id"] in texts]
    clues = parse_many((texts[row["utterance_id"]] for row in kept), language)
    labels = [OTHER if row["emotion"] == OTHER else canonical(row["emotion"]) for row in kept]
    shifts = [next((c.lemma for c in found if c.kind == "intensity"), "normal") for found in clues]
    unknown = float("nan")
    return Captioned(
        labels,
        [dominant_emotion(found) or NONE for found in clues],
        np.asarray([AROUSAL_OF_INTENSITY[shift] for shift in shifts]),
        np.asarray([LEVELS.get(row["valence"] or "", unknown) for row in kept]),
        np.asarray([LEVELS.get(row["arousal"] or "", unknown) for row in kept]),
        [row["caption_group"] or texts[row["utterance_id"]] for row in kept],
    )


def measure(data: Captioned, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return all measures of one corpus in one language, as ``parser`` rows without corpus and language."""
    label, parsed = np.asarray(data.label, dtype=object), np.asarray(data.parsed, dtype=object)
    weights = bootstrap.resample_weights(data.cluster, data.label, evaluation.bootstrap, evaluation.seed)
    once = np.ones((1, len(label)))
    rows: list[dict[str, Any]] = []

    def add(measure: str, n: int, value: float | None, samples: Array | None, emotion: str, said: str = "") -> None:
        undefined = value is None or np.isnan(value)
        figure = bootstrap.figure(None, None, n) if undefined else bootstrap.figure(value, samples, n)
        rows.append({"measure": measure, "emotion": emotion, "parsed": said, **figure})

    def ratio(measure: str, top: Array, bottom: Array, emotion: str, n: int) -> Array:
        value = bootstrap.weighted_ratio(once, top, bottom)[0]
        samples = bootstrap.weighted_ratio(weights, top, bottom)
        add(measure, n, float(value), samples, emotion)
        return samples

    of_class = np.isin(label, CLASSES)
    labelled = of_class | (label == OTHER)
    f1: list[tuple[float, Array]] = []
    for emotion in CLASSES:
        said, true = parsed == emotion, label == emotion
        hit = (said & true).astype(float)
        support = int(true.sum())
        ratio("precision", hit, (said & of_class).astype(float), emotion, int((said & of_class).sum()))
        ratio("precision_with_other", hit, (said & labelled).astype(float), emotion, int((said & labelled).sum()))
        ratio("recall", hit, true.astype(float), emotion, support)
        samples = ratio("f1", 2 * hit, (said & of_class).astype(float) + true, emotion, support)
        if support:
            f1.append((float(rows[-1]["value"] or 0.0), np.nan_to_num(samples)))
        add("support", support, float(support), None, emotion)
    total = int(of_class.sum())
    ratio("accuracy", ((parsed == label) & of_class).astype(float), of_class.astype(float), ALL, total)
    if f1:
        macro = np.mean([samples for _, samples in f1], axis=0)
        add("macro_f1", total, float(np.mean([value for value, _ in f1])), macro, ALL)
    ratio("coverage", ((parsed != NONE) & of_class).astype(float), of_class.astype(float), ALL, total)
    for truth in (*CLASSES, OTHER):
        for emotion in (*CLASSES, NONE):
            count = int(((label == truth) & (parsed == emotion)).sum())
            add("confusion", int((label == truth).sum()), float(count), None, truth, emotion)
    scores = {
        "valence": np.asarray([VALENCE.get(name, np.nan) for name in data.parsed]),
        "arousal": np.asarray([AROUSAL.get(name, np.nan) for name in data.parsed]) + data.arousal_shift,
    }
    for name, score in scores.items():
        values: Array = getattr(data, name)
        if np.isnan(values).all():
            continue
        for emotion in (*CLASSES, NONE):
            chosen = np.where(parsed == emotion, values, np.nan)
            n = int((~np.isnan(chosen)).sum())
            mean = float(bootstrap.weighted_mean(once, chosen)[0]) if n else None
            add(name, n, mean, bootstrap.weighted_mean(weights, chosen) if n else None, emotion)
        both = int((~(np.isnan(values) | np.isnan(score))).sum())
        if both:
            value = float(bootstrap.weighted_spearman(once, score, values)[0])
            add(f"spearman_{name}", both, value, bootstrap.weighted_spearman(weights, score, values), ALL)
    return rows


def write_parser_table(evaluation: Evaluation, references: Mapping[str, Path], parquet_out: Path, md_out: Path) -> None:
    """Measure the parser on every test corpus that has human captions (rule ``parser_table``).

    Args:
        evaluation: Resamples and seed of the bootstrap; clusters are utterances of one caption, strata
            the labels.
        references: Test corpus -> ``labels`` artifact; a corpus whose captions the project wrote is left out.
        parquet_out: ``parser`` artifact.
        md_out: The same table as Markdown.

    Raises:
        ArtifactError: An input is not the artifact it should be.
    """
    rows = []
    for corpus, path in by_people(references).items():
        labels = artifacts.read_rows(path, "labels")
        for language, texts in texts_by_language(labels).items():
            for row in measure(read_captioned(labels, texts, language), evaluation):
                rows.append({"corpus": corpus, "language": language, **row})
    artifacts.write(rows, parquet_out, "parser", RULE)
    artifacts.write_text(render_markdown(rows), md_out)


def render_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the ``parser`` artifact as Markdown: classes, confusion, valence and arousal per corpus and language."""
    lines = ["# The emotion grammar parser on human captions", ""]
    for corpus, language in dict.fromkeys((row["corpus"], row["language"]) for row in rows):
        own = [row for row in rows if (row["corpus"], row["language"]) == (corpus, language)]
        at = {(row["measure"], row["emotion"], row["parsed"]): row for row in own}
        lines += [f"## {corpus}, captions in '{language}'", ""]
        columns = ("precision", "precision_with_other", "recall", "f1")
        body = [[e, *(worded(at.get((m, e, ""))) for m in columns), str(at["support", e, ""]["n"])] for e in CLASSES]
        titles = ("class", "precision", "precision, 'other' counted", "recall", "F1", "support")
        lines += markdown_table("lrrrrr", titles, body)
        whole = ((name, at.get((name, ALL, ""))) for name in ("accuracy", "macro_f1", "coverage"))
        lines += [", ".join(f"{name} {worded(row)}" for name, row in whole if row is not None) + ".", ""]
        heads = (*CLASSES, NONE)
        counts = [[t, *(f"{at['confusion', t, p]['value']:.0f}" for p in heads)] for t in (*CLASSES, OTHER)]
        lines += ["Rows: label; columns: dominant emotion as parsed.", ""]
        lines += markdown_table("l" + "r" * len(heads), ("label", *heads), counts)
        if dimensions := [name for name in ("valence", "arousal") if (name, NONE, "") in at]:
            means = [
                [e, *(worded(at[d, e, ""]) for d in dimensions), str(max(at[d, e, ""]["n"] for d in dimensions))]
                for e in heads
            ]
            parts = ("parsed as", *(f"mean {d}" for d in dimensions), "n")
            lines += markdown_table("l" + "r" * (len(parts) - 1), parts, means)
            for d in dimensions:
                if row := at.get((f"spearman_{d}", ALL, "")):
                    lines.append(f"Spearman, {d} of the parsed emotion with the label: {worded(row)}, n = {row['n']}.")
            lines.append("")
    lines.append("Brackets: 95 % bootstrap, stratified by label, clustered by caption.")
    return "\n".join(lines) + "\n"
