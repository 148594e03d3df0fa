"""Clues: what a caption, or the tagger, says about how somebody sounds. One vocabulary for the whole project."""

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
CLASSES = ("angry", "happy", "sad", "neutral", "surprised", "fearful", "disgusted")  # what agreement is measured on
KINDS = ("emotion", "intensity", "level", "pitch", "rate", "timbre", "pause")
SCALES = {"level": ("low", "mid", "high"), "pitch": ("low", "mid", "high"), "rate": ("slow", "mid", "fast")}
MEASURE = {"pitch": "pitch_hz", "level": "level_db", "rate": "rate_hz"}  # columns of the artifact `prosody`
TIMBRES = ("breathy", "rough", "whispering", "clear")  # what the tagger knows; captions may say more

_CANONICAL = {"calm": "neutral", "worried": "fearful", "contemptuous": "disgusted"}


def canonical(label: str | None) -> str | None:
    """One of ``CLASSES`` for a corpus label: calm -> neutral, worried -> fearful, contemptuous -> disgusted.

    None for "other", for an unknown label and for None.
    """
    label = _CANONICAL.get(label or "", label)
    return label if label in CLASSES else None


@dataclass(frozen=True)
class Clue:
    """One clue. The fields are those of ``artifacts.CLUE``.

    Attributes:
        kind: one of ``KINDS``.
        word: as it stands in the caption; the tag itself for a predicted clue.
        lemma: canonical value of the kind: an ``EMOTIONS`` label, "high", "slow", "trembling" …
        intensity: weak, normal or strong.
        negated: the caption denies it ("not angry").
        probability: 1.0 for a parsed clue, else the tagger's.
    """

    kind: str
    word: str
    lemma: str
    intensity: str = "normal"
    negated: bool = False
    probability: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """As a row's struct in the ``clues`` artifact."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Clue:
        """The inverse of ``to_dict``."""
        return cls(**row)
