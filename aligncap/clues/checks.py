"""What a caption says that its clip does not bear out. The definitions are ours and are written out in docs/judge.md.

One instrument for two readers: the evaluation counts the flags, the reference judge grades by them.

Factuality: a clue that contradicts the label or the measured prosody. Faithfulness: an event, person, place or gender
that neither a reference nor the transcript supports, the transcript copied, text that is unfinished or off the
instruction. A flag is a string ``kind: words``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aligncap.clues import Clue, canonical
from aligncap.clues.grammar import dominant_emotion, parse_clues

FACTUALITY = ("emotion", "level", "pitch", "rate")
FAITHFULNESS = ("event", "person", "place", "gender", "transcript", "unfinished", "off_instruction")
OPPOSITE = {"low": "high", "high": "low", "slow": "fast", "fast": "slow"}
COPIED_WORDS = 4
MAX_WORDS = 60
MAX_SENTENCES = 2

# Words that assert something no clip of speech shows. "someone", "people" and "the listener" invent nobody.
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
# Said of manner, not of a person, place or event.
_FIGURES = re.compile(
    r"\b(?:pent up|on the attack|feels? (?:at home|dead)|dead (?:calm|flat|serious)|"
    r"like (?:a|an) (?:child|baby|machine)|of fire|on fire|under fire|with (?:fire|fight)|firing|up the road)\b"
)
_CAUSE = re.compile(
    r"\bbecause\b[^,.;]*|\b(?:due to|owing to|thanks to)\b[^,.;]*|"
    r"\b(?:after|since|having just|having) (?:losing|winning|hearing|being|seeing|finding|learning|receiving|failing|"
    r"passing|leaving|getting|lost|won|heard|been|seen|found|received|failed)\b[^,.;]*|"
    r"\b(?:as if|as though|like)\b[^.;]*?\b(?:had|has|have|been|was)\b[^,.;]*|\b(?:as if|as though) [^,.;]*\bbefore\b"
)
_OFF = re.compile(
    r"https?://|www\.|```|[#*_|<>{}\\]{2,}|^\s*(?:sure|certainly|of course|here (?:is|are)|note)\b|\bas an ai\b|"
    r"\blanguage model\b|\b(?:i|i'm|i'll|my|me|you|your|we|our)\b|\?\s*$|\b(?:instruction|caption|transcript)\b:?"
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
    """What is known of an utterance and a caption may not contradict.

    Attributes:
        emotion: the label as one of ``CLASSES``; None where unknown.
        level: measured tercile low, mid or high; None where unknown.
        pitch: likewise.
        rate: slow, mid or fast; None where unknown.
    """

    emotion: str | None = None
    level: str | None = None
    pitch: str | None = None
    rate: str | None = None

    @classmethod
    def from_rows(cls, emotion: str | None, prosody: Mapping[str, str | None] | None) -> Truth:
        """Of a label (any of ``EMOTIONS``) and a row of the ``prosody`` artifact."""
        measured = prosody or {}
        pitch = measured.get("pitch") if measured.get("pitch_hz") is not None else None
        return cls(canonical(emotion), measured.get("level"), pitch, measured.get("rate"))


def asserted_classes(clues: Sequence[Clue]) -> list[str]:
    """Emotion classes that the clues assert, without those negated, in order."""
    found = [canonical(c.lemma) for c in clues if c.kind == "emotion" and not c.negated]
    return list(dict.fromkeys(name for name in found if name is not None))


def _emotion_flags(clues: Sequence[Clue], emotion: str) -> list[str]:
    asserted, dominant = asserted_classes(clues), dominant_emotion(clues)
    denied = [c for c in clues if c.kind == "emotion" and c.negated and canonical(c.lemma) == emotion]
    if dominant is not None:
        wrong = dominant != emotion
    else:
        wrong = emotion not in asserted and bool(asserted or denied)
    if not wrong:
        return []
    said = dominant or ", ".join(asserted) or f"not {denied[0].word}"
    return [f"emotion: {said} against {emotion}"]


def factuality_flags(clues: Sequence[Clue], truth: Truth) -> list[str]:
    """Contradictions between clues and truth, at most one a kind.

    An emotion contradicts when the dominant one is not the label's (a second emotion beside the right one does not).
    Level, pitch and rate contradict when the caption says one end of the scale and the other end was measured, or
    denies the end that was measured; the middle tercile contradicts neither.
    """
    flags = _emotion_flags(clues, truth.emotion) if truth.emotion is not None else []
    for kind in ("level", "pitch", "rate"):
        measured = getattr(truth, kind)
        if measured not in OPPOSITE:
            continue
        for clue in clues:
            against = measured if clue.negated else OPPOSITE[measured]
            if clue.kind == kind and clue.lemma == against:
                flags.append(f"{kind}: {'not ' if clue.negated else ''}{clue.word} against {measured}")
                break
    return flags


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+(?:'\w+)?", text.lower().replace("\u2019", "'"))


@lru_cache(maxsize=65536)
def _suspects(caption: str) -> tuple[tuple[str, str], ...]:
    """(kind, words) of every event, person, place and gender that a caption names, whether supported or not."""
    text = _FIGURES.sub(" ", caption.lower().replace("\u2019", "'"))
    found = [(kind, word) for word in _tokens(text) if (kind := _KIND_OF.get(word.removesuffix("'s"))) is not None]
    found += [("event", " ".join(match.group().split())) for match in _CAUSE.finditer(text)]
    for match in re.finditer(r"(?<=[\w,;] )[A-Z][a-z]+\b", caption):
        found.append(("person", match.group()))
    return tuple(dict.fromkeys(found))


def _supported(words: str, support: frozenset[str]) -> bool:
    return all(word in support for word in _tokens(words))


@lru_cache(maxsize=65536)
def _form_flags(caption: str) -> tuple[str, ...]:
    text, words = caption.strip(), _tokens(caption)
    if not words:
        return ("off_instruction: empty",)
    flags = []
    if (dangling := _DANGLING.search(text.lower())) or text.count("(") > text.count(")"):
        flags.append(f"unfinished: {dangling.group() if dangling else '('}")
    if match := _OFF.search(text.lower()) or _FOREIGN.search(text):
        flags.append(f"off_instruction: {match.group().strip()}")
    elif len(words) > MAX_WORDS:
        flags.append(f"off_instruction: {len(words)} words")
    elif len([s for s in re.split(r"[.!?]+(?:\s|$)", text) if s.strip()]) > MAX_SENTENCES:
        flags.append("off_instruction: more than two sentences")
    elif loop := _loop(words):
        flags.append(f"off_instruction: repeats '{loop}'")
    elif not _SPEECH_WORDS.search(text.lower()) and not parse_clues(caption):
        flags.append("off_instruction: nothing about how it sounds")
    return tuple(flags)


def _loop(words: Sequence[str]) -> str | None:
    seen: dict[str, int] = {}
    for start in range(len(words) - 2):
        phrase = " ".join(words[start : start + 3])
        seen[phrase] = seen.get(phrase, 0) + 1
        if seen[phrase] == 3:
            return phrase
    return None


def _copied(words: Sequence[str], transcript: Sequence[str], references: Sequence[Sequence[str]]) -> str | None:
    def grams(tokens: Sequence[str]) -> dict[tuple[str, ...], None]:
        return dict.fromkeys(tuple(tokens[i : i + COPIED_WORDS]) for i in range(len(tokens) - COPIED_WORDS + 1))

    allowed = {gram for reference in references for gram in grams(reference)}
    said = set(grams(transcript)) - allowed
    return next((" ".join(gram) for gram in grams(words) if gram in said), None)


def faithfulness_flags(caption: str, transcript: str, references: Sequence[str], finished: bool = True) -> list[str]:
    """What the caption says beyond the input and the instruction.

    Args:
        caption: one system's.
        transcript: what was said, in the captions' language; empty where unknown.
        references: human captions of the same utterance; what one of them names is not invented.
        finished: the end token came.
    """
    truths = [_tokens(text) for text in references]
    spoken = _tokens(transcript)
    by_reference = frozenset(word for words in truths for word in words)
    by_all = by_reference | frozenset(spoken)
    flags = []
    for kind, words in _suspects(caption):
        # A transcript does not tell who speaks: "he" in it is somebody else.
        if not _supported(words, by_reference if kind == "gender" else by_all):
            flags.append(f"{kind}: {words}")
    if copied := _copied(_tokens(caption), spoken, truths):
        flags.append(f"transcript: {copied}")
    form = list(_form_flags(caption))
    if not finished and not any(flag.startswith("unfinished") for flag in form):
        form.append("unfinished: the length limit came before the end")
    return flags + form
