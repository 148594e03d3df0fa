"""Captions to judge, with what is known of their clips."""

from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import parse_clues
from aligncap.preference.facts import ClipFacts, JudgedCaption

REFERENCE = "The speaker sounds very sad, with a quiet voice."


def facts(emotion="sad", transcript='she said "no"\nto me'):
    truth = Truth(emotion, level="low", intensity="strong")
    return ClipFacts(truth, tuple(parse_clues(REFERENCE)), transcript, (REFERENCE,))


def items(count, clips=1):
    """``count`` captions, dealt to ``clips`` clips in turn."""
    return [JudgedCaption("tiny", f"u{n % clips}", f"caption number {n}", True, facts()) for n in range(count)]
