"""Every clue of a caption by itself: what supports it, what contradicts it, what nothing decides."""

from __future__ import annotations

import pytest

from aligncap.clues.hallucination_checks import Truth, check
from aligncap.clues.parser.grammar import parse_clues

LOUD = Truth("angry", level="high", pitch="mid", rate="slow", intensity="strong", timbre="rough")


def said(caption, truth, kind=None):
    found = check(parse_clues(caption), truth)
    return [(a.word.lower(), a.verdict) for a in found if kind in (None, a.kind)]


@pytest.mark.parametrize(
    ("caption", "truth", "verdicts"),
    [
        ("The speaker sounds angry.", LOUD, [("angry", "supported")]),
        ("The speaker sounds sad.", LOUD, [("sad", "contradicted")]),
        ("The speaker sounds sad.", Truth("sad"), [("sad", "supported")]),
        ("The speaker sounds sad.", Truth(level="high"), [("sad", "not_checkable")]),
        ("A calm voice.", Truth("neutral"), [("calm", "supported")]),  # calm counts as neutral
        ("A worried voice.", Truth("fearful"), [("worried", "supported")]),
        ("A worried voice.", Truth("sad"), [("worried", "contradicted")]),
        # One label does not tell what else is in the voice; what dominates has to be the label's.
        ("Furious, slightly sad.", LOUD, [("furious", "supported"), ("sad", "not_checkable")]),
        ("Furious, slightly sad.", Truth("sad"), [("furious", "contradicted"), ("sad", "supported")]),
        ("Furious, slightly sad.", Truth("happy"), [("furious", "contradicted"), ("sad", "not_checkable")]),
        # Denials
        ("The speaker is not angry.", LOUD, [("angry", "contradicted")]),
        ("The speaker is not angry.", Truth("sad"), [("angry", "supported")]),
        ("The speaker is not angry.", Truth(), [("angry", "not_checkable")]),
        ("Not annoyed but furious.", LOUD, [("furious", "supported"), ("annoyed", "not_checkable")]),
        ("Not angry but sad.", LOUD, [("sad", "contradicted"), ("angry", "contradicted")]),
    ],
)
def test_emotions(caption, truth, verdicts):
    assert sorted(said(caption, truth, "emotion")) == sorted(verdicts)


@pytest.mark.parametrize(
    ("caption", "truth", "kind", "verdict"),
    [
        ("Speaking in a loud voice.", LOUD, "level", "supported"),
        ("Speaking in a quiet voice.", LOUD, "level", "contradicted"),
        ("The voice is not loud at all.", LOUD, "level", "contradicted"),
        ("The voice is not loud at all.", Truth(level="low"), "level", "supported"),
        ("Speaking in a loud voice.", Truth("angry"), "level", "not_checkable"),  # not measured
        ("Neither loud nor soft.", Truth(level="mid"), "level", "not_checkable"),  # nothing could contradict it
        ("Neither loud nor soft.", LOUD, "level", "not_checkable"),
        ("A high-pitched voice.", LOUD, "pitch", "not_checkable"),  # the middle third
        ("Speaking very fast.", LOUD, "rate", "contradicted"),
        ("Speaking slowly.", LOUD, "rate", "supported"),
        ("A gruff voice.", LOUD, "timbre", "supported"),
        ("A breathy voice.", LOUD, "timbre", "contradicted"),
        ("A breathy voice.", Truth(timbre="breathy"), "timbre", "supported"),
        ("A breathy voice.", Truth(timbre="clear"), "timbre", "not_checkable"),
        ("A breathy voice.", Truth("angry"), "timbre", "not_checkable"),  # not measured
        ("A hoarse voice.", LOUD, "timbre", "not_checkable"),  # not among the timbres that are measured
        ("A trembling voice.", LOUD, "timbre", "not_checkable"),
        ("Speaking with long pauses.", LOUD, "pause", "not_checkable"),
        ("The speaker is extremely angry.", LOUD, "intensity", "supported"),
        ("The speaker sounds slightly angry.", LOUD, "intensity", "contradicted"),
        ("The speaker sounds slightly angry.", Truth("angry", intensity="normal"), "intensity", "not_checkable"),
        ("The speaker is extremely angry.", Truth("angry", intensity="normal"), "intensity", "not_checkable"),
        ("The speaker is extremely angry.", Truth("angry"), "intensity", "not_checkable"),
        ("The speaker sounds slightly sad.", LOUD, "intensity", "not_checkable"),  # the degree of a wrong emotion
    ],
)
def test_voice_and_degree(caption, truth, kind, verdict):
    assert [found for _, found in said(caption, truth, kind)] == [verdict]


def test_three_emotions_of_which_none_dominates():
    caption = "Sad, happy, angry."
    label_among = dict(said(caption, LOUD, "emotion"))
    assert label_among == {"sad": "not_checkable", "happy": "not_checkable", "angry": "supported"}
    assert set(dict(said(caption, Truth("fearful"), "emotion")).values()) == {"contradicted"}


def test_a_caption_is_checked_clue_by_clue():
    assert said("Furious, in a rough voice, speaking quickly and loudly.", LOUD) == [
        ("furious", "supported"),
        ("loudly", "supported"),
        ("quickly", "contradicted"),
        ("rough", "supported"),
        ("furious", "supported"),  # its intensity
    ]
    assert said("", LOUD) == []
