"""Texts made from clues: the acoustic prompt, the semantic prompt, template captions and captions with swapped clues.

``P_act = template(clues)`` and ``P_sem = tokenizer(transcript)`` are the paper's; the wording is ours.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.clues.parser.chunks import Mention
from aligncap.clues.parser.grammar import dominant_emotion, find_mentions, parse_clues
from aligncap.clues.parser.lexicon import CUE
from aligncap.config import Prompts
from aligncap.vocabulary import CLASSES, KINDS, SCALES, Clue, canonical

MAX_EMOTIONS = 2  # emotions named in P_act

_LEVEL = {"low": "quiet", "high": "loud"}
_PITCH = {"low": "low-pitched", "high": "high-pitched"}
_RATE = {"slow": "slowly", "fast": "fast"}
_TIMBRE = ("breathy", "rough", "whispering")  # adjectives that are used unchanged
_DEGREE = {"weak": "a little ", "strong": "very "}
UNSURE = "The speaker's feelings are hard to tell from the voice."

# Each table has words of one part of speech, so that a swap keeps the grammar of the caption.
_SWAP_EMOTION = {
    "ADJ": {
        "angry": "angry",
        "happy": "happy",
        "sad": "sad",
        "neutral": "neutral",
        "surprised": "surprised",
        "fearful": "frightened",
        "disgusted": "disgusted",
    },
    "NOUN": {
        "angry": "anger",
        "happy": "joy",
        "sad": "sadness",
        "neutral": "indifference",
        "surprised": "surprise",
        "fearful": "fear",
        "disgusted": "disgust",
    },
    "ADV": {
        "angry": "angrily",
        "happy": "happily",
        "sad": "sadly",
        "neutral": "calmly",
        "surprised": "incredulously",
        "fearful": "fearfully",
        "disgusted": "disgustedly",
    },
}
_OPPOSITES = (
    ("loud", "quiet"),
    ("loudly", "quietly"),
    ("louder", "quieter"),
    ("shouting", "whispering"),
    ("shouted", "whispered"),
    ("high", "low"),
    ("higher", "lower"),
    ("high-pitched", "low-pitched"),
    ("raised", "lowered"),
    ("rising", "falling"),
    ("shrill", "deep"),
    ("fast", "slow"),
    ("faster", "slower"),
    ("quickly", "slowly"),
)
_OPPOSITE = {a: b for pair in _OPPOSITES for a, b in (pair, pair[::-1])} | {
    "soft": "loud",
    "softly": "loudly",
    "hushed": "loud",
    "faint": "loud",
    "quick": "slow",
    "rapid": "slow",
    "hurried": "slow",
    "brisk": "slow",
    "rapidly": "slowly",
    "unhurried": "hurried",
    "squeaky": "deep",
}


def _ranked(clues: Sequence[Clue]) -> list[str]:
    """Return the labels of the asserted emotions in the parser's order, which begins with the dominant one."""
    return list(dict.fromkeys(c.lemma for c in clues if c.kind == "emotion" and not c.negated))


def acoustic_prompt(clues: Sequence[Clue]) -> str:
    """Write the acoustic prompt ``P_act``, such as "Emotion: sad. Level: low. Rate: slow.", or "" without clues.

    The kinds are in the order of ``KINDS``. Denied clues, the value "mid" and the intensity "normal" are left out. Of
    several emotions the ``MAX_EMOTIONS`` first are named.
    """
    parts = []
    for kind in KINDS:
        values = [c.lemma for c in clues if c.kind == kind and not c.negated and c.lemma not in ("mid", "normal")]
        if kind == "emotion":
            values = _ranked(clues)[:MAX_EMOTIONS]
        if values:
            parts.append(f"{kind.capitalize()}: {', '.join(dict.fromkeys(values))}.")
    return " ".join(parts)


