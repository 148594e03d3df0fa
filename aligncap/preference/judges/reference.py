"""The judge ``reference``: without an LLM it compares a caption with label, gold clues, prosody and references.

The scale is that of the rubric in docs/judge.md, 1 to 5 for factuality and for faithfulness; points and weights are
ours. Candidates are judged by facts of training corpora. Facts of a test corpus are used only to score its captions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aligncap.clues.hallucination_checks import asserted_classes, factuality_flags, faithfulness_flags
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.config import Compute, Judge
from aligncap.preference.facts import ClipFacts, JudgedCaption, Opinion, in_blocks
from aligncap.progress import track
from aligncap.vocabulary import Clue

SILENT = 2.0  # factuality of a caption without any clue, equal to that of a wrong emotion of the right valence
EMOTION_POINTS = {"right": 1.5, "among": 0.5, "silent": -0.5, "wrong": -1.5}
CLUE_POINTS, CLUE_SHARE = 0.5, 1.0  # points of a supported or contradicted clue, and the limit of their sum
PENALTIES = {
    "transcript": 2.0,
    "unfinished": 2.0,
    "off_instruction": 2.0,
    "repetition": 2.0,
    "event": 1.5,
    "person": 1.5,
    "place": 1.0,
    "gender": 1.0,
    "persona": 1.0,
}
LONG, SHORT = 1.5, 0.5  # ratios of the number of words to the reference's beyond which points are lost
VALENCE = {"happy": 1, "surprised": 0, "neutral": 0, "angry": -1, "sad": -1, "fearful": -1, "disgusted": -1}


def _clip(value: float) -> float:
    return min(5.0, max(1.0, value))


def _grade_emotion(clues: Sequence[Clue], emotion: str) -> tuple[float, str]:
    dominant, asserted = dominant_emotion(clues), asserted_classes(clues)
    if dominant == emotion:
        return EMOTION_POINTS["right"], f"says {emotion}, as labelled"
    if emotion in asserted:
        return EMOTION_POINTS["among"], f"names {emotion}, but {dominant or 'nothing'} dominates"
    if not asserted:
        return EMOTION_POINTS["silent"], f"asserts no emotion; the label is {emotion}"
    said = dominant or asserted[0]
    near = 0.5 if VALENCE[said] == VALENCE[emotion] else 0.0
    return EMOTION_POINTS["wrong"] + near, f"says {said} where the label is {emotion}"


def _grade_clues(clues: Sequence[Clue], facts: ClipFacts) -> tuple[float, list[str]]:
    """Compute the points of the vocal clues and intensity, compared with the gold clues, label and measurement."""
    gold = {(c.kind, c.lemma) for c in facts.gold if not c.negated and c.kind != "emotion"}
    measured = {(kind, getattr(facts.truth, kind)) for kind in ("level", "pitch", "rate")}
    wrong_kinds = {flag.split(":")[0] for flag in factuality_flags(clues, facts.truth)} - {"emotion"}
    points, reasons = 0.0, []
    for clue in clues:
        if clue.kind == "emotion" or clue.negated:
            continue
        key = (clue.kind, clue.lemma)
        same_kind = {lemma for kind, lemma in gold if kind == clue.kind}
        if key in gold or key in measured or (clue.kind == "intensity" and clue.lemma == facts.truth.intensity):
            points += CLUE_POINTS
            reasons.append(f"'{clue.word}' is supported")
        elif clue.kind in wrong_kinds or (same_kind and clue.kind in ("level", "pitch", "rate", "intensity")):
            points -= CLUE_POINTS
            reasons.append(f"'{clue.word}' contradicts the clip")
    return max(-CLUE_SHARE, min(CLUE_SHARE, points)), reasons


def grade_factuality(caption: str, facts: ClipFacts) -> tuple[float, list[str]]:
    """Compute factuality, 1-5, with reasons: it is 3 plus the points of the emotion and of the other clues."""
    clues = parse_clues(caption)
    if not clues:
        return SILENT, ["asserts no clue"]
    score, reasons = 3.0, []
    if facts.emotion is not None:
        points, reason = _grade_emotion(clues, facts.emotion)
        score, reasons = score + points, [reason]
    points, more = _grade_clues(clues, facts)
    return _clip(score + points), [*reasons, *more]


def grade_faithfulness(caption: str, facts: ClipFacts, finished: bool) -> tuple[float, list[str]]:
    """Compute faithfulness, 1-5, with reasons: it is 5 minus penalties for flags and for an unusual length."""
    flags = faithfulness_flags(caption, facts.transcript, facts.references, finished)
    score = 5.0 - sum(PENALTIES[flag.split(":")[0]] for flag in flags)
    words = len(caption.split())
    usual = sum(len(text.split()) for text in facts.references) / max(1, len(facts.references))
    if usual:
        ratio = words / usual
        if ratio > LONG:
            score -= min(1.5, ratio - LONG)
            flags.append(f"length: {words} words where the reference has {usual:.0f}")
        elif ratio < SHORT:
            score -= 0.5
            flags.append(f"length: only {words} words where the reference has {usual:.0f}")
    return _clip(score), flags or ["nothing unsupported"]


def judge(
    caption: str, facts: ClipFacts, finished: bool, similarity: float | None, weights: tuple[float, float, float]
) -> Opinion:
    """Score one caption.

    Args:
        caption: Text of the caption.
        facts: ClipFacts of its utterance.
        finished: Whether the caption ended with the end token.
        similarity: Mean cosine similarity to the references, -1 to 1; None without references, and then its weight is
            shared by the other two.
        weights: Weights of similarity, factuality and faithfulness, which sum to 1.
    """
    factuality, why = grade_factuality(caption, facts)
    faithfulness, found = grade_faithfulness(caption, facts, finished)
    parts = [(weights[1], factuality), (weights[2], faithfulness)]
    if similarity is not None:
        parts.append((weights[0], 1 + 4 * min(1.0, max(0.0, similarity))))
    total = sum(weight for weight, _ in parts)
    overall = sum(weight * value for weight, value in parts) / total if total else (factuality + faithfulness) / 2
    alike = "no reference" if similarity is None else f"similarity {similarity:.2f}"
    return Opinion(factuality, faithfulness, overall, f"{'; '.join(why)} | {'; '.join(found)} | {alike}")


def score(settings: Judge, compute: Compute, items: Sequence[JudgedCaption], encoder_manifest: Path) -> list[Opinion]:
    """Return the opinions of the judge ``reference``, in the order of ``items``.

    Args:
        settings: Weights of the scores.
        compute: Threads of the sentence encoder.
        items: Captions with the facts of their utterances.
        encoder_manifest: Manifest of the sentence encoder.
    """
    import torch

    from aligncap.models.sentence_encoder import SentenceEncoder
    from aligncap.models.sources import model_folder

    torch.set_num_threads(compute.threads)
    encoder = SentenceEncoder(model_folder(encoder_manifest))
    weights = (settings.similarity_weight, settings.factuality_weight, settings.faithfulness_weight)

    def opinions() -> Iterator[tuple[int, Opinion]]:
        for block in in_blocks(items):
            own = [items[place] for place in block]
            texts = sorted({item.caption for item in own} | {text for item in own for text in item.facts.references})
            vectors = dict(zip(texts, encoder.encode(texts), strict=True))
            for place, item in zip(block, own, strict=True):
                alike = [float(vectors[item.caption] @ vectors[text]) for text in item.facts.references]
                similarity = float(np.mean(alike)) if alike else None
                yield place, judge(item.caption, item.facts, item.finished, similarity, weights)

    found = dict(track(opinions(), "judge", len(items)))
    return [found[place] for place in range(len(items))]
