"""Answers of annotators in SQLite: one row per question and person, with the captions shown."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from aligncap.errors import ArtifactError
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

    def put(self, task: Task, annotator: str, choice: Choice, shown_first: Choice, plays: int) -> None:
        """Store an answer, in place of an earlier one of the same person to the same question."""
        row = (
            *(task.key, annotator, choice, shown_first, plays, task.source, task.corpus, task.utterance_id),
            *(*task.systems, *task.captions, datetime.now(UTC).isoformat(timespec="milliseconds")),
        )
        with self._lock, closing(self._open()) as database, database:
            database.execute(f"INSERT OR REPLACE INTO answers VALUES ({', '.join('?' * len(row))})", row)

    def answered(self, annotator: str) -> list[str]:
        """Return keys of the questions that a person answered, in the order of answering; names ignore case."""
        query = "SELECT task FROM answers WHERE annotator = ? ORDER BY answered_at, rowid"
        with closing(self._open()) as database:
            return [key for (key,) in database.execute(query, (annotator,))]

    def remove(self, annotator: str, task: str) -> None:
        """Delete the answer of a person to a question."""
        with self._lock, closing(self._open()) as database, database:
            database.execute("DELETE FROM answers WHERE annotator = ? AND task = ?", (annotator, task))

    def all(self, tasks: Sequence[str] | None = None) -> list[Answer]:
        """Return all answers by question and name, or with ``tasks`` only those to these questions."""
        fields = ", ".join(Answer.__dataclass_fields__)
        with closing(self._open()) as database:
            rows = database.execute(f"SELECT {fields} FROM answers ORDER BY task, annotator").fetchall()
        kept = None if tasks is None else set(tasks)
        return [answer for answer in (Answer(*row) for row in rows) if kept is None or answer.task in kept]
