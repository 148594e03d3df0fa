"""The adapter interface that every corpus has in the pipeline, and the tables that adapters read."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aligncap.errors import CorpusError, message
from aligncap.vocabulary import EMOTIONS

logger = logging.getLogger(__name__)

LEVELS = ("low", "mid", "high")
INTENSITIES = ("normal", "strong")
VALUES = {"emotion": (*EMOTIONS, "other"), "intensity": INTENSITIES, "valence": LEVELS, "arousal": LEVELS}
# Names of published corpora for our emotions, and for emotions outside our set.
ALIASES = {
    "anger": "angry",
    "happiness": "happy",
    "joy": "happy",
    "excited": "happy",  # merged as in most work on IEMOCAP
    "excitement": "happy",
    "sadness": "sad",
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgusted",
    "contempt": "contemptuous",
    "worry": "worried",
    "relax": "calm",
    "relaxed": "calm",
    **dict.fromkeys(("bored", "boredom", "frustrated", "frustration", "disappointed", "sarcastic"), "other"),
}


@dataclass(frozen=True)
class Utterance:
    """One clip as its corpus describes it."""

    utterance_id: str
    audio_path: Path  # relative to the working directory, or absolute
    where: str  # file and row that it comes from, for messages
    speaker: str = ""  # empty where unknown
    session: str = ""  # empty where unknown
    language: str = ""  # ISO 639-1; empty where the corpus does not say
    captions: tuple[str, ...] = ()  # the corpus's own; empty for a corpus with labels only
    caption_group: str | None = None
    emotion: str | None = None  # one of aligncap.clues.EMOTIONS, or "other"
    intensity: str | None = None  # normal or strong
    valence: str | None = None  # low, mid or high
    arousal: str | None = None  # low, mid or high
    transcript: str | None = None
    stored: Callable[[], bytes] | None = None  # reads audio inside an archive, for ``prepare_corpus`` to write
    missing: str = ""  # one line for the case that there is no file, where the adapter knows more than its path

    def unlabelled(self) -> Utterance:
        """Return the clip with speaker and language, without captions, labels and transcript."""
        place = self.utterance_id, self.audio_path, self.where
        return Utterance(*place, self.speaker, self.session, self.language, stored=self.stored, missing=self.missing)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used; ``on_error`` of the corpus decides whether it is skipped or an error."""

    utterance_id: str
    audio_path: str
    reason: str  # one line: problem, place, value and remedy

    def __post_init__(self) -> None:
        """Escape what no artifact can hold (bytes of a file name that are not UTF-8), and keep to one short line."""
        for name, text in vars(self).items():
            object.__setattr__(self, name, message(text))


