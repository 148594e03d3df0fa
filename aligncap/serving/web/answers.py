"""Answers of annotators in SQLite: one row per question and person, with the captions shown."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from aligncap.errors import ArtifactError, StorageError
from aligncap.serving.web.tasks import Task

Choice = Literal["first", "second", "both_fine", "both_hallucinate"]  # of Task.captions, wherever the page shows them
CHOICES: tuple[Choice, ...] = get_args(Choice)
VERSION = 1
TABLE = """
CREATE TABLE IF NOT EXISTS answers (
  task TEXT NOT NULL,
  annotator TEXT NOT NULL COLLATE NOCASE,
  choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'both_fine', 'both_hallucinate')),
  shown_first TEXT NOT NULL CHECK (shown_first IN ('first', 'second')),
  plays INTEGER NOT NULL,
  source TEXT NOT NULL,
  corpus TEXT NOT NULL,
  utterance_id TEXT NOT NULL,
  first_system TEXT NOT NULL,
  second_system TEXT NOT NULL,
  first_caption TEXT NOT NULL,
  second_caption TEXT NOT NULL,
  answered_at TEXT NOT NULL,
  PRIMARY KEY (task, annotator)
)
"""


@dataclass(frozen=True)
class Answer:
    """The answer of one person to one question."""

    task: str
    annotator: str
    choice: Choice
    source: str
    corpus: str
    utterance_id: str
    first_caption: str
    second_caption: str
    plays: int


class Answers:
    """The file of answers. Every method is one transaction, so a killed server loses no confirmed answer.

    Args:
        path: SQLite file, created where it does not exist.

    Raises:
        ArtifactError: The file is no SQLite file of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(self._open()) as database, database:
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version not in (0, VERSION):
                    raise ArtifactError(f"{path}: answers of version {version}, expected {VERSION}; name another file")
                database.execute(TABLE)
                database.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            raise ArtifactError(f"{path}: not a file of answers ({error}); name another file") from error

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Give the file for one transaction.

        Raises:
            StorageError: It cannot be written, such as on a full disk.
        """
        try:
            with self._lock, closing(self._open()) as database, database:
                yield database
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path}: cannot be stored: {error}; free some space, or let this user write there"
            ) from error

    def put(self, task: Task, annotator: str, choice: Choice, shown_first: Choice, plays: int) -> None:
        """Store an answer, in place of an earlier one of the same person to the same question."""
        with self._changing() as database:
            name, *others = [*_spellings(database, annotator), annotator]  # the first one stays
            row = (
                *(task.key, name, choice, shown_first, plays, task.source, task.corpus, task.utterance_id),
                *(*task.systems, *task.captions, datetime.now(UTC).isoformat(timespec="milliseconds")),
            )
            _delete(database, task.key, others)
            database.execute(f"INSERT OR REPLACE INTO answers VALUES ({', '.join('?' * len(row))})", row)

    def answered(self, annotator: str) -> list[str]:
        """Return keys of the questions that a person answered, in the order of answering; names ignore case."""
        query = "SELECT task, annotator FROM answers ORDER BY answered_at, rowid"
        with closing(self._open()) as database:
            rows = database.execute(query).fetchall()
        return list(dict.fromkeys(task for task, name in rows if name.casefold() == annotator.casefold()))

    def remove(self, annotator: str, task: str) -> None:
        """Delete the answer of a person to a question."""
        with self._changing() as database:
            _delete(database, task, _spellings(database, annotator))

    def all(self, tasks: Sequence[str] | None = None) -> list[Answer]:
        """Return all answers by question and name, or with ``tasks`` only those to these questions.

        A person has one name, the first spelling. Of two answers to a question, which a file of an earlier version may
        hold of a name such as "Jörg" in two cases, the later one counts.
        """
        fields = ", ".join(Answer.__dataclass_fields__)
        with closing(self._open()) as database:
            rows = database.execute(f"SELECT {fields} FROM answers ORDER BY answered_at, rowid").fetchall()
        kept = None if tasks is None else set(tasks)
        names: dict[str, str] = {}
        found: dict[tuple[str, str], Answer] = {}
        for answer in (Answer(*row) for row in rows):
            name = names.setdefault(answer.annotator.casefold(), answer.annotator)
            if kept is None or answer.task in kept:
                found[answer.task, name] = replace(answer, annotator=name)
        return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1].casefold()))]


def _spellings(database: sqlite3.Connection, annotator: str) -> list[str]:
    """Return the spellings of a person's name, the first one in front; SQLite ignores the case of ASCII alone."""
    rows = database.execute("SELECT annotator FROM answers GROUP BY annotator ORDER BY min(answered_at)").fetchall()
    return [name for (name,) in rows if name.casefold() == annotator.casefold()]


def _delete(database: sqlite3.Connection, task: str, names: Sequence[str]) -> None:
    database.executemany("DELETE FROM answers WHERE task = ? AND annotator = ?", [(task, name) for name in names])