def template_caption(clues: Sequence[Clue]) -> str:
    """Write the template caption of the system ``tag_template``.

    An example is "The speaker sounds sad, with a quiet voice, speaking slowly." Without an emotion only the voice is
    described. Without any clue the caption is the sentence ``UNSURE``, so that it is never empty.
    """
    values = {c.kind: c.lemma for c in reversed(clues) if not c.negated and c.kind != "emotion"}
    # the label is used, not its class, so that a parsed "worried" stays "worried"
    dominant = dominant_emotion(clues)
    emotion = next((label for label in _ranked(clues) if canonical(label) == dominant), None)
    timbre = values.get("timbre")
    qualities = [
        _LEVEL.get(values.get("level", "")),
        _PITCH.get(values.get("pitch", "")),
        timbre if timbre in _TIMBRE else None,
    ]
    voice = ", ".join(q for q in qualities if q)
    rate = _RATE.get(values.get("rate", ""))
    if emotion is None:
        if voice:
            return f"The voice is {' and '.join(voice.rsplit(', ', 1))}" + (f", speaking {rate}." if rate else ".")
        return f"The speaker talks {rate}." if rate else UNSURE
    sentence = f"The speaker sounds {_DEGREE.get(values.get('intensity', ''), '')}{emotion}"
    return sentence + (f", with a {voice} voice" if voice else "") + (f", speaking {rate}" if rate else "") + "."


def swap_clue(caption: str, rng: random.Random) -> str | None:
    """Swap one clue of a caption so that it contradicts the original, for hard negatives; None where none can be.

    Either every plain word of the dominant emotion's class is replaced by a word of another class, or a word for a
    vocal attribute by its opposite. The result is parsed again, and returned only if the parser reads a contradiction.

    Args:
        caption: Caption to change.
        rng: Random generator that draws the clue and the class that replaces it.
    """
    dominant = dominant_emotion(caption)
    emotions = _dominant_mentions(caption)
    options = [emotions] if emotions else []
    options += [[m] for m in find_mentions(caption.strip()) if m.kind in SCALES and not m.negated]
    rng.shuffle(options)
    for mentions in options:
        target = rng.choice([c for c in CLASSES if c != canonical(mentions[0].value)])
        swapped = _swap(caption.strip(), mentions, target)
        if swapped is not None and _contradicts(mentions[0], dominant, swapped):
            return swapped
    return None


def correct_emotion(caption: str, emotion: str) -> str | None:
    """Make a caption name another emotion class as its dominant one; None where no word can be replaced.

    Args:
        caption: Caption whose dominant emotion is wrong.
        emotion: Class that the copy names.
    """
    mentions = _dominant_mentions(caption)
    corrected = _swap(caption.strip(), mentions, emotion) if mentions else None
    return corrected if corrected is not None and dominant_emotion(corrected) == emotion else None


def _dominant_mentions(caption: str) -> list[Mention]:
    """Where a caption names its dominant emotion: in plain words, or else by cues."""
    dominant = dominant_emotion(caption)
    found = [m for m in find_mentions(caption.strip()) if m.kind == "emotion" and not m.negated]
    emotions = [m for m in found if dominant is not None and canonical(m.value) == dominant]
    return [m for m in emotions if m.weight > CUE] or emotions


def _swap(caption: str, mentions: Sequence[Mention], target: str) -> str | None:
    """Replace the words of an emotion by those of the class ``target``, or a vocal attribute by its opposite."""
    text = caption
    for mention in sorted(mentions, key=lambda m: -m.begin):
        word = caption[mention.begin : mention.finish]
        if mention.kind == "emotion":
            word_class = "ADJ" if mention.pos in ("ADJ", "VERB", "PROPN") else mention.pos
            new = None if " " in word else _SWAP_EMOTION.get(word_class, {}).get(target)
        else:
            new = _opposite(word)
        if new is None:
            return None
        if word[0].isupper():
            new = new[0].upper() + new[1:]
        before = text[: mention.begin]
        article = "an" if new[0].lower() in "aeiou" else "a"
        before = re.sub(r"\b([Aa])n? $", rf"\g<1>{article[1:]} ", before)
        text = before + new + text[mention.finish :]
    return text


