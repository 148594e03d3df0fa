"""The construction table: patterns of words, parts of speech and emotions, with their effects on the clues in them.

``apply_constructions`` interprets the table, and docs/parser.md shows it with the readings of its examples (ours). A
pattern is a sequence of elements separated by blanks:

- ``beside``: this word, by its text, lemma or stem; ``grief|rage``: one of these words;
- ``EMOTION``: an emotion that the lexicon found; ``EMOTION.JJR``: one with this Penn tag (happier);
- ``FEELING``: a word for feeling as such ("emotion", "sentiment"); ``PRON``, ``ADJ|NOUN``: universal parts of speech;
- ``x?``: an element that may be absent; ``..``: up to three words of any kind, none of them punctuation;
- ``x=effect+effect``: the effects on the clue that begins at this element.

The effects ``strong``, ``normal`` and ``weak`` set the intensity, ``denied`` and ``asserted`` the negation. ``aside``
puts an emotion behind the others, and ``fore`` puts the others behind it. ``void`` removes a clue whose word has
another meaning here. ``kind.value`` asserts a vocal attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aligncap.clues.parser import words
from aligncap.clues.parser.chunks import Mention, Token, is_break
from aligncap.vocabulary import KINDS

GAP, GAP_WORDS = "..", 3
FEELING = frozenset(words.FEELING_NOUNS.split())


@dataclass(frozen=True)
class Construction:
    """A construction, one row of the table.

    Attributes:
        group: ``negation``, ``intensity``, ``contrast`` or ``voice``.
        pattern: Pattern in the notation that the module's docstring explains.
        example: Caption of ours in which the pattern applies.
    """

    group: str
    pattern: str
    example: str


CONSTRUCTIONS = tuple(
    Construction(group, pattern, example)
    for group, rows in {
        "negation": (
            (
                "hardly|barely|scarcely DET ADJ? trace|hint|sign|shred|flicker|note|touch of EMOTION=denied",
                "hardly a trace of joy in her voice",
            ),
            ("hardly|barely|scarcely any ADJ? EMOTION=denied", "scarcely any fear to be heard"),
            ("hardly|barely|scarcely any ADJ? FEELING=denied", "spoken with barely any emotion"),
            ("zero|scant|minimal|limited|negligible ADJ? FEELING=denied", "zero emotion"),
            ("FEELING=asserted other than ADJ? EMOTION=asserted", "no emotion other than anger"),
            ("less than ADV? EMOTION=denied", "less than enthusiastic"),
            ("EMOTION.NN=denied free", "a stress-free voice"),
            ("lose PRON? composure|calm=denied", "losing her composure"),
            (
                "fail|refuse|decline|unwilling|unable|incapable to|of be|sound|seem|feel ADV? DET? EMOTION=denied",
                "fails to sound cheerful",
            ),
            ("in vain to be|sound|seem|appear|feel ADV? EMOTION=denied", "trying in vain to sound cheerful"),
            ("not|n't EMOTION=denied so much as EMOTION=asserted+normal", "not angry so much as sad"),
            ("not a little EMOTION=asserted+strong", "not a little annoyed"),
            ("could|can not|n't have? be|feel|sound more EMOTION=asserted+strong", "She could not be more delighted."),
            ("could|can not|n't have? be|feel|sound EMOTION.JJR=asserted+strong", "He couldn't be happier."),
            ("would have? be|feel|sound EMOTION=denied if|but|were", "would be happy if he were not so afraid"),
            ("if|but PRON|NOUN be not|n't so|too EMOTION=asserted", "would be happy if he were not so afraid"),
            (
                "no|without|little|of control|escape|relief over|of|from DET|PRON? ADJ? EMOTION=asserted",
                "She has no control over her anger.",
            ),
            ("EMOTION=denied have|be|'s long? go|vanish|over|evaporate|disappear", "The anger has vanished."),
            ("too ADJ|ADV to be|sound|feel ADV? EMOTION=denied", "too tired to be angry"),
            ("never .. so|such EMOTION=asserted+strong", "Never has she sounded so happy."),
            ("never .. EMOTION.JJR=asserted+strong", "I have never heard a sadder voice."),
            (
                "not|n't unusual|uncommon|rare for PRON|NOUN to be|sound|feel ADV? EMOTION=asserted",
                "It is not unusual for him to be angry.",
            ),
        ),
        "intensity": (
            ("beside PRON with EMOTION=strong", "beside herself with grief"),
            ("out of PRON mind|wits|head with EMOTION=strong", "out of her mind with worry"),
            ("mad|crazy|wild|drunk|sick|dizzy|speechless|seethe=void with EMOTION=strong", "mad with joy"),
            (
                "shake|tremble|quiver|quake|shiver|burst|brim|choke|glow|burn|bristle with EMOTION=strong",
                "shaking with anger",
            ),
            ("weep|cry|sob|tear=void for|with|of EMOTION=strong", "weeping for joy"),
            ("die|dying of EMOTION=strong", "dying of fear"),
            (
                "overwhelm|overcome|consume|engulf|devour|rack|wrack|seize|grip with|by EMOTION=strong",
                "overwhelmed by grief",
            ),
            ("wave|surge|flood|storm|outpouring|outburst|burst|fit of ADJ? EMOTION=strong", "a surge of anger"),
            ("height|depth|peak of DET? ADJ? EMOTION=strong", "in the depths of despair"),
            ("EMOTION=strong to death|bits", "scared to death"),
            ("EMOTION=strong to the point of tear|cry=void", "happy to the point of tears"),
            ("EMOTION=strong as can be", "angry as can be"),
            ("EMOTION=strong beyond word|measure|belief|description|doubt", "angry beyond words"),
            ("more EMOTION=strong than ever", "more frightened than ever"),
            ("EMOTION.JJR=strong than ever", "happier than ever"),
            ("EMOTION.JJS=strong", "the saddest of voices"),
            ("so EMOTION=strong that", "so sad that she can hardly speak"),
            (
                "undertone|edge|dash|whiff|glimmer|suspicion|element|shadow|echo of ADJ? EMOTION=weak",
                "an undertone of sadness",
            ),
            ("EMOTION=weak , but|if|though only|just a? slightly|little|bit|mildly|faintly", "sad, if only a little"),
            ("ever so slightly EMOTION=weak", "ever so slightly annoyed"),
        ),
        "contrast": (
            (
                "EMOTION=aside .. fade|turn|melt|shift|change|dissolve|slide|tip|collapse into|to .. EMOTION",
                "The anger fades into sadness.",
            ),
            ("EMOTION=aside .. give way to .. EMOTION", "calm that gives way to a quiet rage"),
            ("from .. EMOTION=aside .. to|into .. EMOTION", "swinging from joy to despair"),
            ("initially .. EMOTION=aside ,|and|then|before .. EMOTION", "initially cheerful, then sad"),
            ("EMOTION=aside at first", "worried at first, relieved and glad in the end"),
            ("at first .. EMOTION=aside , .. EMOTION", "at first sad, then angry"),
            (
                "begin|start .. EMOTION=aside and|, .. end|finish|close|become|turn|grow|get .. EMOTION",
                "starts sadly and ends happily",
            ),
            ("smile|laugh|giggle|chuckle|grin=aside EMOTION.RB", "She smiles sadly."),
            ("smile|laugh|grin|joke=aside through|despite PRON? tear=fore+strong", "smiling through tears"),
            (
                "smile|laugh|grin|joke ,? though|although|despite DET|PRON? ADJ? EMOTION=fore",
                "smiling, though sad",
            ),
            ("underneath|beneath|inside|within PRON AUX|VERB .. EMOTION=fore", "polite; underneath she is seething"),
            ("above|over all .. EMOTION=fore", "sad and hurt, above all worried"),
            ("but|yet really|actually|truly .. EMOTION=fore", "laughing, but really sad"),
        ),
        "voice": (
            (
                "few|no|hardly|barely|scarcely|without any|a|single? ADJ? pause|hesitation|silence|gap=pause.few",
                "quick, with hardly any pauses",
            ),
            ("long|frequent|many|repeated silence|gap|break=pause.many", "long silences between the words"),
            ("quick|fast|short=void temper", "a quick temper"),
            ("slow=void burn", "a slow burn of anger"),
            ("fast|quickly|rapidly|slowly=void become|grow|turn|get|build|rise|mount EMOTION", "fast becoming angry"),
            ("faint|faintly=void EMOTION", "faintly amused"),
            ("clearly|richly=void ADV? EMOTION", "clearly angry"),
            ("clearly=void ADJ EMOTION", "clearly audible sadness"),
            ("clear=void that|sign|hint|sense|note", "It is clear that she is sad."),
            ("clear=void ADJ? EMOTION.NN", "clear annoyance"),
            (
                "faint|faintly=void ADJ? hint|trace|note|sign|tinge|undertone|edge|glimmer|flicker",
                "a faint hint of annoyance",
            ),
            ("thinly|tightly=void veil|veiled|disguise|mask|control|contain", "thinly veiled contempt"),
            ("read|recite|think|wonder out loud=void", "reading out loud"),
            ("surprisingly|unexpectedly=void ADJ|ADV", "a surprisingly deep voice"),
            (
                "stress=void on|upon? each|every|certain|key|particular|some ADJ? word|syllable|part|phrase",
                "stressing each syllable",
            ),
            ("spite=void of", "in spite of the bad news"),
        ),
    }.items()
    for pattern, example in rows
)


@dataclass(frozen=True)
class Element:
    """An element of a pattern: the words, tags or clue that it matches, whether it is optional, and its effects."""

    words: frozenset[str]
    tags: frozenset[str]
    clue: str  # EMOTION or FEELING, else empty
    penn: str
    optional: bool
    effects: tuple[str, ...]

    @property
    def needed(self) -> bool:
        """Whether the pattern can match only captions that have one of this element's words."""
        return bool(self.words) and not (self.tags or self.optional or GAP in self.words)


