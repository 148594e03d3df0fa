"""The chunk grammar of the parser: it joins lexicon words with their modifiers, and scale words with dimensions.

A scale word is a word such as "high"; its dimension is level, pitch or rate, by a noun such as "volume" near it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aligncap.clues.parser import words
from aligncap.clues.parser.lexicon import CUE, NRC_POS, Entry, match, nrc
from aligncap.vocabulary import canonical

BREAKS = frozenset(", ; : . ! ? ( ) — – - -- … ...".split())
JOINTS = frozenset(
    "and or nor but yet though although while whereas however despite with as than beneath underneath".split()
)
_SCALE = {word: value for value, text in words.SCALE_WORDS.items() for word in text.split()}
_DIMENSION = {word: kind for kind, text in words.DIMENSIONS.items() for word in text.split()}
ATTRIBUTES = ("level", "pitch", "rate", "timbre", "pause")
_FEELING = frozenset(words.FEELING_NOUNS.split())
_VOICE = frozenset({"voice", "voices"})
_TONE = frozenset({"tone", "tones", "speech"})
_BARE = frozenset("high low deep raised".split())  # read as pitch even without a noun near: "High and quick"
_WITH_VOICE = frozenset(
    "high higher low lower deep deeper raise raised heightened lowered drop rise rising soar medium mid".split()
)
_RATES = {"high": "fast", "low": "slow", "mid": "mid"}
WINDOW = 4  # most tokens from a modifier to the clue behind it
REACH = 6  # most tokens from a scale word to its dimension noun


@dataclass(frozen=True)
class Token:
    """A word with its text, lemma, forms for the lexicon (likeliest first), spaCy tags and character offsets."""

    text: str
    lemma: str
    forms: tuple[str, ...]
    pos: str
    tag: str
    begin: int
    finish: int
    joined: bool = False  # whether a hyphen joins it to the word before: "low-pitched"


@dataclass
class Mention:
    """A clue at its place in the text: tokens ``start:end`` and characters ``begin:finish``.

    ``modifier`` are the characters of its degree word. ``background`` is true of a clue that is set aside, and
    ``hedged`` of one that is said with doubt ("perhaps sad").
    """

    kind: str
    value: str
    start: int
    end: int
    begin: int
    finish: int
    pos: str
    intensity: str = "normal"
    negated: bool = False
    background: bool = False
    hedged: bool = False
    modifier: tuple[int, int] | None = None
    weight: float = 1.0
    words: tuple[str, ...] = ()  # of the lexicon's phrase, without its gaps

    @property
    def is_manner(self) -> bool:
        """Whether the mention is a neutral cue ("polite", "gentle"), which tells the manner but not the emotion."""
        return self.weight <= CUE and canonical(self.value) == "neutral"


def yields(aside: Sequence[Mention], to: Sequence[Mention]) -> bool:
    """Whether emotions set aside yield to the others; they do not yield to mere manners, unless they are only cues."""
    return bool(to) and (not all(m.is_manner for m in to) or all(m.weight <= CUE for m in aside))


def set_aside(before: Sequence[Mention], behind: Sequence[Mention]) -> None:
    """Set aside the emotions before a contrast, except those of a class that also stands behind it."""
    classes = {canonical(m.value) for m in behind}
    for mention in before:
        mention.background |= canonical(mention.value) not in classes


def is_break(token: Token) -> bool:
    """Whether a token is punctuation that ends a segment of a clause."""
    return token.text in BREAKS


def segment(tokens: Sequence[Token], at: int, joints: bool = False) -> tuple[int, int]:
    """Return start and end of the segment around ``at``, between punctuation or (with ``joints``) conjunctions."""

    def stops(i: int) -> bool:
        return is_break(tokens[i]) or (joints and tokens[i].text in JOINTS)

    start, end = at, at + 1
    while start > 0 and not stops(start - 1):
        start -= 1
    while end < len(tokens) and not stops(end):
        end += 1
    return start, end


def mentions(tokens: Sequence[Token]) -> list[Mention]:
    """Find all clues of a token sequence with their intensity; negation and setting aside are later steps."""
    forms = [token.forms for token in tokens]
    pos = [token.pos for token in tokens]
    emotions = _matches("emotion", tokens, forms, pos, set())
    emotions += _feelings(tokens, emotions) + _from_nrc(tokens, emotions)
    emotions.sort(key=lambda m: m.start)
    taken = {i for m in emotions if m.end - m.start > 1 for i in range(m.start, m.end)}
    found = list(emotions)
    attributes = [m for kind in ATTRIBUTES for m in _matches(kind, tokens, forms, pos, taken)]
    found += _tightest(tokens, attributes)
    taken |= {i for m in found if m.end - m.start > 1 for i in range(m.start, m.end)}
    scales = _scales(tokens, emotions, taken)
    measured = _covered(scales)  # a "steady tempo" is not a steady mind
    found = [m for m in found if not (m.kind == "emotion" and m.weight == CUE and m.start in measured)] + scales
    for mention in found:
        _modify(mention, found, tokens, forms, pos)
    return found


def _mention(entry: Entry, tokens: Sequence[Token], start: int, end: int) -> Mention:
    begin, finish = tokens[start].begin, tokens[end - 1].finish
    kind, value, intensity = entry.kind, entry.value, entry.intensity
    return Mention(kind, value, start, end, begin, finish, tokens[start].pos, intensity, weight=entry.weight)


def _tightest(tokens: Sequence[Token], found: Sequence[Mention]) -> list[Mention]:
    """Remove phrases that share a word with a hyphenated phrase of another kind: "the voice is low-pitched"."""
    compounds = [m for m in found if m.end - m.start > 1 and all(t.joined for t in tokens[m.start + 1 : m.end])]
    inside = {i: m for m in compounds for i in range(m.start, m.end)}

    def cut(mention: Mention) -> bool:
        return any(i in inside and inside[i].kind != mention.kind for i in range(mention.start, mention.end))

    # the name of a dimension may have a stem that is one of its values: "loudness"
    return [
        m for m in found if not (cut(m) or _names_what_follows(tokens, m)) and tokens[m.start].text not in _DIMENSION
    ]


def _names_what_follows(tokens: Sequence[Token], mention: Mention) -> bool:
    """Whether the scale word of a phrase belongs to a dimension noun behind it: "the voice is low in pitch"."""
    after = [token.text for token in tokens[mention.end : mention.end + 3]]
    of_scale = mention.end - mention.start > 1 and tokens[mention.end - 1].text in _SCALE
    return of_scale and after[:1] == ["in"] and any(text in _DIMENSION for text in after[1:])


def _matches(
    kind: str, tokens: Sequence[Token], forms: Sequence[tuple[str, ...]], pos: Sequence[str], taken: set[int]
) -> list[Mention]:
    found, at = [], 0
    while at < len(tokens):
        hit = None if at in taken else match(kind, forms, pos, at)
        if hit is None:
            at += 1
            continue
        found.append(_mention(hit[0].entry, tokens, at, hit[1]))
        found[-1].words = hit[0].words
        at = hit[1]
    return found


def _covered(found: Sequence[Mention]) -> set[int]:
    return {i for m in found for i in range(m.start, m.end)}


def _feelings(tokens: Sequence[Token], found: Sequence[Mention]) -> list[Mention]:
    """Find words for feeling as such ("emotion"): they are no clue by themselves, but neutral when denied."""
    covered = _covered(found)
    entry = Entry("emotion", "feeling")
    of_emotion = {i + 1 for i in covered if tokens[i].pos == "ADJ"}  # "a happy mood" is no further one
    skipped = covered | of_emotion
    return [_mention(entry, tokens, i, i + 1) for i, t in enumerate(tokens) if t.text in _FEELING and i not in skipped]


def _from_nrc(tokens: Sequence[Token], found: Sequence[Mention]) -> list[Mention]:
    covered = _covered(found)
    added = []
    for i, token in enumerate(tokens):
        if i in covered or token.pos != NRC_POS:
            continue
        value = nrc().get(token.text)
        if value is not None:
            added.append(_mention(Entry("emotion", value, weight=CUE), tokens, i, i + 1))
    return added


def _scales(tokens: Sequence[Token], emotions: Sequence[Mention], taken: set[int]) -> list[Mention]:
    """Find scale words (high, low, raised, moderate …) and the dimension nouns that they belong to."""
    found = []
    for at, token in enumerate(tokens):
        scale = _SCALE.get(token.text) or _SCALE.get(token.lemma)
        if scale is None or at in taken or _is_about_emotion(tokens, at, emotions):
            continue
        if scale == "mid" and at and tokens[at - 1].text == "than":
            continue  # "higher than usual"
        if (token.text == "even" and token.pos != "ADJ") or (token.text == "little" and not _measures_next(tokens, at)):
            continue  # "even higher", "little change in pitch"
        for kind, value, noun in _dimensions(tokens, at, scale, taken):
            first, last = (at, at + 1) if abs(noun - at) > 1 else (min(at, noun), max(at, noun) + 1)
            found.append(_mention(Entry(kind, value), tokens, first, last))
    return found


def _measures_next(tokens: Sequence[Token], at: int) -> bool:
    return at + 1 < len(tokens) and tokens[at + 1].text in _DIMENSION


def _is_about_emotion(tokens: Sequence[Token], at: int, emotions: Sequence[Mention]) -> bool:
    """Whether a word such as "deep" at ``at`` is the degree of an emotion that follows: "deep, consuming fear"."""
    if tokens[at].text not in ("deep", "deeper", "strong", "great", "highly", "little", "up"):
        return False
    nouns = {"voice", "pitch", *_TONE}
    for i in range(at + 1, min(at + 1 + WINDOW, len(tokens))):
        if tokens[i].text in nouns or tokens[i].text in JOINTS:
            return False
        # "a deep sorrow", but "a deep, calm voice"
        if any(m.start <= i < m.end and (m.pos == "NOUN" or tokens[at].lemma != "deep") for m in emotions):
            return True
    return False


def _series_end(tokens: Sequence[Token], at: int, end: int) -> int:
    """Return the end of the segment of an adjective, or behind the noun of its series: "a deep, calm voice"."""
    i = at + 1
    while i < len(tokens) and (
        tokens[i].text in (",", "and") or tokens[i].pos in ("ADJ", "ADV") or tokens[i].tag in ("VBG", "VBN")
    ):
        i += 1
    named = i < len(tokens) and tokens[i].text in _VOICE | _TONE | _DIMENSION.keys()
    return max(end, i + 1) if named and end < len(tokens) and tokens[end].text == "," else end


def _dimensions(tokens: Sequence[Token], at: int, scale: str, taken: set[int]) -> list[tuple[str, str, int]]:
    """Return (kind, value, index) of the nearest dimension noun of a scale word, and of nouns coordinated with it."""
    start, own = segment(tokens, at)
    end = _series_end(tokens, at, own)
    text = tokens[at].text
    around = range(max(start, at - REACH), min(end, at + REACH + 1))
    near = [i for i in around if tokens[i].text in _DIMENSION and (i < own or i not in taken)]
    nearest = min(near, key=lambda i: (_blocked(tokens, at, i), abs(i - at), i < at), default=None)
    if nearest is not None and not (_blocked(tokens, at, nearest) and _has_voice(tokens, start, at)):
        chosen = [nearest] + [i for i in near if i != nearest and _coordinated(tokens, nearest, i)]
        result = []
        for i in chosen:
            kind = _DIMENSION[tokens[i].text]
            result.append((kind, _RATES[scale] if kind == "rate" else scale, i))
        return result
    if text not in _WITH_VOICE and tokens[at].lemma not in _WITH_VOICE:
        return []
    raised = tokens[at].lemma in ("raise", "rise", "heighten", "lower", "drop") or text in ("raised", "heightened")
    voices = [i for i in range(start, end) if tokens[i].text in _VOICE and abs(i - at) <= REACH]
    tones = [i for i in range(start, end) if tokens[i].text in _TONE and abs(i - at) <= WINDOW]
    if voices:
        noun = min(voices, key=lambda i: abs(i - at))
        quiet = text in ("low", "lower") or raised
        return [("level" if quiet else "pitch", scale, noun)]
    if tones:
        return [("pitch", scale, min(tones, key=lambda i: abs(i - at)))]
    return [("pitch", scale, at)] if text in _BARE and text != "raised" and _stands_alone(tokens, at) else []


def _has_voice(tokens: Sequence[Token], start: int, at: int) -> bool:
    """Whether a voice or tone noun stands before the scale word: "the tone is not high and the pace not slow"."""
    nouns = _VOICE | _TONE
    return any(tokens[i].text in nouns and not _blocked(tokens, at, i) for i in range(start, at))


def _stands_alone(tokens: Sequence[Token], at: int) -> bool:
    """Whether an adjective has no noun, because the end of a segment or a conjunction follows it."""
    return at + 1 >= len(tokens) or is_break(tokens[at + 1]) or tokens[at + 1].text in ("and", "or", "but", "yet")


def _blocked(tokens: Sequence[Token], one: int, other: int) -> bool:
    low, high = sorted((one, other))
    return any(t.text in ("and", "but", "with") for t in tokens[low + 1 : high])


def _coordinated(tokens: Sequence[Token], one: int, other: int) -> bool:
    low, high = sorted((one, other))
    return high - low == 2 and tokens[low + 1].text in ("and", "or")


def _modify(
    mention: Mention,
    found: Sequence[Mention],
    tokens: Sequence[Token],
    forms: Sequence[tuple[str, ...]],
    pos: Sequence[str],
) -> None:
    """Set the intensity of ``mention`` by the nearest degree word before it, or by a degree phrase just after it."""
    heads = {m.start for m in found if m.kind == mention.kind and m is not mention}
    # A degree before another clue is that clue's ("very quickly in an angry tone"), but "a hint of quiet sadness".
    beside = mention.start - 1 if mention.pos == "NOUN" else None
    heads |= {i for m in found if m.kind != mention.kind for i in range(m.start, m.end)} - {beside}
    candidates: list[tuple[int, Entry, int]] = []
    at = mention.start - 1
    while at >= max(0, mention.start - WINDOW) and not is_break(tokens[at]) and tokens[at].text not in ("and", "but"):
        hit = match("intensity", forms, pos, at)
        if hit is not None and hit[1] <= mention.start:
            candidates.append((mention.start - at, hit[0].entry, at))
        if at in heads:
            break
        at -= 1
    for after in range(mention.end, min(mention.end + 2, len(tokens))):
        if is_break(tokens[after]):
            break  # "angry, a little nervous"
        hit = match("intensity", forms, pos, after)
        if hit is not None and hit[1] - after > 1:
            candidates.append((WINDOW + after, hit[0].entry, after))
    if not candidates:
        return
    _, entry, place = min(candidates, key=lambda c: c[0])
    weak = entry.value == "weak"
    mention.intensity = "normal" if weak and mention.intensity == "strong" else entry.value
    mention.modifier = tokens[place].begin, tokens[place].finish