def _opposite(word: str) -> str | None:
    """Replace the only word of a phrase that has an opposite: "raised intonation" becomes "lowered intonation"."""
    if word.lower() in _OPPOSITE:
        return _OPPOSITE[word.lower()]
    parts = word.split(" ")
    places = [i for i, part in enumerate(parts) if part.lower() in _OPPOSITE]
    if len(places) != 1:
        return None
    parts[places[0]] = _OPPOSITE[parts[places[0]].lower()]
    return " ".join(parts)


def _contradicts(mention: Mention, dominant: str | None, swapped: str) -> bool:
    if mention.kind == "emotion":
        return dominant_emotion(swapped) not in (None, dominant)
    values = {c.lemma for c in parse_clues(swapped) if c.kind == mention.kind and not c.negated}
    return bool(values) and mention.value not in values


def semantic_ids(tokenizer: Any, transcript: str, max_tokens: int) -> list[int]:
    """Tokenize a transcript as the semantic prompt ``P_sem``, at most ``max_tokens`` ids without special tokens."""
    text = " ".join(transcript.split())
    ids = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    return [int(i) for i in ids[:max_tokens]]


def load_tokenizer(llm_manifest: str | Path) -> Any:
    """Load the LLM's tokenizer by its model manifest.

    Raises:
        ModelError: Files of the model are missing.
    """
    from aligncap.models.sources import model_folder

    folder = model_folder(llm_manifest)
    kind = (_said(folder / "config.json", "model_type"), _said(folder / "tokenizer_config.json", "tokenizer_class"))
    if kind == ("llama", "TokenizersBackend"):
        # AutoTokenizer ends at the same class here, after it has loaded torch and the code of every family.
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast.from_pretrained(str(folder))
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def _said(file: Path, key: str) -> str | None:
    return json.loads(file.read_text(encoding="utf-8")).get(key) if file.is_file() else None


def clue_row(
    utterance_id: str, clues: Sequence[Clue], transcript: str, tokenizer: Any, settings: Prompts
) -> dict[str, Any]:
    """Make a row of the artifact ``clues``, which includes both prompts."""
    return {
        "utterance_id": utterance_id,
        "clues": [clue.to_dict() for clue in clues],
        "p_act": acoustic_prompt(clues),
        "p_sem_ids": semantic_ids(tokenizer, transcript, settings.max_semantic_tokens),
    }


def read_transcripts(path: str | Path) -> Mapping[str, str]:
    """Read the transcripts of a corpus by utterance id."""
    return {row["utterance_id"]: row["transcript"] for row in artifacts.stream_rows(path, "transcripts")}


def gold_clues(captions: Sequence[str]) -> list[Clue]:
    """Parse the clues of all captions of an utterance, without repeats and with at most one clue of kind intensity.

    In training one ``P_act`` stands before each of the captions, so it has to contain the clues of all of them.
    """
    found: dict[tuple[str, str, bool], Clue] = {}
    for caption in captions:
        for clue in parse_clues(caption):
            found.setdefault((clue.kind, "" if clue.kind == "intensity" else clue.lemma, clue.negated), clue)
    return list(found.values())


def write_gold_clues(
    prompts: Prompts, references: str | Path, transcripts: str | Path, llm_manifest: str | Path, out: str | Path
) -> None:
    """Write the clues of each utterance's reference captions and its two prompts (rule ``parse_clues``).

    Args:
        prompts: Section ``prompts``, of which ``max_semantic_tokens`` is used.
        references: Artifact ``labels``; an utterance without captions gets no clues.
        transcripts: Artifact ``transcripts``; an utterance that it lacks gets an empty ``P_sem``.
        llm_manifest: Manifest of the LLM, whose tokenizer is used.
        out: Artifact ``clues`` to write.
    """
    tokenizer = load_tokenizer(llm_manifest)
    said = read_transcripts(transcripts)

    def rows() -> Iterator[dict[str, Any]]:
        for row in artifacts.stream_rows(references, "labels"):
            name = row["utterance_id"]
            yield clue_row(name, gold_clues(row["captions"]), said.get(name, ""), tokenizer, prompts)

    artifacts.write_rows(rows(), out, "clues", "parse_clues")
