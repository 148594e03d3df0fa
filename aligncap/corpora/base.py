"""The adapter interface that every corpus has in the pipeline, and the tables that adapters read."""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aligncap.errors import CorpusError
from aligncap.vocabulary import EMOTIONS

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

    def unlabelled(self) -> Utterance:
        """Return the clip with speaker and language, without captions, labels and transcript."""
        place = self.utterance_id, self.audio_path, self.where
        return Utterance(*place, self.speaker, self.session, self.language, stored=self.stored)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used; ``on_error`` of the corpus decides whether it is skipped or an error."""

    utterance_id: str
    audio_path: str
    reason: str  # one line: problem, place, value and remedy


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
        """Return the stripped text of a cell; empty where the column or the value is absent."""
        value = self.values.get(column) if column is not None else None
        return "" if value is None else str(value).strip()

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
        records = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(
            f"{display(path)}: not a Parquet file ({' '.join(str(error).split())}); write it again"
        ) from None
    return [Row(f"{display(path)}: row {number}", record) for number, record in enumerate(records, start=1)]


def _decoded(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig", errors="surrogateescape")


def _read_csv(path: Path, delimiter: str, quoting: int) -> list[Row]:
    name = display(path)
    text = _decoded(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    rows: list[Row] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if problem := _undecodable("".join(header)):
            raise CorpusError(f"{name}: header: {problem}")
        for cells in reader:
            if not cells:
                continue
            where = f"{name}: line {reader.line_num}"
            if problem := _undecodable("".join(cells)):
                rows.append(Row(where, {}, problem))
            elif len(cells) != len(header):
                wrong = f"{len(cells)} cells, the header has {len(header)}; quote cells that hold a '{delimiter}'"
                rows.append(Row(where, {}, wrong))
            else:
                rows.append(Row(where, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise CorpusError(f"{name}: line {reader.line_num}: not a table ({error}); export it again as UTF-8") from None
    return rows


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
            value = json.loads(line)
            json.dumps(value, ensure_ascii=False).encode()  # refuses lone surrogates, which no artifact can hold
        except (ValueError, RecursionError) as error:
            rows.append(Row(where, {}, f"not JSON ({error}); write one JSON object a line"))
            continue
        if isinstance(value, dict):
            rows.append(Row(where, value))
        else:
            rows.append(Row(where, {}, f"holds {line.strip()[:40]!r}; write one JSON object a line"))
    return rows


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
        except ValueError as error:
            yield row.bad(str(error))


def held_out(utterances: Sequence[Utterance], share: float, seed: int) -> set[str]:
    """Return ids of a part that shares no speaker, session, caption group or caption with the rest (leakage rule 3).

    Utterances that are connected by one of those four stay together. The connected components are shuffled, and taken
    while that brings the part nearer to its share. At least one is taken and one left.

    Raises:
        CorpusError: All utterances are connected.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes: dict[tuple[str, str], int] = {}
    edges = []
    for number, utterance in enumerate(utterances):
        shared = {"speaker": utterance.speaker, "session": utterance.session, "group": utterance.caption_group}
        keys = [*shared.items(), *(("caption", caption) for caption in utterance.captions)]
        edges += [(number, nodes.setdefault((k, v), len(utterances) + len(nodes))) for k, v in keys if v]
    size = len(utterances) + len(nodes)
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    _, labels = connected_components(coo_array(([True] * len(edges), (rows, columns)), shape=(size, size)), False)
    components: dict[int, list[str]] = defaultdict(list)
    for utterance, component in zip(utterances, labels, strict=False):
        components[int(component)].append(utterance.utterance_id)
    if len(components) < 2:
        raise CorpusError("part: all clips hang together by speaker, session or caption, so none can be held out")
    order = [components[key] for key in sorted(components)]
    random.Random(seed).shuffle(order)
    taken = order[0]
    for ids in order[1:-1]:
        if abs(len(taken) + len(ids) - share * len(utterances)) < abs(len(taken) - share * len(utterances)):
            taken = taken + ids
    return set(taken)


def draw(utterances: Sequence[Utterance], seed: int) -> list[Utterance]:
    """Return all utterances in an order in which every beginning is spread evenly over emotions, then speakers.

    The session stands for the speaker where no speaker is known. Equal inputs and seeds give equal orders.
    """
    generator = random.Random(seed)
    waiting: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        waiting[(utterance.emotion or "", utterance.speaker or utterance.session)].append(utterance)
    for group in waiting.values():
        generator.shuffle(group)
    keys = list(waiting)
    generator.shuffle(keys)
    drawn: list[Utterance] = []
    emotions: Counter[str] = Counter()
    speakers: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    while keys:
        key = min(keys, key=lambda k: (emotions[k[0]], speakers[k[1]], pairs[k]))
        drawn.append(waiting[key].pop())
        emotions[key[0]] += 1
        speakers[key[1]] += 1
        pairs[key] += 1
        if not waiting[key]:
            keys.remove(key)
    return drawn
