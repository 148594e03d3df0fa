"""Checks for hallucinations: they flag statements of a caption that its clip does not support (ours; docs/judge.md).

The evaluation counts the flags, and the judge ``reference`` scores by them. Every clue of a caption is an assertion,
which the facts of its clip support, contradict or cannot check. A factuality flag is an assertion that the label or the
measured prosody contradicts. A faithfulness flag is an event, person, place, gender or persona that neither a reference
nor the transcript supports, a copy of the transcript, or text that is unfinished, off the instruction or repetitive. A
flag is a string ``kind: words``. The checks are tested on the cases of ``tests/data/hallucinations.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.vocabulary import Clue, canonical

FACTUALITY = ("emotion", "intensity", "level", "pitch", "rate")
FAITHFULNESS = (
    "event",
    "person",
    "place",
    "gender",
    "persona",
    "transcript",
    "unfinished",
    "off_instruction",
    "repetition",
)
SUPPORTED, CONTRADICTED, NOT_CHECKABLE = VERDICTS = ("supported", "contradicted", "not_checkable")
OPPOSITE = {"low": "high", "high": "low", "slow": "fast", "fast": "slow", "breathy": "rough", "rough": "breathy"}
COPIED_WORDS = 4
MAX_WORDS = 60
MAX_SENTENCES = 2

BY_REFERENCE_ONLY = ("gender", "persona")  # a transcript does not support these, because "he" in it is not the speaker

# Words that assert what no clip of speech shows. "someone", "people" and "the listener" are not among them.
_LISTS = {
    "gender": (
        "he him his himself she her hers herself man men woman women male female boy boys girl girls lady ladies "
        "gentleman gentlemen guy masculine feminine"
    ),
    "person": (
        "mother father mom mum dad parent parents son daughter brother sister husband wife boyfriend girlfriend lover "
        "baby child children kid kids friend friends family grandmother grandfather uncle aunt cousin neighbour "
        "neighbor boss teacher student students doctor nurse colleague colleagues coworker coworkers customer "
        "customers waiter waitress police policeman soldier enemy king queen actor actress singer president politician "
        "lawyer crowd audience"
    ),
    "place": (
        "home house kitchen bedroom bathroom school classroom university college hospital clinic office church temple "
        "street road city town village country restaurant cafe bar pub shop store market park beach forest mountain "
        "river airport station train bus car plane phone courtroom prison theatre theater stadium"
    ),
    "event": (
        "accident war battle fight funeral death died dead dying killed murder wedding marriage divorce breakup "
        "birthday party holiday christmas exam examination interview meeting lottery fire earthquake storm robbery "
        "pregnancy pregnant diagnosis surgery crash attack election concert dinner lunch breakfast vacation trip "
        "betrayal affair gift homework promotion"
    ),
}
_KIND_OF = {word: kind for kind, words in _LISTS.items() for word in words.split()}
_PROFESSIONS = (
    "teacher doctor nurse soldier police policeman officer lawyer politician president king queen actor actress singer "
    "waiter waitress boss student professor priest preacher reporter newsreader salesman saleswoman presenter athlete "
    "judge coach pilot farmer engineer scientist"
)
_ORIGINS = (
    "american british scottish irish australian canadian chinese japanese korean french german italian spanish "
    "mexican russian polish indian african asian european foreigner"
)
_ROLE = "|".join(sorted({*_PROFESSIONS.split(), *_LISTS["person"].split()} - {"crowd", "audience", "family"}))
# Statements about who the speaker is, which no voice shows, and text in the first person.
_PERSONA = re.compile(
    r"\bas an ai\b|\blanguage model\b|\b(?:i|i'm|i'll|i've|i'd|my|me|we|we're|our)\b|"
    r"\b(?:elderly|teenage|teenager|teenaged|adolescent|middle[- ]aged|toddler)\b|"
    r"\b(?:young|younger|old|older)(?: \w+)? (?:speaker|voice|person|adult|man|woman|lady|boy|girl)\b|"
    rf"\b(?:{'|'.join(_ORIGINS.split())})\b|\baccent\b|"
    rf"\b(?:speaker|voice|person|narrator) (?:is|was|must be|may be|could be|seems to be) an? (?:\w+ )?(?:{_ROLE})\b|"
    rf"^(?:an?|the) (?:\w+ )?(?:{_ROLE}) (?:is|was|speaks|talks|says|sounds|shouts|whispers|scolds|complains)\b|"
    rf"\bas an? (?:\w+ )?(?:{_ROLE})\b"
)
_NAMED = re.compile(r"^([A-Z][a-z]+) (?:sounds|speaks|says|talks|shouts|whispers|laughs|cries|seems|feels|is)\b")
_NO_NAME = frozenset(
    "speaker voice someone somebody everything everyone nothing something it this that these there here he she they "
    "who what speech tone delivery mood narrator pitch volume pace intonation english ai".split()
)
# Figures of speech and comparisons ("like a mother soothing a child"), which assert no person, place or event.
_FIGURES = re.compile(
    r"\b(?:pent up|on the attack|feels? (?:at home|dead)|at home (?:with|in)|(?:point|message|words?) home|hits? home|"
    r"close to home|dead (?:calm|flat|serious|set|tired)|dying (?:down|away|to)|died (?:down|away)|"
    r"trains? of thought|raises? the bar|in store|at war with|fights? (?:back|off|down)|"
    r"like an? [^,.;:!?]*|as an? (?:\w+ ){1,3}would\b|(?:of|on|under) fire|fire in|with (?:fire|fight)|firing|"
    r"up the road)\b"
)
_CAUSE = re.compile(
    r"\bbecause\b[^,.;]*|\b(?:due to|owing to|thanks to)\b[^,.;]*|"
    r"\b(?:after|since|having just|having) (?:losing|winning|hearing|being|seeing|finding|learning|receiving|failing|"
    r"passing|leaving|getting|lost|won|heard|been|seen|found|received|failed)\b[^,.;]*|"
    r"\b(?:as if|as though|like)\b[^.;]*?\b(?:had|has|have|been|was)\b[^,.;]*|\b(?:as if|as though) [^,.;]*\bbefore\b"
)
_OFF = re.compile(
    r"https?://|www\.|```|[#*_|<>{}\\]{2,}|^\s*(?:(?:sure|certainly|of course)(?:[,!:]|\.\s)|here (?:is|are)\b|note:)|"
    r"\b(?:you|your)\b|\?\s*$|\b(?:instruction|caption|transcript)\b:?"
)
_FOREIGN = re.compile(r"[\u0400-\u04ff\u0600-\u06ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_DANGLING = re.compile(
    r"(?:\b(?:a|an|the|and|or|but|of|with|to|in|at|by|for|from|is|are|was|as|that|very|his|her|their|its|almost)|[,:(-])$"
)
_SPEECH_WORDS = re.compile(
    r"\b(?:voice|speaker|speak\w*|spoken|sound\w*|tone|tones|toned|speech|talk\w*|intonation|pitch\w*|volume|pace|"
    r"loud\w*|quiet\w*|words?|delivery|mood|feel\w*|emotion\w*|whisper\w*|shout\w*|breath\w*|heart|spirits?)\b"
)


@dataclass(frozen=True)
class Truth:
    """The facts of an utterance that a caption must not contradict; None where unknown.

    Attributes:
        emotion: Label, as one of ``CLASSES``.
        level: Measured tercile: low, mid or high.
        pitch: Measured tercile: low, mid or high.
        rate: Measured tercile: slow, mid or fast.
        intensity: Intensity of the labelled emotion: normal or strong.
        timbre: Measured timbre, one of ``TIMBRES``. Assertions are checked with it; no flag reads it.
    """

    emotion: str | None = None
    level: str | None = None
    pitch: str | None = None
    rate: str | None = None
    intensity: str | None = None
    timbre: str | None = None

    @property
    def comparable(self) -> bool:
        """Whether there is a fact that a flag could rest on; an intensity without an emotion does not count."""
        return any((self.emotion, self.level, self.pitch, self.rate))

    @classmethod
    def from_rows(
        cls,
        emotion: str | None,
        prosody: Mapping[str, str | None] | None,
        intensity: str | None = None,
        timbre: str | None = None,
    ) -> Truth:
        """Make the facts from a label (any of ``EMOTIONS``), a row of ``prosody``, an intensity and a timbre."""
        measured = prosody or {}
        pitch = measured.get("pitch") if measured.get("pitch_hz") is not None else None
        return cls(canonical(emotion), measured.get("level"), pitch, measured.get("rate"), intensity, timbre)


@dataclass(frozen=True)
class Assertion:
    """A clue of a caption and its verdict; the fields are those of ``artifacts.ASSERTION``.

    Attributes:
        kind: One of ``KINDS``.
        word: Word or phrase in the caption.
        lemma: Canonical value of the kind.
        negated: Whether the caption denies the clue.
        verdict: One of ``VERDICTS``.
    """

    kind: str
    word: str
    lemma: str
    negated: bool
    verdict: str


def asserted_classes(clues: Sequence[Clue]) -> list[str]:
    """Return the emotion classes that the clues assert, in order and without negated ones."""
    found = [canonical(c.lemma) for c in clues if c.kind == "emotion" and not c.negated]
    return list(dict.fromkeys(name for name in found if name is not None))


def check(clues: Sequence[Clue], truth: Truth) -> list[Assertion]:
    """Check every clue of a caption by itself against the facts of its clip, in the order of the clues.

    Except for intensity, nothing is checkable that facts could only support or only contradict:

    - An emotion of the label's class is supported, whatever dominates. Of the others, the dominant one is contradicted,
      and where none dominates and none is the label's, all are. A further emotion is not checkable, because one label
      does not tell what else is in a voice. A denied emotion is supported where the label is another class. Where it is
      the label's class, it is contradicted, unless the caption asserts that class, too ("not annoyed but furious").
    - Level, pitch, rate and timbre: one end is supported by the same end and contradicted by the other one, and the
      reverse where it is denied. The middle, said or measured, decides nothing; for timbre the ends are breathy and
      rough, and everything else is the middle.
    - A degree of the right emotion is supported (strong) or contradicted (weak) where the label says strong.
    """
    asserted, dominant = asserted_classes(clues), dominant_emotion(clues)

    def verdict(clue: Clue) -> str:
        if clue.kind == "emotion":
            return _of_emotion(clue, asserted, dominant, truth.emotion)
        fact = getattr(truth, clue.kind, None)
        if clue.kind == "intensity":
            known = fact == "strong" and dominant is not None and dominant == truth.emotion
            return _either(clue.lemma == "strong") if known else NOT_CHECKABLE
        if fact not in OPPOSITE or clue.lemma not in (fact, OPPOSITE[fact]):
            return NOT_CHECKABLE
        return _either((clue.lemma == fact) != clue.negated)

    return [Assertion(c.kind, c.word, c.lemma, c.negated, verdict(c)) for c in clues]


def _either(holds: bool) -> str:
    return SUPPORTED if holds else CONTRADICTED


def _of_emotion(clue: Clue, asserted: Sequence[str], dominant: str | None, emotion: str | None) -> str:
    said = canonical(clue.lemma)
    if emotion is None or said is None:
        return NOT_CHECKABLE
    if clue.negated:
        return NOT_CHECKABLE if said == emotion and emotion in asserted else _either(said != emotion)
    stands_by = asserted if dominant is None else [dominant]
    if said != emotion and (said not in stands_by or emotion in stands_by):
        return NOT_CHECKABLE
    return _either(said == emotion)


def factuality_flags(clues: Sequence[Clue], truth: Truth) -> list[str]:
    """Flag the contradictions between the clues of a caption and the facts of its clip, see ``flags_of``."""
    return flags_of(check(clues, truth), clues, truth)


def flags_of(assertions: Sequence[Assertion], clues: Sequence[Clue], truth: Truth) -> list[str]:
    """Flag the first contradicted assertion of each kind of ``FACTUALITY``.

    A flag of the emotion names what the caption says: the dominant emotion, else all, else the one that it denies.

    Args:
        assertions: Result of ``check`` of the clues and facts.
        clues: Clues of the caption.
        truth: Facts of the clip.
    """
    wrong: dict[str, Assertion] = {}
    for assertion in assertions:
        if assertion.verdict == CONTRADICTED:
            wrong.setdefault(assertion.kind, assertion)
    flags = []
    for kind in (kind for kind in FACTUALITY if kind in wrong):
        said = f"{'not ' if wrong[kind].negated else ''}{wrong[kind].word}"
        if kind == "emotion":
            said = dominant_emotion(clues) or ", ".join(asserted_classes(clues)) or said
        flags.append(f"{kind}: {said} against {getattr(truth, kind)}")
    return flags


def kind_of(flag: str) -> str:
    """Return what a flag ``kind: words`` is: ``factuality`` contradicts the speech, ``faithfulness`` is unsupported."""
    return "factuality" if flag.partition(":")[0] in FACTUALITY else "faithfulness"


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+(?:'\w+)?", text.lower().replace("\u2019", "'"))


def _bare(words: Sequence[str]) -> list[str]:
    """Remove "'s" from words, because "she's" and "mother's" name the same persons as "she" and "mother"."""
    return [word.removesuffix("'s") for word in words]


@lru_cache(maxsize=65536)
def _suspects(caption: str) -> tuple[tuple[str, str], ...]:
    """Find all events, persons, places, genders and personas that a caption names, as pairs (kind, words)."""
    straight = caption.strip().replace("\u2019", "'")
    told = [("event", " ".join(match.group().split())) for match in _CAUSE.finditer(straight.lower())]
    text = _FIGURES.sub(" ", straight.lower())
    found = [("persona", match.group()) for match in _PERSONA.finditer(text)]
    text = _PERSONA.sub(lambda match: " ".join(w for w in _tokens(match.group()) if _KIND_OF.get(w) == "gender"), text)
    found += [(kind, word) for word in _bare(_tokens(text)) if (kind := _KIND_OF.get(word)) is not None]
    return tuple(dict.fromkeys([*found, *told, *(("person", name) for name in _names(straight))]))


def _names(caption: str) -> list[str]:
    """Find names: capitalised words where common words are in lower case; none in a caption that is set as a title."""
    words = re.findall(r"[^\W\d_]+", caption)
    if sum(word[0].isupper() for word in words) > max(2, len(words) / 2):
        return []
    inside = [match.group() for match in re.finditer(r"(?<=[\w,;] )[A-Z][a-z]+\b", caption)]
    opening = _NAMED.search(caption)
    names = inside + ([opening.group(1)] if opening else [])
    own = {*_NO_NAME, *_ORIGINS.split()}
    return [name for name in names if name.lower() not in own and not parse_clues(name)]


def _supported(words: str, support: frozenset[str]) -> bool:
    return all(word in support for word in _bare(_tokens(words)))


@lru_cache(maxsize=65536)
def _form_flags(caption: str) -> tuple[str, ...]:
    text, words = caption.strip(), _tokens(caption)
    if not words:
        return ("off_instruction: empty",)
    flags = []
    if (dangling := _DANGLING.search(text.lower())) or text.count("(") > text.count(")"):
        flags.append(f"unfinished: {dangling.group() if dangling else '('}")
    sentences = [" ".join(_tokens(part)) for part in re.split(r"[.!?]+(?:\s|$)", text) if part.strip()]
    if match := _OFF.search(text.lower()) or _FOREIGN.search(text):
        flags.append(f"off_instruction: {match.group().strip()}")
    elif len(words) > MAX_WORDS:
        flags.append(f"off_instruction: {len(words)} words")
    elif len(sentences) > MAX_SENTENCES:
        flags.append("off_instruction: more than two sentences")
    elif not _SPEECH_WORDS.search(text.lower()) and not parse_clues(caption):
        flags.append("off_instruction: nothing about how it sounds")
    if loop := _loop(words, sentences):
        flags.append(f"repetition: {loop}")
    return tuple(flags)


def _loop(words: Sequence[str], sentences: Sequence[str]) -> str | None:
    """Find a word four times in a row, three words three times, or a sentence of at least three words twice."""
    for start in range(len(words) - 3):
        if len(set(words[start : start + 4])) == 1:
            return words[start]
    seen: dict[str, int] = {}
    for start in range(len(words) - 2):
        phrase = " ".join(words[start : start + 3])
        seen[phrase] = seen.get(phrase, 0) + 1
        if seen[phrase] == 3:
            return phrase
    return next((s for i, s in enumerate(sentences) if s in sentences[:i] and len(s.split()) >= 3), None)


def _copied(words: Sequence[str], transcript: Sequence[str], references: Sequence[Sequence[str]]) -> str | None:
    def grams(tokens: Sequence[str]) -> dict[tuple[str, ...], None]:
        return dict.fromkeys(tuple(tokens[i : i + COPIED_WORDS]) for i in range(len(tokens) - COPIED_WORDS + 1))

    allowed = {gram for reference in references for gram in grams(reference)}
    said = set(grams(transcript)) - allowed
    return next((" ".join(gram) for gram in grams(words) if gram in said), None)


def faithfulness_flags(caption: str, transcript: str, references: Sequence[str], finished: bool = True) -> list[str]:
    """Flag statements that neither references nor transcript support, and text that departs from the instruction.

    Args:
        caption: Caption of a system.
        transcript: Transcript in the language of the captions; "" where unknown.
        references: Human captions of the same utterance.
        finished: Whether the caption ended with the end token.
    """
    truths = [_tokens(text) for text in references]
    spoken = _tokens(transcript)
    by_reference = frozenset(word for words in truths for word in _bare(words))
    by_all = by_reference | frozenset(_bare(spoken))
    flags = []
    for kind, words in _suspects(caption):
        if not _supported(words, by_reference if kind in BY_REFERENCE_ONLY else by_all):
            flags.append(f"{kind}: {words}")
    if copied := _copied(_tokens(caption), spoken, truths):
        flags.append(f"transcript: {copied}")
    form = list(_form_flags(caption))
    if not finished and not any(flag.startswith("unfinished") for flag in form):
        form.append("unfinished: the length limit came before the end")
    return flags + form
