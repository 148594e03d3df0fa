"""The emotion grammar for Chinese captions: the same clues as ``aligncap.clues.parser.grammar`` reads off English ones.

Chinese has no blanks between words and needs no tagger here: the caption is cut into the longest words that the lists
of ``words.py`` know, from left to right (maximum matching); characters that begin none are passed over. Clauses
end at punctuation. Within one, a negator denies what follows up to a contrast; the nearest degree word before an
emotion, or one just after it (不已, 极了), sets its intensity; a scale word belongs to the nearest noun before it that
it can measure (音调很高), or just after it (压低声音). What precedes a contrast (但, 却, 而是) is set aside, as are
concessions (虽然) and appearances (表面上, 故作). Ours.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from aligncap.clues.parser.chunks import Mention, set_aside, yields
from aligncap.clues.parser.lexicon import CALM, CUE, NORMAL, Entry
from aligncap.vocabulary import SCALES

from . import words as lists

SENTENCE = frozenset("。！？!?.\n")
CLAUSE = SENTENCE | frozenset("，；,;：:")
LIST = frozenset({"、", "和", "与", "及", "以及", "并", "也", "又"})
DISPLEASED = "不快"
REACH = 5  # words between a degree and its emotion, a negator and what it denies, a noun and its scale word
_UNABLE_TO = re.compile(f"({'|'.join(lists.UNABLE_TO.split())})*")


@dataclass(frozen=True)
class Word:
    """A word of the lists or a passed-over character: its text, where it stands, what it may be."""

    text: str
    begin: int
    roles: frozenset[str]
    entries: tuple[Entry, ...]

    @property
    def finish(self) -> int:
        """Offset after the last character."""
        return self.begin + len(self.text)


@lru_cache(maxsize=1)
def _lexicon() -> tuple[MappingProxyType[str, tuple[frozenset[str], tuple[Entry, ...]]], int]:
    """Word -> (roles, entries), and the length of the longest word."""
    roles: dict[str, set[str]] = {}
    entries: dict[str, list[Entry]] = {}
    for label, text in lists.EMOTION_WORDS.items():
        normal = CALM if label in ("neutral", "calm") else NORMAL
        for item in text.split():
            word, marks = item.rstrip("!?"), item[len(item.rstrip("!?")) :]
            entry = Entry("emotion", label, "strong" if "!" in marks else "normal", CUE if "?" in marks else normal)
            entries.setdefault(word, []).append(entry)
    for word in lists.FEELING_WORDS.split():
        entries.setdefault(word, []).append(Entry("emotion", "feeling"))
    for (kind, value), text in lists.ATTRIBUTE_WORDS.items():
        for word in text.split():
            entries.setdefault(word.rstrip("?"), []).append(Entry(kind, value))
    listed = {
        "strong": lists.STRONG,
        "after": lists.STRONG_AFTER,
        "weak": lists.WEAK,
        "plain": lists.PLAIN_DEGREE,
        "negator": lists.NEGATORS,
        "unable": lists.UNABLE,
        "unable after": lists.UNABLE_AFTER,
        "holding": lists.HOLDING,
        "other": lists.NOT_NEGATORS,
        "contrast": lists.CONTRAST,
        "concession": lists.CONCESSION,
        "appearance": lists.APPEARANCE,
        **{f"noun {noun}": text for noun, text in lists.DIMENSIONS.items()},
    }
    for (noun, kind, value), text in lists.SCALES.items():
        listed[f"scale {noun} {kind} {value}"] = text
    for role, text in listed.items():
        for word in text.split():
            roles.setdefault(word, set()).add(role)
    known = {w: (frozenset(roles.get(w, ())), tuple(entries.get(w, ()))) for w in {*roles, *entries}}
    return MappingProxyType(known), max(map(len, known))


def cut(caption: str) -> list[Word]:
    """Cut a caption into the longest known words, left to right; every other character is a word of no role."""
    lexicon, longest = _lexicon()
    found: list[Word] = []
    at = 0
    while at < len(caption):
        length = next((n for n in range(min(longest, len(caption) - at), 1, -1) if caption[at : at + n] in lexicon), 1)
        if caption[at : at + length] == DISPLEASED and _of_speed(found):
            length = 1
        text = caption[at : at + length]
        found.append(Word(text, at, *lexicon.get(text, (frozenset(), ()))))
        at += length
    return found


def _of_speed(before: Sequence[Word]) -> bool:
    """Whether the clause has spoken of the speed, so that 不快 says that it is not fast, and no displeasure."""
    clause = itertools.takewhile(lambda word: word.text not in CLAUSE, reversed(before))
    return any("noun rate" in word.roles or word.text == "说话" for word in clause)


@lru_cache(maxsize=4096)
def emotion_weight(word: str) -> float:
    """Weight of a Chinese emotion word; 1 for one that is not in the lists."""
    _, entries = _lexicon()[0].get(word, (frozenset(), ()))
    return next((entry.weight for entry in entries if entry.kind == "emotion"), NORMAL)


def mentions(caption: str) -> list[Mention]:
    """The clues of a caption with their intensity, negation and background, in the order of the text."""
    words = cut(caption)
    placed = [(mention, mention.start) for mention in _named(words)] + list(_measured(words))
    placed.sort(key=lambda pair: (pair[0].start, pair[0].kind))
    denied = _denied(words)
    for mention, place in placed:
        _intensify(words, mention)
        mention.negated = denied[place] % 2 == 1
    found = [mention for mention, _ in placed]
    _set_aside(words, found)
    return found


def _mention(words: Sequence[Word], entry: Entry, first: int, last: int) -> Mention:
    begin, finish = words[first].begin, words[last].finish
    kind, value = entry.kind, entry.value
    return Mention(kind, value, first, last + 1, begin, finish, "", entry.intensity, weight=entry.weight)


def _named(words: Sequence[Word]) -> Iterator[Mention]:
    """Emotions and the attributes that one word names; of an emotion and a scale word the noun before it decides."""
    for at, word in enumerate(words):
        measured = _noun_of(words, at) is not None
        for entry in word.entries:
            if entry.kind == "emotion" and measured and entry.weight < NORMAL:
                continue  # an even pace is no even mind
            if entry.kind in SCALES and measured:
                continue  # what the noun says counts
            yield _mention(words, entry, at, at)


def _clause(words: Sequence[Word], at: int) -> tuple[int, int]:
    start, end = at, at + 1
    while start > 0 and words[start - 1].text not in CLAUSE:
        start -= 1
    while end < len(words) and words[end].text not in CLAUSE:
        end += 1
    return start, end


def _noun_of(words: Sequence[Word], at: int) -> tuple[int, list[Entry]] | None:
    """The noun that the scale word at ``at`` measures, and what it says of it; None where it measures nothing."""
    scales = [role.split()[1:] for role in words[at].roles if role.startswith("scale ")]
    if not scales:
        return None
    start, end = _clause(words, at)
    before = [i for i in range(at - 1, max(start, at - 1 - REACH) - 1, -1) if _nouns(words[i])]
    after = [i for i in range(at + 1, min(end, at + 3)) if _nouns(words[i])]
    for noun in before + after:
        entries = [Entry(kind, value) for name, kind, value in sorted(scales) if name in _nouns(words[noun])]
        if entries:
            return noun, entries
    return None


def _nouns(word: Word) -> list[str]:
    return [role.removeprefix("noun ") for role in word.roles if role.startswith("noun ")]


def _measured(words: Sequence[Word]) -> Iterator[tuple[Mention, int]]:
    """Scale words with their noun, and where the word is; nouns joined by 和 or 、 share one: 音调和音量都很高."""
    for at, word in enumerate(words):
        hit = _noun_of(words, at)
        if hit is None:
            continue
        noun, entries = hit
        for entry in entries:
            yield _mention(words, entry, *((noun, at) if noun < at else (at, noun))), at
        if noun > 1 and words[noun - 1].text in LIST and _nouns(words[noun - 2]):
            for role in word.roles:
                if role.startswith("scale ") and role.split()[1] in _nouns(words[noun - 2]):
                    _, _, kind, value = role.split()
                    yield _mention(words, Entry(kind, value), noun - 2, noun - 2), at


def _intensify(words: Sequence[Word], mention: Mention) -> None:
    """Set the intensity from the nearest degree word of the clause before it, or one just behind it."""
    start, end = _clause(words, mention.start)
    for at in range(mention.start - 1, max(start, mention.start - REACH) - 1, -1):
        word = words[at]
        if any(entry.kind == "emotion" and entry.value != "feeling" for entry in word.entries):
            # 悲伤和愤怒: a list shares its degree, a new predicate does not
            if at + 1 < len(words) and words[at + 1].text in LIST | {"而", "的"}:
                continue
            break
        if word.roles & {"contrast", "negator"}:
            break
        if word.roles & {"strong", "weak", "plain"}:
            if "plain" not in word.roles:
                _set(mention, word, "strong" if "strong" in word.roles else "weak")
            return
    if mention.end < end and "after" in words[mention.end].roles:
        _set(mention, words[mention.end], "strong")


def _set(mention: Mention, word: Word, intensity: str) -> None:
    weak = intensity == "weak"
    mention.intensity = "normal" if weak and mention.intensity == "strong" else intensity
    mention.modifier = word.begin, word.finish


def _denied(words: Sequence[Word]) -> list[int]:
    """How often each word is denied: from a negator to a contrast, a new predicate or the end of its clause."""
    depth = [0] * len(words)
    for at, word in enumerate(words):
        if "unable after" in word.roles and at:
            depth[at - 1] += 1
        if "unable" in word.roles:
            named = [i for i in range(at + 1, _clause(words, at)[1]) if words[i].entries][:1]
            if named and _UNABLE_TO.fullmatch("".join(w.text for w in words[at + 1 : named[0]])):
                depth[named[0]] += 1
        if "negator" not in word.roles:
            continue
        reached = 0
        for i in range(at + 1, _clause(words, at)[1]):
            listed = words[i].text in LIST
            if words[i].roles & {"contrast", "appearance"} or (not listed and words[i].text == "而"):
                break
            if reached and not listed and not words[i].entries and words[i - 1].text not in LIST:
                break  # behind what it denies only a list goes on
            if reached and "negator" in words[i].roles:
                break  # 没有喜悦也没有悲伤
            depth[i] += 1
            reached += bool(words[i].entries)
            if "holding" in words[i].roles or (i - at > REACH and not reached):
                break
    return depth


def _sentence(words: Sequence[Word], at: int) -> tuple[int, int]:
    start, end = at, at + 1
    while start > 0 and words[start - 1].text not in SENTENCE:
        start -= 1
    while end < len(words) and words[end].text not in SENTENCE:
        end += 1
    return start, end


def _set_aside(words: Sequence[Word], found: Sequence[Mention]) -> None:
    """Mark what is conceded, what only seems so, and what stands before a contrast with an emotion behind it."""
    emotions = [m for m in found if m.kind == "emotion" and not m.negated and m.value != "feeling"]
    starts = {m.start for m in emotions if m.weight >= CALM}
    for mention in emotions:  # 惊奇的喜悦: what modifies an emotion yields to it
        next_word = words[mention.end].text if mention.end < len(words) else ""
        mention.background = next_word == "的" and mention.end + 1 in starts
    for at, word in enumerate(words):
        if word.roles & {"concession", "appearance"}:
            end = _clause(words, at)[1]
            stop = next((i for i in range(at + 1, end) if "contrast" in words[i].roles), end)
            for mention in emotions:
                mention.background |= at < mention.start < stop
    for at, word in enumerate(words):
        if "contrast" not in word.roles:
            continue
        start, end = _sentence(words, at)
        before = [m for m in emotions if start <= m.start < at]
        behind = [m for m in emotions if at < m.start < end and not m.background]
        if yields(before, behind):
            set_aside(before, behind)