class CorpusAdapter(Protocol):
    """The reader of one corpus format. It decodes no audio, which ``prepare_corpus`` does for all adapters."""

    has_captions: bool  # every utterance must carry captions of its own

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip in the order of the corpus, or the problem of its row.

        Raises:
            CorpusError: The corpus as a whole is unusable: the folder or a column is missing, or it is empty.
        """
        ...


@dataclass(frozen=True)
class Row:
    """One row of a table, or its problem."""

    where: str  # "folder/table.csv: row 3"
    values: Mapping[str, Any]
    problem: str | None = None

    def text(self, column: str | None) -> str:
        """Return the stripped text of a cell; empty where the column or the value is absent or not a number."""
        value = self.values.get(column) if column is not None else None
        return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()

    def identifier(self, column: str | None) -> str:
        """Return the text of a cell that names a clip, a speaker or a session.

        Raises:
            ValueError: It is no text, or such as 12.0, which differs from the name in files and in other rows.
        """
        text = self.text(column)
        if isinstance(self.values.get(column or ""), list | dict | bytes | bool):
            raise ValueError(f"'{column}' is {text[:40]}, expected text; correct the table")
        if re.fullmatch(r"-?\d+\.0+", text):
            whole = text.partition(".")[0]
            raise ValueError(
                f"'{column}' is {text}, a whole number that pandas or a spreadsheet made a fraction, as they do where "
                f"cells are empty; write {whole} (in pandas: read the table with dtype=str)"
            )
        return text

    def bad(self, reason: str, utterance_id: str = "", audio_path: str = "") -> BadRow:
        """Return this row as an unusable one."""
        return BadRow(utterance_id, audio_path, f"{self.where}: {reason}")


def display(path: str | Path) -> str:
    """Return a path for messages and artifacts, relative to the working directory, so that none is absolute."""
    return os.path.relpath(path)


def _undecodable(text: str) -> str | None:
    """Return a message about the first byte of a surrogate-escaped text that is not UTF-8, or None if there is none."""
    wrong = next((character for character in text if "\udc80" <= character <= "\udcff"), None)
    if wrong is None:
        return None
    return f"byte 0x{ord(wrong) - 0xDC00:02x} is not UTF-8; save the file as UTF-8"


def read_table(
    path: Path, quoting: int = csv.QUOTE_MINIMAL, delimiter: str | None = None
) -> tuple[list[str], list[Row]]:
    """Read a CSV, TSV, JSONL or Parquet table.

    Args:
        path: Table, whose extension determines the format.
        quoting: Constant of the csv module; ``csv.QUOTE_NONE`` for tables that use quotation marks as plain text.
        delimiter: Text between the cells of a CSV; None stands for a comma, or a tab in a TSV.

    Returns:
        The column names, and the rows. A single broken row carries its ``problem``.

    Raises:
        CorpusError: The file is missing, of an unknown format, or broken as a whole.
    """
    name = display(path)
    if not path.is_file():
        raise CorpusError(f"{name}: no such file; set 'root' of the corpus to where it lies")
    try:
        refuse_pointer(path)
    except OSError as error:
        raise CorpusError(f"{name}: cannot be read: {error.strerror or error}") from None
    kind = path.suffix.lower()
    if kind == ".parquet":
        rows = _read_parquet(path)
    elif kind in (".csv", ".tsv"):
        rows = _read_csv(path, delimiter or ("," if kind == ".csv" else "\t"), quoting)
    elif kind in (".jsonl", ".ndjson"):
        rows = _read_jsonl(path)
    else:
        raise CorpusError(f"{name}: extension '{kind}', expected .csv, .tsv, .jsonl or .parquet; convert the table")
    if not rows:
        raise CorpusError(f"{name}: has no rows; put one row a clip into it")
    columns = list(dict.fromkeys(column for row in rows for column in row.values))
    return columns, rows


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if problem := _repeated(pq.read_schema(path).names):
            raise CorpusError(f"{display(path)}: columns: {problem}")
        table = pq.read_table(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
        raise CorpusError(
            f"{display(path)}: not a Parquet file ({' '.join(str(error).split())}); write it again"
        ) from None
    rows = []
    for number in range(table.num_rows):
        where = f"{display(path)}: row {number + 1}"
        try:
            rows.append(Row(where, table.slice(number, 1).to_pylist()[0]))
        except (ValueError, ArithmeticError, LookupError) as error:  # no UTF-8, a year 300000, a time zone of Mars
            told = " ".join(str(error).split())[:200]
            rows.append(Row(where, {}, f"cannot be read ({told}); write the table again, as texts in UTF-8"))
    return rows


def _decoded(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig", errors="surrogateescape")


def _read_csv(path: Path, delimiter: str, quoting: int) -> list[Row]:
    name = display(path)
    lines = list(io.StringIO(_decoded(path), newline=""))
    rows: list[Row] = []
    header: list[str] | None = None
    start = 0
    while start < len(lines):
        cells, taken, problem = _record(lines, start, delimiter, quoting)
        where = f"{name}: line {start + taken}"
        if header is None:
            header = [cell.strip() for cell in cells]
            if problem := problem or _undecodable("".join(header)) or _repeated(header):
                raise CorpusError(f"{name}: header: {problem}")
        elif cells or problem:
            problem = problem or _undecodable("".join(cells))
            if problem is None and len(cells) != len(header):
                remedy = "close its quotation marks" if taken > 1 else f"quote cells that hold a '{delimiter}'"
                problem = f"{len(cells)} cells, the header has {len(header)}; {remedy}"
            if problem is not None:
                taken, where = 1, f"{name}: line {start + 1}"  # a stray quotation mark takes no further row with it
            rows.append(Row(where, {} if problem else dict(zip(header, cells, strict=True)), problem))
        start += taken
    return rows


def _repeated(names: Sequence[str]) -> str | None:
    """Return what is wrong with names of columns of which one would hide another."""
    twice = next((name for name, count in Counter(names).items() if name and count > 1), None)
    return None if twice is None else f"'{twice}' is there twice; rename or remove one"


def _record(lines: Sequence[str], start: int, delimiter: str, quoting: int) -> tuple[list[str], int, str | None]:
    """Return the cells of the record that begins at a line, the number of its lines, and what is wrong with it."""
    options: Any = {"delimiter": delimiter, "quoting": quoting}
    reader = csv.reader((lines[number] for number in range(start, len(lines))), **options)
    try:
        cells = next(reader, [])
        if reader.line_num > 1 and start + reader.line_num == len(lines):
            list(csv.reader(lines[start:], strict=True, **options))  # only this tells whether the last cell is closed
    except csv.Error as error:
        return [], reader.line_num, f"not a row of a table ({error}); close its quotation marks, or export it again"
    return cells, reader.line_num, None


def _read_jsonl(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{display(path)}: line {number}"
        if problem := _undecodable(line):
            rows.append(Row(where, {}, problem))
            continue
        try:
            rows.append(Row(where, parse_object(line)))
        except ValueError as error:
            rows.append(Row(where, {}, f"{error}; write one JSON object a line"))
    return rows


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if problem := _repeated([name for name, _ in pairs]):
        raise ValueError(problem)
    return dict(pairs)


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text. Raises ``ValueError`` where there is none, or no artifact could hold it."""
    try:
        value = json.loads(text, object_pairs_hook=_each_once)
        json.dumps(value, ensure_ascii=False).encode()  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"holds {text.strip()[:40]!r}")
    return value


