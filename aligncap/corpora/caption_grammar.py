"""The caption grammar: captions from the known facts of a clip, which are emotion, intensity and voice. Ours.

The words are in ``wording.py``. A caption has 5 to 16 words. It names the emotion once and at most two vocal
attributes, none of which is "mid".
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aligncap.corpora.wording import GRAMMARS, EmotionWords, Grammar

WORDS = (5, 16)
SILENT_SHARE = 0.2  # captions that omit the voice although something is known of it
SINGLE_SHARE = 0.4  # captions that name one attribute of several
STRONG_NOUN = ("intense", "great")
WEAK_NOUN = ("a hint of", "a touch of", "a trace of")
WHOLLY = "completely"  # adverb for a phrase: "completely taken aback"
PREPOSITIONS = ("in ", "at ", "with ")
ATTRIBUTES = ("level", "rate", "pitch", "timbre")  # in the order that reads best


@dataclass(frozen=True)
class CaptionContent:
    """The facts that a caption may mention; None or a middle value is not mentioned."""

    emotion: str
    intensity: str = "normal"  # weak, normal or strong
    level: str | None = None
    pitch: str | None = None
    rate: str | None = None
    timbre: str | None = None


def write_caption(facts: CaptionContent, grammar: str, generator: random.Random) -> str:
    """Write one caption.

    Args:
        facts: Emotion and vocal attributes; the grammar must have words for the emotion.
        grammar: Key of ``wording.GRAMMARS``.
        generator: Random generator that chooses words and frames; equal states give equal captions.
    """
    words = GRAMMARS[grammar]
    while True:
        caption = _draw(facts, words, generator)
        if WORDS[0] <= len(caption.split()) <= WORDS[1]:
            return caption


def _draw(facts: CaptionContent, grammar: Grammar, generator: random.Random) -> str:
    known = [(kind, getattr(facts, kind)) for kind in ATTRIBUTES if getattr(facts, kind) not in (None, "mid")]
    if facts.timbre == "whispering":  # a whisper is always quiet and has no pitch
        known = [item for item in known if item[0] not in ("level", "pitch")]
    if len(known) > 1:
        count = 1 if generator.random() < SINGLE_SHARE else 2
        chosen = set(generator.sample(known, count))
        known = [item for item in known if item in chosen]
    bare = not known or generator.random() < SILENT_SHARE
    frame = generator.choice(grammar.bare_frames if bare else grammar.frames)
    emotion = grammar.emotions[facts.emotion]
    slots = {
        "adj": _adjective(emotion, facts.intensity, grammar, generator),
        "noun": _noun(emotion, facts.intensity, generator),
    }
    if not bare:
        values = [grammar.values[item] for item in known]
        adjectives = [generator.choice(value.voice) for value in values]
        slots["voice"], slots["voiced"] = ", ".join(adjectives), " and ".join(adjectives)
        # Of two adverbials the first is a plain one: "quietly at a low pitch", "quietly and slowly".
        adverbs = [value.adv[0] for value in values[:-1]] + [generator.choice(values[-1].adv)]
        slots["adv"] = _join(adverbs, before_preposition=" ")
        slots["clause"] = _join([generator.choice(value.clause) for value in values], before_preposition=", ")
    return _finish(frame.replace("A(n)", "a(n)").format(**slots))


def _adjective(words: EmotionWords, intensity: str, grammar: Grammar, generator: random.Random) -> str:
    plain = generator.choice(words.plain)
    if intensity == "strong":
        by_adverb = words.graded and generator.random() < 0.4
        adverb = WHOLLY if " " in plain else generator.choice(grammar.strong)
        return f"{adverb} {plain}" if by_adverb else generator.choice(words.strong)
    if intensity == "weak" and words.graded:
        return f"{generator.choice(grammar.weak)} {plain}"
    return plain


def _noun(words: EmotionWords, intensity: str, generator: random.Random) -> str:
    noun = generator.choice(words.nouns)
    if not words.graded or intensity == "normal":
        return noun
    return f"{generator.choice(STRONG_NOUN if intensity == 'strong' else WEAK_NOUN)} {noun}"


def _join(phrases: Sequence[str], before_preposition: str) -> str:
    """Join one or two phrases, by ``before_preposition`` where the second starts with a preposition, else by "and"."""
    return (before_preposition if phrases[-1].startswith(PREPOSITIONS) else " and ").join(phrases)


def _finish(text: str) -> str:
    text = re.sub(r"\ba\(n\) (?=(.))", lambda m: "an " if m.group(1) in "aeiou" else "a ", text)
    return text[0].upper() + text[1:]


def emotions(grammar: str) -> Sequence[str]:
    """Return the emotions for which a grammar has words."""
    return tuple(GRAMMARS[grammar].emotions)
