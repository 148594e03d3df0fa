"""What becomes of a caption that asserts an emotion which is in doubt (ours; ``decoding.doubt``).

The emotion that a caption asserts is sure where it is the tagger's, and the tagger's calibrated probability of it
reaches ``below``. Of any other emotion the tagger thinks less. A caption in doubt is hedged where the clue parser reads
the emotion, or gives way to the template caption of the tags that are sure, which asserts nothing else. An LLM that is
forbidden the words of emotion is not used (docs/method.md): it may say as much in words that no lexicon has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aligncap.clues.parser.grammar import dominant_emotion, find_mentions, parse_clues
from aligncap.clues.prompts import template_caption
from aligncap.config import Doubt
from aligncap.vocabulary import Clue, canonical

HEDGE = "perhaps"
# The phrase that ends in an emotion word may begin before it: "|with great joy", "|in a sad voice", "|her deep sorrow".
_PHRASE = re.compile(
    r"(?:\b(?:with|of|in|by|from)\s+)?\b(?:an?|the|his|her|their|its|some)\s+(?:[\w-]+\s+)?$"
    r"|\b(?:with|of|in|by|from)\s+(?:[\w-]+\s+)?$",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"[,.;:!?()—–]")


def in_doubt(caption: str, clues: Sequence[Clue], below: float) -> bool:
    """Return whether an English caption asserts an emotion that is not sure by the predicted clues of its clip."""
    if not any(clue.kind == "emotion" and not clue.negated for clue in parse_clues(caption)):
        return False
    sure = {canonical(clue.lemma) for clue in clues if clue.kind == "emotion" and clue.probability >= below}
    return dominant_emotion(caption) not in sure


def hedge(caption: str) -> str:
    """Put ``HEDGE`` before each phrase of an English caption that asserts an emotion, once between two commas.

    "The speaker sounds sad, talking slowly." becomes "The speaker sounds perhaps sad, talking slowly."
    """
    text = caption.strip()
    asserted = [m for m in find_mentions(text) if m.kind == "emotion" and not m.negated]
    places: list[int] = []
    for mention in sorted(asserted, key=lambda m: m.begin):
        begin = min(mention.begin, mention.modifier[0] if mention.modifier else mention.begin)
        phrase = _PHRASE.search(text[:begin])
        begin = phrase.start() if phrase else begin
        same_breath = bool(places) and not _PAUSE.search(text[places[-1] : begin])
        if not (mention.hedged or same_breath):
            places.append(begin)
    for place in reversed(places):
        before, after = text[:place], text[place:]
        if place == 0:
            text = f"{HEDGE.capitalize()} {after[0].lower()}{after[1:]}"
        else:
            text = f"{before}{HEDGE} {after}"
    return text


def settle(caption: str, finished: bool, clues: Sequence[Clue], doubt: Doubt) -> tuple[str, bool]:
    """Return the caption as ``doubt`` wants it, and whether it is a finished sentence.

    Args:
        caption: What the captioner generated.
        finished: Whether that ended with the end token.
        clues: Predicted clues of the clip, with their calibrated probabilities.
        doubt: Section ``decoding.doubt``.
    """
    if doubt.way == "say" or not in_doubt(caption, clues, doubt.below):
        return caption, finished
    if doubt.way == "hedge":
        return hedge(caption), finished
    return template_caption([clue for clue in clues if clue.probability >= doubt.below]), True