def refuse_pointer(path: Path) -> None:
    """Raise ``OSError`` for a file that cannot be read, or is a pointer that Git LFS left in place of it."""
    from aligncap.speech.audio import LFS

    with path.open("rb") as stream:
        if stream.read(len(LFS)) == LFS:
            raise OSError("is a Git LFS pointer, not the file; fetch it with 'git lfs pull'")


def read_text(path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """Return the text of a file in the first encoding that fits; U+FFFD stands for what the last one does not know.

    Raises:
        OSError: The file cannot be read, or is a pointer of Git LFS.
    """
    refuse_pointer(path)
    data = path.read_bytes()
    tried = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else encodings
    for encoding in tried:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode(tried[-1], errors="replace")


def transcript_lines(path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> list[str]:
    """Return the lines of a file with transcripts that clips can do without, because the ASR writes what is missing.

    Lines that are in none of the encodings are left out, and so is a file that cannot be read, each with a warning.
    """
    try:
        lines = read_text(path, encodings).splitlines()
    except OSError as error:
        logger.warning("%s: %s, so the ASR writes its transcripts", display(path), error.strerror or error)
        return []
    whole = [line for line in lines if "\ufffd" not in line]
    if len(whole) < len(lines):
        number = next(number for number, line in enumerate(lines, start=1) if "\ufffd" in line)
        logger.warning(
            "%s: line %d: bytes that are not %s, so the ASR writes this transcript; save the file as UTF-8",
            display(path),
            number,
            " or ".join(encodings),
        )
    return whole


def read_rows(
    path: Path, wanted: Sequence[str], quoting: int = csv.QUOTE_MINIMAL, delimiter: str | None = None
) -> tuple[list[str], list[Row]]:
    """Read a table as ``read_table`` does, and raise ``CorpusError`` where it lacks a wanted column.

    A table all of whose rows are broken has no columns; its rows tell why.
    """
    columns, rows = read_table(path, quoting, delimiter)
    if any(row.problem is None for row in rows):
        require_columns(path, columns, wanted)
    return columns, rows


def require_columns(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise ``CorpusError`` where a table lacks a column."""
    if missing := [column for column in wanted if column not in columns]:
        raise CorpusError(
            f"{display(path)}: no column {', '.join(map(repr, missing))}; it has {', '.join(columns) or 'none'}"
        )


def label(row: Row, kind: str, column: str | None) -> str | None:
    """Return a label of ``VALUES`` from a cell, lower-cased and with aliases resolved; None where the cell is empty.

    Raises:
        ValueError: The cell has another value; the message names it and the possible ones.
    """
    value = row.text(column).lower()
    value = ALIASES.get(value, value) if kind == "emotion" else value
    if value and value not in VALUES[kind]:
        raise ValueError(f"{kind} {row.text(column)!r}, expected one of {', '.join(VALUES[kind])}; correct the table")
    return value or None


def third(row: Row, column: str) -> str | None:
    """Return low, mid or high for a rating from 1 to 5 in a cell; None where the cell is empty. The thirds are ours.

    Raises:
        ValueError: The cell is not a number from 1 to 5.
    """
    text = row.text(column)
    try:
        value = float(text or "nan")
    except ValueError:
        value = 0.0
    if not text:
        return None
    if not 1 <= value <= 5:
        raise ValueError(f"{column} {text!r}, expected a number from 1 to 5; correct the table")
    return "low" if value < 2.5 else "high" if value > 3.5 else "mid"


def each_row(rows: Sequence[Row], read: Callable[[Row], Utterance | BadRow]) -> Iterator[Utterance | BadRow]:
    """Apply ``read`` to every row; a broken row, or one for which ``read`` raises ``ValueError``, becomes a bad row."""
    for row in rows:
        if row.problem is not None:
            yield row.bad(row.problem)
            continue
        try:
            yield read(row)
        except (ValueError, OSError) as error:  # such as a file name that is too long
            yield row.bad(str(error))
