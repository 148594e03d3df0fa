"""manifest: any collection of clips that a table describes, CSV, TSV, JSONL or Parquet.

Only the path of the audio is required. ``columns`` of the corpus maps our names to the table's where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from aligncap.corpora.base import BadRow, Row, Utterance, each_row, label, read_table, require_columns
from aligncap.errors import CorpusError

COLUMNS = (
    "audio_path",
    "utterance_id",
    "speaker",
    "session",
    "language",
    "caption",
    "caption_group",
    "emotion",
    "intensity",
    "valence",
    "arousal",
    "transcript",
)


class Manifest:
    """Adapter of a table of clips."""

    def __init__(self, table: Path, columns: Mapping[str, str]) -> None:
        """Read the table.

        Args:
            table: .csv, .tsv, .jsonl or .parquet; audio paths in it are relative to its folder.
            columns: our column name -> the table's, where they differ.

        Raises:
            CorpusError: no such table or column, or a key of ``columns`` that is none of ``COLUMNS``.
        """
        if unknown := sorted(set(columns) - set(COLUMNS)):
            raise CorpusError(f"columns.{unknown[0]}: no column of ours; map one of {', '.join(COLUMNS)}")
        self.table = table
        found, self.rows = read_table(table)
        if any(row.problem is None for row in self.rows):
            require_columns(table, found, [columns.get("audio_path", "audio_path"), *columns.values()])
        self.columns = {ours: columns.get(ours, ours) for ours in COLUMNS if columns.get(ours, ours) in found}
        self.has_captions = "caption" in self.columns

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Every clip, in the order of the table."""
        yield from each_row(self.rows, self._read)

    def _read(self, row: Row) -> Utterance:
        path = row.text(self.columns["audio_path"])
        if not path:
            raise ValueError(f"'{self.columns['audio_path']}' is empty; name the audio file")
        if "\0" in path:
            raise ValueError(f"'{self.columns['audio_path']}' is {path!r}; name the audio file")
        return Utterance(
            utterance_id=row.text(self.columns.get("utterance_id")) if self._has("utterance_id") else Path(path).stem,
            audio_path=self.table.parent / path,
            where=row.where,
            speaker=row.text(self.columns.get("speaker")),
            session=row.text(self.columns.get("session")),
            language=row.text(self.columns.get("language")),
            captions=self._captions(row),
            caption_group=row.text(self.columns.get("caption_group")) or None,
            emotion=label(row, "emotion", self.columns.get("emotion")),
            intensity=label(row, "intensity", self.columns.get("intensity")),
            valence=label(row, "valence", self.columns.get("valence")),
            arousal=label(row, "arousal", self.columns.get("arousal")),
            transcript=row.text(self.columns.get("transcript")) or None,
        )

    def _has(self, column: str) -> bool:
        return column in self.columns

    def _captions(self, row: Row) -> tuple[str, ...]:
        value = row.values.get(self.columns["caption"]) if self._has("caption") else None
        several = value if isinstance(value, list) else [value]
        return tuple(
            " ".join(str(caption).split()) for caption in several if caption is not None and str(caption).strip()
        )
