"""Accuracy and calibration of the clue tagger, by clue kind. Definitions are ours.

Rows have three settings. ``speaker`` and ``corpus`` are out-of-fold predictions on the training corpora (new speakers
of a known corpus, a corpus left out whole); ``test`` is the saved tagger on a test corpus. Where the text clue is
joined, rows of ``text`` and ``joined`` stand beside those of ``voice``. The labels of a test corpus are read here and
nowhere on the model side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.prompts import read_transcripts
from aligncap.clues.tagger.heads import LABELS
from aligncap.clues.tagger.model import UNINFORMATIVE, Tagger, Tags
from aligncap.clues.tagger.prediction import predict_corpus, read_out_of_fold
from aligncap.clues.tagger.training import targets_of
from aligncap.clues.text_clue import TextClue, join
from aligncap.config import Evaluation, TaggerSettings
from aligncap.evaluation import bootstrap
from aligncap.evaluation.wording import markdown_table, worded
from aligncap.job import By, ByCorpus

Array = NDArray[np.float64]

BINS = 10
LEAST_CLUSTERS = 10
SHOWN = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "ece": "ECE",
    "brier": "Brier",
    "coverage": "kept",
    "accuracy_kept": "accuracy of kept",
}


@dataclass(frozen=True)
class ScoredTags:
    """Predictions of one clue kind on clips with a known label.

    Attributes:
        right: Whether the likeliest tag is the label, [N].
        confidence: Probability of the likeliest tag, [N].
        brier: Sum over tags of (probability - 1 where it is the label)², 0-2, [N].
        kept: Whether the tag becomes a clue, that is reaches the threshold and is none of ``UNINFORMATIVE``, [N].
        targets: Labels, [N].
        clusters: Clusters that the bootstrap draws whole, [N].
    """

    right: Array
    confidence: Array
    brier: Array
    kept: Array
    targets: list[str]
    clusters: list[str]


def score_kind(
    predicted: Mapping[str, Tags], targets: Mapping[str, str], clusters: Mapping[str, str], kind: str, threshold: float
) -> ScoredTags:
    """Compare predictions with labels; clips without a label or a prediction of the kind are left out.

    Args:
        predicted: Utterance id -> kind -> label -> probability.
        targets: Utterance id -> label, "" where unknown.
        clusters: Utterance id -> bootstrap cluster.
        kind: Clue kind.
        threshold: Probability from which a tag of this kind becomes a clue.
    """
    ids = [key for key, tags in predicted.items() if targets.get(key) and kind in tags]
    tags = [predicted[key][kind] for key in ids]
    best = [max(own.items(), key=lambda tag: tag[1]) for own in tags]
    confidence = np.array([probability for _, probability in best], dtype=np.float64)
    brier = [
        sum(p * p for p in own.values()) - 2 * own.get(targets[key], 0.0) + 1
        for key, own in zip(ids, tags, strict=True)
    ]
    return ScoredTags(
        np.array([label == targets[key] for key, (label, _) in zip(ids, best, strict=True)], dtype=np.float64),
        confidence,
        np.array(brier, dtype=np.float64),
        np.array([p >= threshold and label not in UNINFORMATIVE for label, p in best], dtype=np.float64),
        [targets[key] for key in ids],
        [clusters[key] for key in ids],
    )


def _bins(confidence: Array) -> NDArray[np.int64]:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def calibration_error(weights: Array, scored: ScoredTags) -> Array:
    """Return the expected calibration error of the likeliest tag, in ten bins of equal width (Guo et al. 2017).

    ``ECE = Σ_b (n_b / N) |accuracy_b - confidence_b|`` under each row of weights [B, N]; returns [B]. With few clips
    it is biased upwards, because the absolute difference of a bin is never negative.
    """
    member = (_bins(scored.confidence)[:, None] == np.arange(BINS)).astype(np.float64)
    gap = weights @ (member * (scored.right - scored.confidence)[:, None])
    return np.abs(gap).sum(axis=1) / weights.sum(axis=1)


def measures(weights: Array, scored: ScoredTags) -> dict[str, Array]:
    """Return each of ``SHOWN`` under each row of weights [B, N], as arrays [B]."""
    return {
        "accuracy": bootstrap.weighted_mean(weights, scored.right),
        "macro_recall": bootstrap.weighted_macro(weights, scored.right, scored.targets),
        "ece": calibration_error(weights, scored),
        "brier": bootstrap.weighted_mean(weights, scored.brier),
        "coverage": bootstrap.weighted_mean(weights, scored.kept),
        "accuracy_kept": bootstrap.weighted_ratio(weights, scored.right * scored.kept, scored.kept),
    }


def figures(scored: ScoredTags, evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return metric, value and 95 % interval; a metric that is undefined (no tag is kept) is left out."""
    n = len(scored.targets)
    if not n:
        return []
    weights = bootstrap.resample_weights(scored.clusters, scored.targets, evaluation.bootstrap, evaluation.seed)
    whole, resampled = measures(np.ones((1, n)), scored), measures(weights, scored)
    rows = []
    for metric in SHOWN:
        if not np.isnan(whole[metric][0]):
            count = int(scored.kept.sum()) if metric == "accuracy_kept" else n
            rows.append({"metric": metric, **bootstrap.figure(whole[metric][0], resampled[metric], count)})
    return rows


