"""Adapter ``emosec``: Mandarin speech with human emotion captions, the larger part of SECap's published test set.

Xu et al., AAAI 2024 (repository thuhcsi/SECap, no licence file: research use). The captions are the hand translations
into English; clips with the same Chinese caption form one caption group. No wording of this project comes from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aligncap.corpora.base import BadRow, Row, Utterance, each_row, label, read_rows
from aligncap.corpora.traits import Traits


class Emosec:
    """The adapter of emosec."""

    traits = Traits("none given by its authors: research use only, do not pass on (Xu et al., SECap, AAAI 2024)")
    has_captions = True

    def __init__(self, root: Path) -> None:
        """Take the folder that holds ``utterances.jsonl`` and ``audio/``."""
        self.root = root

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip, in the order of the table."""
        table = self.root / "utterances.jsonl"
        _, rows = read_rows(table, ("id", "audio", "session", "caption_en", "caption_zh", "emotion"))
        yield from each_row(rows, self._read)

    def _read(self, row: Row) -> Utterance:
        caption = row.text("caption_en")
        if not row.text("audio"):
            raise ValueError("'audio' is empty; correct the table")
        return Utterance(
            utterance_id=row.identifier("id"),
            audio_path=self.root / row.text("audio"),
            where=row.where,
            session=row.identifier("session"),
            language="zh",
            captions=(caption,) if caption else (),
            caption_group=row.text("caption_zh") or None,
            emotion=label(row, "emotion", "emotion"),
            valence=label(row, "valence", "valence"),
            arousal=label(row, "arousal", "arousal"),
            transcript=row.text("transcript_zh") or None,
        )
