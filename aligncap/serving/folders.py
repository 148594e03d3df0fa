"""Captioning of many files: the selection of files, and a table of captions that survives a killed run.

During a run each batch is appended to a journal beside the table and fsynced. At the end, or on Ctrl-C, both become the
new table in one rename (for a watched folder whenever all files so far are captioned). After ``kill -9`` the next run
reads the journal. So the table is complete at any time, and at most the current batch is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from aligncap import artifacts
from aligncap.artifacts.schemas import SCHEMAS
from aligncap.errors import ArtifactError, AudioError
from aligncap.serving import sheets
from aligncap.speech.audio import channel_of
from aligncap.speech.decoders import told_seconds
from aligncap.storage import MAKING, storing

Format = Literal["json", "csv", "parquet"]
SCHEMA = "file_captions"
COLUMNS = tuple(SCHEMAS[SCHEMA].names)
FORMATS: dict[str, Format] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
AUDIO = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .au .caf .flac .m4a .mka .mkv .mov .mp2 .mp3 .mp4 .oga .ogg .opus .w64 .wav .weba "
    ".webm .wma".split()
)
NAMED = 6  # kinds of other files that a message names
BYTES_A_SECOND = 16_000  # assumed where a file's header gives no duration, only for sorting

Row = dict[str, Any]


def find_files(arguments: Sequence[str], listed: str = "") -> tuple[list[Path], Counter[str]]:
    """Return the files to caption.

    Args:
        arguments: Files, folders (searched recursively for audio by extension, but not what is hidden by a leading
            dot), glob patterns (``**`` too), and ``-`` for ``listed``.
        listed: Text with one path per line, or separated by NUL as ``find -print0`` does.

    Returns:
        The files in order, those of a folder sorted, and how many other files of each extension are in folders.

    Raises:
        AudioError: A folder or a pattern has no audio, or an argument is empty.
    """
    files: list[Path] = []
    passed: Counter[str] = Counter()
    for argument in arguments:
        if not argument:  # Path("") would be the current folder
            raise AudioError("'': an empty path, perhaps of an unset variable; name a file, a folder or a pattern")
        if argument == "-":
            lines = listed.split("\0") if "\0" in listed else listed.splitlines()
            files += [Path(line) for line in lines if line.strip()]
            continue
        pattern = any(sign in argument for sign in "*?[") and not os.path.lexists(argument)
        places = [Path(place) for place in sorted(glob.glob(argument, recursive=True))] if pattern else [Path(argument)]
        found: list[Path] = []
        others: Counter[str] = Counter()
        for place in places:
            # a link to a file that is gone is named like any file that cannot be read
            searched = os.path.isdir(place)  # unlike Path.is_dir, false where a name is too long or not allowed
            inside = sorted(filter(_is_file_or_gone, _below(place))) if searched else [place]
            audio = [path for path in inside if path.suffix.lower() in AUDIO] if searched else inside
            others.update(path.suffix.lower() for path in set(inside).difference(audio))
            found += audio
        if not found:
            told = f" but {extensions(others)}" if others else ""
            raise AudioError(f"{argument}: holds no audio file{told}; name a file, a folder or a pattern that does")
        passed += others
        files += found
    return files, passed


def extensions(counted: Counter[str]) -> str:
    """Return counts of extensions in words: "2 .txt, 1 .docx"; the most frequent come first, the rest as one count."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{count} {extension or 'without an extension'}" for extension, count in ordered[:NAMED]]
    rest = sum(count for _, count in ordered[NAMED:])
    return ", ".join([*told, f"{rest} others"] if rest else told)


def _is_file_or_gone(path: Path) -> bool:
    return os.path.isfile(path) or not os.path.exists(path)


def _below(folder: Path) -> Iterator[Path]:
    """What a folder holds at any depth, but not what is hidden, such as .git, .venv and the ._a.wav of macOS."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def arrivals(folder: Path, every_s: float = 1.0) -> Iterator[list[Path]]:
    """Yield the audio files of a folder as they arrive, without end; existing ones first, then new and changed ones.

    A file is yielded once two checks found it unchanged, so that files still being copied or recorded are not read.

    Args:
        folder: Folder that is searched recursively, by extension as in ``find_files``.
        every_s: Seconds between two checks.

    Yields:
        The files that have arrived, sorted; the list is never empty.

    Raises:
        AudioError: The folder does not exist.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder}: no such folder; --watch takes a folder that files come into")
    before: dict[Path, tuple[int, int]] = {}
    told: dict[Path, tuple[int, int]] = {}
    while True:
        now = {path: (stat.st_size, stat.st_mtime_ns) for path, stat in _audio_below(folder)}
        come = {path: mark for path, mark in now.items() if before.get(path) == mark != told.get(path)}
        if come:
            yield sorted(come)
        before, told = now, told | come
        time.sleep(every_s)


def _audio_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in _below(folder):
        if path.suffix.lower() in AUDIO:
            try:
                if path.is_file():
                    yield path, path.stat()
            except OSError:  # it was moved away in the meantime, or may not be looked at
                continue


