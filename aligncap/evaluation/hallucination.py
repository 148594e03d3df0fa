"""Emotion agreement, coverage and hallucination of one caption, as item metrics. Definitions are ours.

The definitions are in docs/judge.md; ``tests/data/hallucinations.yaml`` holds cases. Metrics that end in ``_2`` come
from the second instrument, which no training step used and which knows emotions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aligncap.clues.hallucination_checks import (
    Assertion,
    Truth,
    asserted_classes,
    check,
    faithfulness_flags,
    flags_of,
)
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues

METRICS = (
    "emotion_agreement",
    "coverage",
    "factuality_hallucination",
    "factuality_hallucination_covered",
    "asserted_clues",
    "contradicted_clues",
    "faithfulness_hallucination",
)
PROSODIC = ("level", "pitch", "rate")
SECOND = (
    "emotion_agreement_2",
    "coverage_2",
    "factuality_hallucination_2",
    "factuality_hallucination_covered_2",
)


@dataclass(frozen=True)
class Verdict:
    """The findings about one caption.

    Attributes:
        dominant: Dominant emotion of the caption, one of ``CLASSES``; None where it has none or several unresolved.
        flags: Hallucinations, each ``kind: words``; factuality first.
        values: Metric -> 0 or 1, or None where it does not apply. Agreement and factuality do not apply where nothing
            is known of the utterance, ``factuality_hallucination_covered`` where the caption asserts no emotion (so
            that an empty statement is no success). ``asserted_clues`` counts the caption's clues that could be checked
            (emotion, level, pitch, rate: 0 to 4), and ``contradicted_clues`` is the share of them that contradict.
        assertions: Every clue of the caption, checked by itself.
    """

    dominant: str | None
    flags: tuple[str, ...]
    values: dict[str, float | None]
    assertions: tuple[Assertion, ...]


def examine(
    caption: str,
    truth: Truth,
    transcript: str,
    references: Sequence[str],
    finished: bool = True,
    language: str | None = "en",
) -> Verdict:
    """Check one caption for its emotion and its hallucinations.

    Args:
        caption: Caption of a system.
        truth: Label and measured prosody of the utterance.
        transcript: Transcript of the utterance; empty where unknown.
        references: Human captions of the utterance; may be empty.
        finished: Whether the end token was generated.
        language: Language of the captions. Faithfulness reads English only; None, which stands for a language without
            an emotion grammar, finds nothing, and no metric applies.
    """
    if language is None:
        return Verdict(None, (), dict.fromkeys(METRICS), ())
    clues = parse_clues(caption, language)
    dominant = dominant_emotion(clues)
    assertions = check(clues, truth)
    wrong = flags_of(assertions, clues, truth)
    unfaithful = faithfulness_flags(caption, transcript, references, finished) if language == "en" else []
    covered = bool(asserted_classes(clues))
    factuality = float(bool(wrong)) if truth.comparable else None
    said = {clue.kind for clue in clues}
    contradicted = {flag.partition(":")[0] for flag in wrong} - {"intensity"}  # a degree is part of its emotion
    asserted = contradicted | {kind for kind in PROSODIC if kind in said and getattr(truth, kind) is not None}
    if covered and truth.emotion is not None:
        asserted.add("emotion")
    values: dict[str, float | None] = {
        "emotion_agreement": None if truth.emotion is None else float(dominant == truth.emotion),
        "coverage": float(covered),
        "factuality_hallucination": factuality,
        "factuality_hallucination_covered": factuality if covered else None,
        "asserted_clues": float(len(asserted)) if truth.comparable else None,
        "contradicted_clues": len(contradicted) / len(asserted) if truth.comparable and asserted else None,
        "faithfulness_hallucination": float(bool(unfaithful)) if language == "en" else None,
    }
    return Verdict(dominant, (*wrong, *unfaithful), values, tuple(assertions))


def second_values(dominant: str | None, emotion: str | None, labels: Sequence[str]) -> dict[str, float | None]:
    """Return the metrics ``SECOND`` of one caption.

    Args:
        dominant: Emotion that the second instrument finds in the caption; None where it is unsure.
        emotion: Class of the label; None where unknown.
        labels: Classes that the instrument knows; for other labels it cannot tell whether a caption is right.
    """
    asserts = dominant is not None
    known = emotion is not None and emotion in labels
    wrong = float(asserts and dominant != emotion)
    return {
        "emotion_agreement_2": float(dominant == emotion) if known else None,
        "coverage_2": float(asserts),
        "factuality_hallucination_2": wrong if known else None,
        "factuality_hallucination_covered_2": wrong if known and asserts else None,
    }
