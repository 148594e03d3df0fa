"""Adapter ``nemo`` of nEMO: nine Polish actors, six emotions, ninety sentences.

Christop, LREC-COLING 2024, CC BY-NC-SA 4.0. Two layouts are read: the published one (``samples/`` and ``data.tsv``),
and one with a table ``utterances.jsonl`` beside the audio.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from aligncap.corpora.base import BadRow, Row, Utterance, each_row, label, read_table, require_columns
from aligncap.corpora.traits import Traits


class Nemo:
    """The adapter of nEMO."""

    traits = Traits(
        "CC BY-NC-SA 4.0 (Christop, nEMO, LREC-COLING 2024)", hub_licence="cc-by-nc-sa-4.0", transcribed=True
    )
    has_captions = False

    def __init__(self, root: Path) -> None:
        """Take the folder that holds ``data.tsv`` and ``samples/``, or ``utterances.jsonl``."""
        self.root = root

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip, in the order of the table."""
        table = self.root / "utterances.jsonl"
        if table.is_file():
            columns, rows = read_table(table)
            require_columns(table, columns, ("id", "audio", "speaker", "emotion"))
            yield from each_row(rows, self._from_jsonl)
        else:
            published = self.root / "data.tsv"
            columns, rows = read_table(published, quoting=csv.QUOTE_NONE)
            require_columns(published, columns, ("file_id", "emotion", "raw_text", "speaker_id"))
            yield from each_row(rows, self._from_tsv)

    def _from_jsonl(self, row: Row) -> Utterance:
        return Utterance(
            utterance_id=row.text("id"),
            audio_path=self.root / row.text("audio"),
            where=row.where,
            speaker=row.text("speaker"),
            language="pl",
            emotion=label(row, "emotion", "emotion"),
            transcript=row.text("transcript") or None,
        )

    def _from_tsv(self, row: Row) -> Utterance:
        name = row.text("file_id").removesuffix(".wav")
        return Utterance(
            utterance_id=name,
            audio_path=self.root / "samples" / f"{name}.wav",
            where=row.where,
            speaker=row.text("speaker_id"),
            language="pl",
            emotion=label(row, "emotion", "emotion"),
            transcript=row.text("raw_text") or None,
        )