Path = list[tuple[Element, int, int]]  # the tokens that each element of a pattern matched: start and end


def parse_element(text: str) -> Element:
    """Parse an element such as ``could|can``, ``DET?`` or ``EMOTION.JJR=strong``."""
    body, _, effects = text.partition("=")
    optional = body.endswith("?")
    alternatives = body.removesuffix("?").split("|") if body != GAP else [GAP]
    name, _, penn = alternatives[0].partition(".") if body != GAP else (GAP, "", "")
    clue = name if name in ("EMOTION", "FEELING") else ""
    plain = frozenset() if clue else frozenset(alternatives)
    tags = frozenset(word for word in plain if word.isupper() and word.isalpha())
    return Element(plain - tags, tags, clue, penn, optional, tuple(effects.split("+")) if effects else ())


@lru_cache(maxsize=1)
def compiled() -> tuple[tuple[Element, ...], ...]:
    """Parse the patterns of all rows of ``CONSTRUCTIONS`` into elements, in the order of the table."""
    return tuple(tuple(map(parse_element, row.pattern.split())) for row in CONSTRUCTIONS)


@dataclass
class _Matcher:
    tokens: Sequence[Token]
    emotions: dict[int, Mention]  # first token -> mention

    def paths(self, pattern: Sequence[Element], at: int) -> Iterator[Path]:
        """Iterate over the matches of ``pattern`` at token ``at``: (element, start, end) for each element."""
        if not pattern:
            yield []
            return
        element, rest = pattern[0], pattern[1:]
        if GAP in element.words:
            for skip in range(GAP_WORDS + 1):
                if any(is_break(token) for token in self.tokens[at : at + skip]):
                    return
                yield from self.paths(rest, at + skip)
            return
        end = self._end(element, at)
        if end is not None:
            for tail in self.paths(rest, end):
                yield [(element, at, end), *tail]
        if element.optional:
            yield from self.paths(rest, at)

    def _end(self, element: Element, at: int) -> int | None:
        if at >= len(self.tokens):
            return None
        token = self.tokens[at]
        if element.clue == "EMOTION":
            found = self.emotions.get(at)
            fits = found is not None and found.value != "feeling" and token.tag.startswith(element.penn)
            return found.end if found is not None and fits else None
        if element.clue == "FEELING":
            return at + 1 if token.text in FEELING else None
        taken = token.pos in element.tags or not element.words.isdisjoint(token.forms)
        return at + 1 if taken else None


