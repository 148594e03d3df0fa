"""The vocabulary of clues: the statements that captions and the tagger make about how a speaker sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

EMOTIONS = (
    "angry",
    "happy",
    "sad",
    "neutral",
    "surprised",
    "fearful",
    "disgusted",
    "calm",
    "worried",
    "contemptuous",
)  # labels that a corpus may have, besides "other"
CLASSES = ("angry", "happy", "sad", "neutral", "surprised", "fearful", "disgusted")  # classes that are evaluated
KINDS = ("emotion", "intensity", "level", "pitch", "rate", "timbre", "pause")
SCALES = {"level": ("low", "mid", "high"), "pitch": ("low", "mid", "high"), "rate": ("slow", "mid", "fast")}
MEASURE = {"pitch": "pitch_hz", "level": "level_db", "rate": "rate_hz"}  # columns of the artifact `prosody`
TIMBRES = ("breathy", "rough", "whispering", "clear")  # labels of the tagger; captions may have others

_SAID = {  # other words for values of ``SCALES``, in tables of facts
    "level": {"quiet": "low", "soft": "low", "loud": "high"},
    "pitch": {"deep": "low"},
    "rate": {"low": "slow", "high": "fast", "quick": "fast", "rapid": "fast"},
}
_MIDDLE = ("medium", "middle", "normal", "moderate", "average")
_CANONICAL = {"calm": "neutral", "worried": "fearful", "contemptuous": "disgusted"}


def canonical(label: str | None) -> str | None:
    """Map a corpus label to one of ``CLASSES``: calm to neutral, worried to fearful, contemptuous to disgusted.

    The result is None for "other", for an unknown label and for None.
    """
    label = _CANONICAL.get(label or "", label)
    return label if label in CLASSES else None


def on_scale(kind: str, word: str) -> str | None:
    """Map a word of a table to a value of ``SCALES[kind]``: "Low", "quiet" and "soft" are the level "low".

    The result is None for a word that names no value of this kind.
    """
    lower = word.strip().lower()
    value = "mid" if lower in _MIDDLE else _SAID[kind].get(lower, lower)
    return value if value in SCALES[kind] else None


@dataclass(frozen=True)
class Clue:
    """A clue: a value of one kind, such as an emotion or a pitch. The fields are those of ``artifacts.CLUE``.

    Attributes:
        kind: One of ``KINDS``.
        word: Word or phrase in the caption; for a predicted clue, the tag.
        lemma: Canonical value of the kind: an ``EMOTIONS`` label, "high", "slow", "trembling" …
        intensity: ``weak``, ``normal`` or ``strong``.
        negated: Whether the caption denies the clue ("not angry").
        probability: Probability that the tagger gives; 1.0 for a parsed clue.
    """

    kind: str
    word: str
    lemma: str
    intensity: str = "normal"
    negated: bool = False
    probability: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the clue as a struct of the artifact ``clues``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Clue:
        """Make a clue from a struct of the artifact ``clues``."""
        return cls(**row)
