"""Marking of the words of a caption to which a hallucination flag refers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from aligncap.clues.hallucination_checks import FACTUALITY, kind_of
from aligncap.clues.parser.grammar import find_mentions
from aligncap.vocabulary import canonical

Span = tuple[int, int]
MEASURED = ("level", "pitch", "rate")  # kinds whose flags name a clue of the caption and the measured tercile


@dataclass(frozen=True)
class Part:
    """A piece of a caption.

    Attributes:
        text: Words of the piece.
        kind: Factuality or faithfulness; empty where no flag refers to the words.
        flags: Flags that refer to the words, as in the evaluation.
    """

    text: str
    kind: str = ""
    flags: tuple[str, ...] = ()


def mark_words(caption: str, flags: Sequence[str]) -> list[Part]:
    """Split a caption into pieces, so that flagged words stand apart from the rest.

    Args:
        caption: Caption as it was scored.
        flags: Flags of the ``evaluation`` artifact, each ``kind: words``. A flag about the whole caption ("nothing
            about how it sounds") marks no word.

    Returns:
        Pieces that together are the caption, without white space around it.
    """
    text = caption.strip()
    about: list[tuple[str, ...]] = [()] * len(text)
    for flag in flags:
        for begin, end in _spans(text, flag):
            about[begin:end] = [(*own, flag) for own in about[begin:end]]
    parts = []
    for kind, places in groupby(range(len(text)), key=lambda place: _kind(about[place])):
        piece = [*places]
        own = dict.fromkeys(flag for place in piece for flag in about[place])
        parts.append(Part(text[piece[0] : piece[-1] + 1], kind, tuple(own)))
    return parts


def _kind(flags: tuple[str, ...]) -> str:
    return min(map(kind_of, flags), default="")  # a contradiction comes first


def _spans(text: str, flag: str) -> Iterator[Span]:
    kind, _, words = flag.partition(": ")
    said = words.partition(" against ")[0]
    if kind == "emotion":
        yield from _emotions(text, said)
    elif kind in MEASURED:
        denied, word = said.startswith("not "), said.removeprefix("not ").lower()
        for m in find_mentions(text):
            if m.kind == kind and m.negated == denied and text[m.begin : m.finish].lower() == word:
                yield m.begin, m.finish
    else:
        yield from _literally(text, said if kind in FACTUALITY else words, at_end=kind == "unfinished")


def _emotions(text: str, said: str) -> Iterator[Span]:
    """Yield the words behind an emotion flag, which names classes ("angry, sad") or a denied word ("not happy")."""
    for m in find_mentions(text):
        if m.kind != "emotion":
            continue
        word = text[m.begin : m.finish].lower()
        if said.lower() == f"not {word}" if m.negated else canonical(m.value) in said.split(", "):
            yield m.begin, m.finish


def _literally(text: str, words: str, at_end: bool) -> Iterator[Span]:
    """Yield the places of words in a text, whatever the case and the punctuation between them."""
    tokens = re.findall(r"\w+(?:'\w+)?", words) or [words]
    pattern = r"\W+".join(map(re.escape, tokens))
    if re.match(r"\w", pattern):
        pattern = rf"\b{pattern}\b"
    straight = text.replace("\u2019", "'")
    for match in re.finditer(pattern + (r"(?=\W*$)" if at_end else ""), straight, re.IGNORECASE):
        yield match.span()