def reliability(scored: ScoredTags) -> list[dict[str, Any]]:
    """Return bounds, mean confidence, accuracy and number of clips of each bin of confidence that has a clip."""
    number = _bins(scored.confidence)
    return [
        {
            "bin_low": b / BINS,
            "bin_high": (b + 1) / BINS,
            "confidence": float(scored.confidence[number == b].mean()),
            "accuracy": float(scored.right[number == b].mean()),
            "n": int((number == b).sum()),
        }
        for b in range(BINS)
        if (number == b).any()
    ]


def clusters_of(audio: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return utterance id -> bootstrap cluster: ten or more speakers, else so many sessions, else single clips."""
    for column in ("speaker", "session"):
        if all(row[column] for row in audio) and len({row[column] for row in audio}) >= LEAST_CLUSTERS:
            return {row["utterance_id"]: row[column] for row in audio}
    return {row["utterance_id"]: row["utterance_id"] for row in audio}


@dataclass(frozen=True)
class TaggerInputs:
    """The input files of the tagger table; mappings are keyed by corpus, training corpora first.

    Attributes:
        predictions: ``tagger_predictions`` artifacts, each of one kind of folds.
        weights: Safetensors of ``train_tagger``.
        references: ``labels`` artifacts with human labels.
        prosody: ``prosody`` artifacts.
        timbre: ``timbre`` artifacts.
        audio: ``audio`` artifacts, for speakers and sessions.
        transcripts: ``transcripts`` artifacts, for the text clue.
        features: Features of the test corpora, on which the saved tagger predicts here.
        encoder: Manifest of the sentence encoder; None where the text clue is off.
    """

    predictions: Sequence[Path]
    weights: Path
    references: ByCorpus
    prosody: ByCorpus
    timbre: ByCorpus
    audio: ByCorpus
    transcripts: ByCorpus
    features: Annotated[Mapping[str, Path], By("test")]
    encoder: Path | None


class TaggerTables(NamedTuple):
    """The ``tagger_table`` artifact (whose notes tell whether test audio was used), ``reliability``, and Markdown."""

    table: Path
    bins: Path
    md: Path


def write_tagger_table(
    tagger: TaggerSettings, evaluation: Evaluation, inputs: TaggerInputs, outputs: TaggerTables
) -> None:
    """Write the accuracy and calibration of the clue tagger (rule ``tagger_table``).

    Args:
        tagger: Normalisation, threshold and text clue.
        evaluation: Resamples and seed of the bootstrap.
        inputs: Input files.
        outputs: Target files.
    """
    known = targets_of(inputs.references, inputs.prosody, inputs.timbre)
    clue = _text_clue(inputs.encoder)
    model = Tagger.load(inputs.weights)
    parts: list[tuple[str, str, dict[str, Tags]]] = []
    for path in inputs.predictions:
        notes = artifacts.read_notes(path, "tagger_predictions")
        for corpus in (c for c in inputs.audio if c not in inputs.features):
            parts.append((corpus, notes["folds"], read_out_of_fold(path, corpus)))
    for corpus, path in inputs.features.items():
        heard = path, inputs.prosody[corpus], inputs.audio[corpus]
        predicted = predict_corpus(model, *heard, corpus, tagger)
        parts.append((corpus, "test", predicted))
    rows, lines = [], []
    for corpus, setting, predicted in parts:
        clusters = clusters_of(artifacts.read_rows(inputs.audio[corpus], "audio"))
        said = read_transcripts(inputs.transcripts[corpus])
        for source, own in _sources(predicted, said, clue, tagger.text_weight).items():
            for kind in LABELS if source == "voice" else ("emotion",):
                targets = {key: known.get((corpus, key), {}).get(kind, "") for key in own}
                scored = score_kind(own, targets, clusters, kind, tagger.threshold)
                where = {"corpus": corpus, "setting": setting, "source": source, "kind": kind}
                rows += [where | figure for figure in figures(scored, evaluation)]
                lines += [where | line for line in reliability(scored)]
    transductive = tagger.normalise != "train"
    facts = {"normalise": tagger.normalise, "transductive": transductive}
    artifacts.write(rows, outputs.table, "tagger_table", "tagger_table", facts)
    artifacts.write(lines, outputs.bins, "reliability", "tagger_table")
    artifacts.write_text(render_markdown(rows, lines, transductive), outputs.md)


def _text_clue(encoder: Path | None) -> TextClue | None:
    if encoder is None:
        return None
    from aligncap.models.sentence_encoder import SentenceEncoder
    from aligncap.models.sources import model_folder

    return TextClue(SentenceEncoder(model_folder(encoder)))


def _sources(
    predicted: dict[str, Tags], said: Mapping[str, str], clue: TextClue | None, weight: float
) -> dict[str, Mapping[str, Tags]]:
    """Return the voice's predictions, and with a text clue also the text's emotion predictions and the joined ones."""
    if clue is None:
        return {"voice": predicted}
    ids = [key for key, tags in predicted.items() if "emotion" in tags]
    texts = dict(zip(ids, clue.tags([said.get(key, "") for key in ids]), strict=True))
    return {
        "voice": predicted,
        "text": {key: {"emotion": texts[key]} for key in ids},
        "joined": {key: {"emotion": join(predicted[key]["emotion"], texts[key], weight)} for key in ids},
    }


def render_markdown(rows: Sequence[Mapping[str, Any]], bins: Sequence[Mapping[str, Any]], transductive: bool) -> str:
    """Return one table of figures and one of reliability bins, with a line per corpus, setting, source and kind."""
    line_heads = ("corpus", "setting", "source", "kind")
    found: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in line_heads), {})[row["metric"]] = row
    body = (
        [*where, str(own["accuracy"]["n"]), *(worded(own.get(metric), 3) for metric in SHOWN)]
        for where, own in found.items()
    )
    lines = ["# Clue tagger", ""]
    lines += markdown_table("llllr" + "r" * len(SHOWN), (*line_heads, "n", *SHOWN.values()), body)
    lines += [
        "- setting: `speaker` and `corpus` are out of fold by speaker and by corpus, on training corpora; `test` "
        "is the saved tagger on a test corpus"
        + (", normalised with its own audio (transductive)." if transductive else "."),
        "- kept: share of clips whose likeliest tag becomes a clue (reaches the threshold; mid, normal and clear say "
        "nothing); Brier is summed over tags (0-2).",
        "- Brackets: 95 % bootstrap, stratified by label, by speakers or sessions where there are ten, else by clips.",
        "",
        "## Reliability of the emotion",
        "",
    ]
    reliable = (
        [
            *(row[name] for name in line_heads[:3]),
            f"{row['bin_low']:.1f}-{row['bin_high']:.1f}",
            str(row["n"]),
            f"{row['confidence']:.2f}",
            f"{row['accuracy']:.2f}",
        ]
        for row in bins
        if row["kind"] == "emotion"
    )
    lines += markdown_table("llllrrr", (*line_heads[:3], "confidence", "n", "mean confidence", "accuracy"), reliable)
    return "\n".join(lines)