def matching(tokens: Sequence[Token], found: Sequence[Mention]) -> list[tuple[Construction, Path]]:
    """Find the constructions that apply in a caption, in the order of the table, with the first match at each token."""
    matcher = _Matcher(tokens, {m.start: m for m in reversed(found) if m.kind == "emotion"})
    forms = frozenset(form for token in tokens for form in token.forms)
    applying = []
    for row, pattern in zip(CONSTRUCTIONS, compiled(), strict=True):
        if any(element.needed and element.words.isdisjoint(forms) for element in pattern):
            continue
        paths = (next(matcher.paths(pattern, at), None) for at in range(len(tokens)))
        applying += [(row, path) for path in paths if path]
    return applying


def apply_constructions(tokens: Sequence[Token], found: list[Mention]) -> list[Mention]:
    """Apply every construction of the table to the clues of a caption.

    Args:
        tokens: Tokens of the caption.
        found: Mentions of the caption with negation and background marked, which are changed in place.

    Returns:
        The remaining mentions, and those that a construction asserts.
    """
    for _, path in matching(tokens, found):
        span = {i for _, start, end in path for i in range(start, end)}
        for element, start, end in path:
            for effect in element.effects:
                found = _act(effect, tokens, found, (start, end), span)
    return found


def _act(
    effect: str, tokens: Sequence[Token], found: list[Mention], place: tuple[int, int], span: set[int]
) -> list[Mention]:
    start, end = place
    kind, _, value = effect.partition(".")
    if kind in KINDS:
        kept = [m for m in found if not (m.kind == kind and start <= m.start < end)]
        first, last = min(span), max(span)
        begin, finish = tokens[first].begin, tokens[last].finish
        return [*kept, Mention(kind, value, first, last + 1, begin, finish, tokens[start].pos)]
    here = [m for m in found if start <= m.start < end]
    if effect == "void":
        return [m for m in found if m not in here]
    emotions = [m for m in here if m.kind == "emotion"]
    for mention in emotions:
        if effect in ("strong", "weak", "normal"):
            weak = effect == "weak"
            mention.intensity = "normal" if weak and mention.intensity == "strong" else effect
            around = sorted(span - set(range(mention.start, mention.end)))
            if around:
                mention.modifier = tokens[around[0]].begin, tokens[around[-1]].finish
        elif effect in ("denied", "asserted"):
            mention.negated = effect == "denied"
        elif effect == "aside":
            mention.background = True
        elif effect == "fore":
            for other in found:
                if other.kind == "emotion" and not other.negated:
                    other.background = other is not mention
    return found