def require_utf8(path: Path) -> None:
    """Raise ``AudioError`` for a path that no table could hold."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise AudioError(f"{os.fsencode(path)!r}: its name is not UTF-8; rename it") from None


def by_length(files: Sequence[Path]) -> list[Path]:
    """Sort the files by the duration in their headers, shortest first, so that batches need little padding."""

    def seconds(path: Path) -> float:
        try:
            path = channel_of(path)[0]
            told = told_seconds(path) if path.is_file() else 0.0
            return path.stat().st_size / BYTES_A_SECOND if told is None else told
        except OSError:  # what it is will be told when it is read
            return 0.0

    return sorted(files, key=seconds)


def format_rows(rows: Iterable[Mapping[str, Any]], style: Format, header: bool = True) -> str:
    """Format rows as JSON Lines, or as the flat CSV of ``aligncap.serving.sheets``."""
    if style == "json":
        return "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)
    return sheets.format_csv(rows, header)


def read_captions(path: Path, style: Format) -> list[Row]:
    """Read the rows of a table that ``CaptionTable`` wrote.

    Raises:
        ArtifactError: The file is another table.
    """
    try:
        if style == "parquet":
            return artifacts.read_rows(path, SCHEMA)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if style == "csv":
                return sheets.read_csv(stream)
            rows: list[Row] = list(map(json.loads, stream))
        for row in rows:
            if set(row) != set(COLUMNS):
                raise ValueError(f"columns {', '.join(map(str, row))}")
        return rows
    except (ValueError, TypeError, OSError, ArtifactError) as error:
        raise ArtifactError(
            f"{path}: is no table of captions that could be continued ({' '.join(str(error).split())}); "
            "give another --out"
        ) from None


class CaptionTable:
    """A table of captions that is being written by one process at a time. Use it in a ``with`` statement.

    A relative path of a file is kept relative to the folder of the table, or absolute where the file is not below it,
    so that it leads to the file from wherever the table is continued.

    Args:
        path: Table as .jsonl, .csv or .parquet; continued where it exists.
        style: Format of the table.
        model: Name of the checkpoint; a table of another one is refused.
    """

    def __init__(self, path: Path, style: Format, model: str) -> None:
        self.path, self.style, self.model = path, style, model
        self._journal = path.with_name(f".{path.name}.part")
        self._rows: dict[str, Row] = {}
        self._order: dict[str, int] = {}

    def __enter__(self) -> CaptionTable:
        """Take the lock, and read the existing rows.

        Raises:
            ArtifactError: Another run writes the table, or it is another kind of table or from another model.
        """
        with storing(self.path, MAKING):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._journal.open("a+b")
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._keep(read_captions(self.path, self.style) if self.path.is_file() else [])
            self._keep(self._journalled())
        except BlockingIOError:
            self._stream.close()
            raise ArtifactError(f"{self.path}: another run is writing it; wait for it, or give another --out") from None
        except BaseException:
            if not self._journal.stat().st_size:
                self._journal.unlink()
            self._stream.close()
            raise
        return self

    def _journalled(self) -> list[Row]:
        """Return the rows of complete lines, and cut off a line that a killed run left incomplete."""
        self._stream.seek(0)
        whole = self._stream.read().rpartition(b"\n")[0]
        self._stream.truncate(len(whole) + 1 if whole else 0)
        return [json.loads(line) for line in whole.splitlines()]

    def _keep(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if row["model"] != self.model:
                raise ArtifactError(
                    f"{self.path}: holds captions of {row['model']}, this is {self.model}; give another --out"
                )
            self._rows[os.path.abspath(self.path.parent / row["path"])] = row

    def _placed(self, row: Row) -> Row:
        """Return the row with its path as the table has it."""
        if os.path.isabs(row["path"]):
            return row
        beside = os.path.relpath(row["path"], self.path.parent)
        outside = beside.split(os.sep)[0] == os.pardir
        return {**row, "path": os.path.abspath(row["path"]) if outside else beside}

    def missing(self, files: Sequence[Path]) -> list[Path]:
        """Return the files without a caption, each once; the table will have the order of ``files``."""
        self._order = {place: number for number, place in enumerate(dict.fromkeys(map(os.path.abspath, files)))}
        named = {os.path.abspath(path): path for path in reversed(files)}
        return [named[place] for place in self._order if place not in self._rows]

    def append(self, rows: Sequence[Row]) -> None:
        """Store one batch in the journal; paths are relative to the working directory, or absolute."""
        rows = [self._placed(row) for row in rows]
        self._keep(rows)  # first, because after a Ctrl-C within this function the table is made of what is kept
        with storing(self.path):
            self._stream.write(format_rows(rows, "json").encode())
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def save(self) -> None:
        """Write all rows to the table, and empty the journal."""
        if self._rows:
            last = len(self._order)
            rows = [self._rows[place] for place in sorted(self._rows, key=lambda place: self._order.get(place, last))]
            if self.style == "parquet":
                artifacts.write([{name: row[name] for name in COLUMNS} for row in rows], self.path, SCHEMA, "caption")
            else:
                artifacts.write_text(format_rows(rows, self.style), self.path)
        with storing(self.path):
            self._stream.truncate(0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save the table, and delete the journal."""
        try:
            self.save()
            self._journal.unlink(missing_ok=True)
        finally:
            with contextlib.suppress(OSError):  # a full disk, which has been told
                self._stream.close()
