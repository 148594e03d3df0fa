"""Adapter ``manifest``: any collection of clips that a table describes, as CSV, TSV, JSONL or Parquet.

Only the path of the audio is required. ``columns`` of the corpus maps our names to the table's where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from aligncap.corpora.base import BadRow, Row, Utterance, each_row, label, read_rows
from aligncap.corpora.traits import Traits
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


def map_columns(columns: Mapping[str, str], found: Collection[str]) -> dict[str, str]:
    """Return our column name -> the table's, for the columns that the table has.

    Raises:
        CorpusError: A key of ``columns`` is not in ``COLUMNS``.
    """
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise CorpusError(f"columns.{unknown[0]}: no column of ours; map one of {', '.join(COLUMNS)}")
    return {ours: columns.get(ours, ours) for ours in COLUMNS if columns.get(ours, ours) in found}


def read_clip(
    row: Row,
    columns: Mapping[str, str],
    audio_path: Path,
    default_id: str,
    stored: Callable[[], bytes] | None = None,
) -> Utterance:
    """Read one clip from a row of a table whose columns are mapped.

    Args:
        row: Row of the table.
        columns: Result of ``map_columns``.
        audio_path: Path where the clip lies, or is to be written.
        default_id: Id for a clip of a table without ids.
        stored: Function that reads the clip's bytes where they are not a file.

    Raises:
        ValueError: A label is outside our vocabulary, or an id is no text.
    """

    def text(column: str) -> str:
        return row.text(columns.get(column))

    def identifier(column: str) -> str:
        return row.identifier(columns.get(column))

    return Utterance(
        utterance_id=identifier("utterance_id") if "utterance_id" in columns else default_id,
        audio_path=audio_path,
        where=row.where,
        speaker=identifier("speaker"),
        session=identifier("session"),
        language=text("language"),
        captions=_captions(row, columns.get("caption")),
        caption_group=text("caption_group") or None,
        emotion=label(row, "emotion", columns.get("emotion")),
        intensity=label(row, "intensity", columns.get("intensity")),
        valence=label(row, "valence", columns.get("valence")),
        arousal=label(row, "arousal", columns.get("arousal")),
        transcript=text("transcript") or None,
        stored=stored,
    )


def _captions(row: Row, column: str | None) -> tuple[str, ...]:
    value = row.values.get(column) if column is not None and row.text(column) else None
    several = value if isinstance(value, list) else [value]
    if wrong := [caption for caption in several if not isinstance(caption, str | None)]:
        raise ValueError(f"'{column}' holds {wrong[0]!r}, expected a caption or a list of captions; correct the table")
    return tuple(" ".join(caption.split()) for caption in several if caption and caption.strip())


class Manifest:
    """The adapter of a table of clips."""

    traits = Traits(one_data_set=False)

    def __init__(self, table: Path, columns: Mapping[str, str]) -> None:
        """Read the table.

        Args:
            table: Table in .csv, .tsv, .jsonl or .parquet; audio paths in it are relative to its folder.
            columns: Our column name -> the table's, where they differ.

        Raises:
            CorpusError: The table or a column is missing, or a key of ``columns`` is not in ``COLUMNS``.
        """
        map_columns(columns, ())
        self.table = table
        found, self.rows = read_rows(table, [columns.get("audio_path", "audio_path"), *columns.values()])
        self.columns = map_columns(columns, found)
        self.has_captions = "caption" in self.columns

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip, in the order of the table."""
        yield from each_row(self.rows, self._read)

    def _read(self, row: Row) -> Utterance:
        column = self.columns["audio_path"]
        path = row.text(column)
        if not path:
            raise ValueError(f"'{column}' is empty; name the audio file")
        if "\0" in path:
            raise ValueError(f"'{column}' is {path!r}; name the audio file")
        return read_clip(row, self.columns, self.table.parent / path, Path(path).stem)
