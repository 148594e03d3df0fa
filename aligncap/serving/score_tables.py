"""The tables that ``aligncap score`` reads: ids, captions and lists of captions in a cell, and ids that are paths."""

from __future__ import annotations

import ast
import io
import json
import os
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from aligncap.corpora.base import Row, display, read_table
from aligncap.errors import CorpusError
from aligncap.serving.sheets import plain

IDS = ("utterance_id", "id", "path", "audio_path", "audio", "file")
PATHS = ("path", "audio_path", "audio", "file")  # the id is made of the path, see ``ids_of_paths``
CAPTIONS = ("caption", "captions", "reference", "references", "caption_en", "text")
QUOTED = ("'", '"')


class Columns(NamedTuple):
    """The columns of a table for ids and captions; None stands for the first of ``IDS`` or ``CAPTIONS`` that it has."""

    identifier: str | None = None
    caption: str | None = None


ANY = Columns()


class Told(NamedTuple):
    """One row: the utterance's id, or the path of its recording, and its captions."""

    name: str
    texts: list[str]
    row: Row


def read_told(path: Path, columns: Columns) -> tuple[list[Told], bool]:
    """Read the rows of a table, and whether their names are paths.

    Raises:
        CorpusError: The table cannot be read, lacks a column, or has a row without id or with a broken list.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file; name a CSV, TSV, JSONL or Parquet table")
    names, rows = read_table(path)
    chosen = []
    for wanted, usual, what in ((columns.identifier, IDS, "id"), (columns.caption, CAPTIONS, "caption")):
        column = wanted or next((name for name in usual if name in names), None)
        if column not in names:
            raise CorpusError(
                f"{display(path)}: no column {wanted or 'for the ' + what}; it has {', '.join(names)}; name the "
                f"column of the {what}"
            )
        chosen.append(column)
    identifier, caption = chosen
    sheet = path.suffix.lower() in (".csv", ".tsv")
    found = []
    for row in rows:
        if row.problem is not None:
            raise CorpusError(f"{row.where}: {row.problem}")
        if sheet:
            row = replace(row, values={column: plain(cell) for column, cell in row.values.items()})
        name = row.text(identifier)
        if not name:
            raise CorpusError(f"{row.where}: '{identifier}' is empty; give each utterance its id")
        try:
            found.append(Told(name, _texts(row.values.get(caption)), row))
        except ValueError as error:
            raise CorpusError(f"{row.where}: '{caption}' {error}") from None
    return found, identifier in PATHS


def _texts(value: Any) -> list[str]:
    """Return the captions of a cell: a text, or a list of texts as such, in JSON or in Python's notation."""
    if value is None:
        return []
    if isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        value = _listed(value.strip())
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"holds {str(value)[:40]!r}, expected a text or a list of texts; correct the table")
    return value


def _listed(cell: str) -> Any:
    """Return the value of a cell in square brackets.

    Raises:
        ValueError: It is no list. Two quoted texts without a comma, as NumPy prints them, are none: Python would join
            them to one.
    """
    try:
        return json.loads(cell)
    except ValueError:
        pass
    try:
        tokens = [
            token.string for token in tokenize.generate_tokens(io.StringIO(cell).readline) if token.string.strip()
        ]
        apart = all(not (a.endswith(QUOTED) and b.startswith(QUOTED)) for a, b in zip(tokens, tokens[1:], strict=False))
        if apart:
            return ast.literal_eval(cell)
    except (ValueError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError):
        pass
    raise ValueError(f"holds {cell[:40]!r}, which is no list in JSON or Python's notation; write it as JSON")


def ids_of_paths(paths: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return the id of each path: the file's name without extension, or more of the path where names are not unique.

    Where they are not, the id is the path below the common folder: ``DC/a01`` and ``JE/a01`` of ``savee/DC/a01.wav``
    and ``savee/JE/a01.wav``. Where the other table does not know these ids, a path is the longest of its ends that is
    an id there and the end of no other id, unless two paths would become one.

    Args:
        paths: Paths of recordings.
        known: Ids of the other table; empty where it has paths as well.
    """
    bare = {path: PurePath(os.path.normpath(path)).with_suffix("").as_posix() for path in paths}
    distinct = set(bare.values())
    usual = {place: place.rpartition("/")[2] for place in distinct}
    if len(set(usual.values())) < len(distinct):
        usual = _below(distinct)
    if not all(name in known for name in usual.values()):
        ends = {end for name in known for end in list(_ends(name))[1:]}
        near = {p: next((end for end in _ends(p) if end in known and end not in ends), usual[p]) for p in distinct}
        if len(set(near.values())) == len(distinct):
            usual = near
    return {path: usual[place] for path, place in bare.items()}


def _below(places: Collection[str]) -> dict[str, str]:
    try:
        common = os.path.commonpath([os.path.dirname(place) for place in places])
    except ValueError:  # some are absolute, some are not
        common = ""
    return {place: os.path.relpath(place, common) if common else place for place in places}


def _ends(name: str) -> Iterator[str]:
    """Yield ``a/b/c``, ``b/c`` and ``c`` of ``a/b/c``."""
    while name:
        yield name
        name = name.partition("/")[2]
