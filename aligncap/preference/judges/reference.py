"""The embedded judge: compares a candidate with label, gold clues, measured prosody and reference, without an LLM.

The scale is that of the rubric in docs/judge.md, 1 to 5 for factuality and for faithfulness; numbers and weights are
ours. Candidates are judged by what training corpora say; captions of a test corpus on the scoring side only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aligncap.clues.hallucination_checks import asserted_classes, factuality_flags, faithfulness_flags
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.config import Compute, Judge
from aligncap.preference.facts import Facts, Item, Opinion
from aligncap.progress import track
from aligncap.vocabulary import Clue

SILENT = 2.0  # a caption without any clue: as good as a wrong emotion of the right valence
EMOTION_POINTS = {"right": 1.5, "among": 0.5, "silent": -0.5, "wrong": -1.5}
CLUE_POINTS, CLUE_SHARE = 0.5, 1.0  # a supported or contradicted clue, and the most that all of them may move
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
LONG, SHORT = 1.5, 0.5  # ratios of words to the reference's from which length costs points
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


def _grade_clues(clues: Sequence[Clue], facts: Facts) -> tuple[float, list[str]]:
    """Points for level, pitch, rate, timbre, pause and intensity, against gold clues first, then the measurement."""
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


def grade_factuality(caption: str, facts: Facts) -> tuple[float, list[str]]:
    """Factuality 1-5 with reasons: 3 plus points for the emotion and for every other clue."""
    clues = parse_clues(caption)
    if not clues:
        return SILENT, ["asserts no clue"]
    score, reasons = 3.0, []
    if facts.emotion is not None:
        points, reason = _grade_emotion(clues, facts.emotion)
        score, reasons = score + points, [reason]
    points, more = _grade_clues(clues, facts)
    return _clip(score + points), [*reasons, *more]


def grade_faithfulness(caption: str, facts: Facts, finished: bool) -> tuple[float, list[str]]:
    """Faithfulness 1-5 with reasons: 5 less a penalty for each flag and for an unlike length."""
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
    caption: str, facts: Facts, finished: bool, similarity: float | None, weights: tuple[float, float, float]
) -> Opinion:
    """Score one candidate.

    Args:
        caption: the candidate.
        facts: of its utterance.
        finished: the end token came.
        similarity: mean cosine with the references, -1 to 1; None where there is no reference, and then its weight
            goes to the other two.
        weights: of similarity, factuality and faithfulness; they add up to 1.
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


def score(settings: Judge, compute: Compute, items: Sequence[Item], encoder_manifest: Path) -> list[Opinion]:
    """Opinions of the reference judge, in the order of ``items``.

    Args:
        settings: the weights.
        compute: threads of the sentence encoder.
        items: captions with what is known of their clips.
        encoder_manifest: sentence encoder.
    """
    import torch

    from aligncap.models.sentence_encoder import SentenceEncoder
    from aligncap.models.sources import model_folder

    torch.set_num_threads(compute.threads)
    texts = sorted({item.caption for item in items} | {text for item in items for text in item.facts.references})
    encoder = SentenceEncoder(model_folder(encoder_manifest))
    vectors = dict(zip(texts, encoder.encode(texts), strict=True)) if texts else {}
    weights = (settings.similarity_weight, settings.factuality_weight, settings.faithfulness_weight)
    opinions = []
    for item in track(items, "judge"):
        alike = [float(vectors[item.caption] @ vectors[text]) for text in item.facts.references]
        similarity = float(np.mean(alike)) if alike else None
        opinions.append(judge(item.caption, item.facts, item.finished, similarity, weights))
    return opinions
