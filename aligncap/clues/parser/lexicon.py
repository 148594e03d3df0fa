"""The lexicon of emotion and voice words: the phrases of ``words.py``, and the NRC emotion words of ``nrclex``.

The entries of ``words.py`` have priority. An NRC word is used only as an adjective, only when NRC gives it exactly one
of six basic emotions, and only as a cue that yields to a word of ``words.py``. The reason is that NRC was crowd-sourced
word by word, and lists nouns and verbs ("music", "fighting") for what they evoke, not for what a speaker feels.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aligncap.clues.parser import words

NRC_CLASSES = {
    "joy": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "disgust": "disgusted",
    "surprise": "surprised",
}
NRC_POS = "ADJ"
# NRC words that express no emotion in a caption of a voice.
NRC_STOP = frozenset(
    "young white green black dark deep small weak sharp sudden good clean true perfect pretty clear sweet cold hard "
    "evident ready close well full even thin strange sick ill open sure blunt crude faint cutting rising falling "
    "unable fine fitting important playing speaking talking wild tight heavy outward spoken interrupted accidentally "
    "suddenly obvious mistaken lifted saved agitated "
    "absent special unknown unimportant moral beautiful excellent "
    "older late dynamic occasional infrequent variable changeable unpredictable unique palpable overt noisy dominant "
    "abrupt erratic negative engaged engaging authentic intimate distracted".split()
)

NORMAL, CALM, CUE = 1.0, 0.8, 0.4  # weights of emotion words: other emotions outweigh calm ones, and both outweigh cues
GAP = "~"


@dataclass(frozen=True)
class Entry:
    """An entry of the lexicon: the meaning of a word or phrase.

    Attributes:
        kind: Clue kind.
        value: Canonical value: an ``EMOTIONS`` label, "high", "trembling" …
        intensity: "strong" for words that are intense by themselves, else "normal".
        weight: Firmness with which an emotion word asserts its emotion, 0-1; 1 for other kinds.
    """

    kind: str
    value: str
    intensity: str = "normal"
    weight: float = NORMAL


@dataclass(frozen=True)
class Pattern:
    """A phrase of the lexicon: its words (``~`` is up to two others), its required part of speech, and its entry."""

    words: tuple[str, ...]
    pos: str | None
    entry: Entry


def parse_item(item: str) -> tuple[tuple[str, ...], str | None, str]:
    """Split one item of ``words.py`` into its words, its part of speech and its marks ("", "!", "?" or both)."""
    bare = item.rstrip("!?")
    body, _, pos = bare.partition("/")
    return tuple(body.split("_")), pos or None, item[len(bare) :]


def _entries() -> Iterator[tuple[str, Pattern]]:
    for label, text in words.EMOTION_WORDS.items():
        normal = CALM if label in ("neutral", "calm") else NORMAL
        for item in text.split():
            phrase, pos, mark = parse_item(item)
            entry = Entry("emotion", label, "strong" if "!" in mark else "normal", CUE if "?" in mark else normal)
            yield "emotion", Pattern(phrase, pos, entry)
    for (kind, value), text in words.ATTRIBUTE_WORDS.items():
        for item in text.split():
            phrase, pos, _ = parse_item(item)
            yield kind, Pattern(phrase, pos, Entry(kind, value))
    for value, text in words.INTENSITY.items():
        for item in text.split():
            phrase, pos, _ = parse_item(item)
            yield "intensity", Pattern(phrase, pos, Entry("intensity", value))


@lru_cache(maxsize=1)
def patterns() -> dict[str, dict[str, list[Pattern]]]:
    """Return the patterns by kind and first word, the longest first."""
    index: dict[str, dict[str, list[Pattern]]] = {}
    for kind, pattern in _entries():
        index.setdefault(kind, {}).setdefault(pattern.words[0], []).append(pattern)
    for by_first in index.values():
        for found in by_first.values():
            found.sort(key=lambda p: -len(p.words))
    return index


@lru_cache(maxsize=1)
def nrc() -> Mapping[str, str]:
    """Return the emotion class of each NRC word that is unambiguous and not in ``words.py``."""
    text = (importlib.resources.files("nrclex") / "data" / "nrc_en.json").read_text(encoding="utf-8")
    known = {word for by_first in patterns().values() for first in by_first.values() for p in first for word in p.words}
    scale = {
        word for group in (words.SCALE_WORDS, words.DIMENSIONS) for text in group.values() for word in text.split()
    }
    kept = {}
    for word, labels in json.loads(text).items():
        classes = {NRC_CLASSES[label] for label in labels if label in NRC_CLASSES}
        if len(classes) == 1 and word not in known | scale | NRC_STOP:
            kept[word] = classes.pop()
    return kept


def stems(word: str) -> list[str]:
    """Return ``word`` and its possible stems without common endings, likeliest first: "angrily" gives "angry"."""
    found = [word]
    for ending, replacements in (
        ("iest", ("y",)),
        ("est", ("", "e")),
        ("ier", ("y",)),
        ("ily", ("y",)),
        ("ly", ("", "le")),
        ("iness", ("y",)),
        ("ness", ("",)),
        ("ing", ("", "e")),
        ("ed", ("", "e")),
        ("s", ("",)),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            found += [word[: -len(ending)] + replacement for replacement in replacements]
    return found


def match(kind: str, forms: Sequence[tuple[str, ...]], pos: Sequence[str], start: int) -> tuple[Pattern, int] | None:
    """Find the longest pattern of ``kind`` that begins at token ``start``.

    Args:
        kind: Clue kind.
        forms: Text in lower case, lemma and stems of each token, in this order; the first match has priority.
        pos: Universal part-of-speech tag of each token.
        start: Index of the token.

    Returns:
        The pattern and the index after its last token, or None.
    """
    by_first = patterns().get(kind, {})
    best: tuple[Pattern, int] | None = None
    best_length = 0
    for form in forms[start]:
        for pattern in by_first.get(form, ()):
            if pattern.pos is not None and pos[start] != pattern.pos:
                continue
            end = _end(pattern.words, forms, start)
            length = len(pattern.words)
            if end is not None and length > best_length:
                best, best_length = (pattern, end), length
    return best


def _end(phrase: Sequence[str], forms: Sequence[tuple[str, ...]], start: int) -> int | None:
    if not phrase:
        return start
    if phrase[0] == GAP:
        return next((e for skip in (0, 1, 2) if (e := _end(phrase[1:], forms, start + skip)) is not None), None)
    if start < len(forms) and phrase[0] in forms[start]:
        return _end(phrase[1:], forms, start + 1)
    return None


@lru_cache(maxsize=4096)
def emotion_weight(word: str) -> float:
    """Return the weight of an emotion word of a caption; it is 1 for a tag or a word that is not in the lexicon."""
    tokens = word.lower().replace("-", " ").split()
    forms = [tuple(stems(token)) for token in tokens]
    found = [
        (p.entry.weight, len(p.words))
        for form in (forms[0] if forms else ())
        for p in patterns()["emotion"].get(form, ())
        if _end(p.words, forms, 0) is not None
    ]
    if found:
        return max(found, key=lambda pair: pair[1])[0]
    return CUE if word.lower() in nrc() else NORMAL
