"""JSONL logs of tracked stages, whose rows belong to attempts (one uid each) and are flushed one by one."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
URI_VARIABLE = "ALIGNCAP_TRACKING_URI"
EXPERIMENT_VARIABLE = "ALIGNCAP_EXPERIMENT"
LOGS = Path("work") / "tracking"
UID_TAG = "aligncap.uid"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing, against other threads and processes.

    The lock is the operating system's: it dies with its holder, and a folder that can only be read has one, too.

    Raises:
        OSError: The folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_log(path: Path) -> list[Row]:
    """Return the rows of a log, without lines that are damaged, such as a last one that a kill cut short."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and {"uid", "kind"} <= row.keys():
                rows.append(row)
    return rows


def attempts_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group rows by the uid of their attempt, in order."""
    attempts: dict[str, list[Row]] = {}
    for row in rows:
        attempts.setdefault(row["uid"], []).append(row)
    return attempts


def status_of(rows: Sequence[Row]) -> str | None:
    """Return the status with which an attempt ended, or None while it is open or has been reopened."""
    marks = [row for row in rows if row["kind"] in ("open", "close")]
    return marks[-1]["status"] if marks and marks[-1]["kind"] == "close" else None


class StageLog:
    """The JSONL log of one stage, opened for one attempt."""

    def __init__(self, path: Path, opening: Row) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        attempts = attempts_of(read_log(path))
        uid, earlier = list(attempts.items())[-1] if attempts else ("", [])
        resumes = bool(earlier) and earlier[0].get("digest") == opening["digest"] and status_of(earlier) != "FINISHED"
        self.uid = uid if resumes else uuid.uuid4().hex
        self.rows: list[Row] = earlier if resumes else []
        self._seen = {(r["step"], r["split"], r["metric"]) for r in self.rows if r["kind"] == "metric"}
        self._lock = threading.Lock()
        self._stream: io.TextIOWrapper = path.open("a", encoding="utf-8")
        if self._stream.tell() and not path.read_bytes().endswith(b"\n"):
            self._stream.write("\n")  # ends a line that a kill cut short
        self.append({"kind": "open", **opening})
        self.opening = self.rows[0]

    def append(self, row: Row) -> None:
        """Add a row, unless it is a value that an earlier, interrupted attempt has already logged for the same step."""
        with self._lock:
            if row["kind"] == "metric":
                key = (row["step"], row["split"], row["metric"])
                if key in self._seen:
                    return
                self._seen.add(key)
            row = {**row, "uid": self.uid}
            self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            self._stream.flush()
            self.rows.append(row)

    def has_curve(self) -> bool:
        """Return whether a metric has been logged."""
        return bool(self._seen)

    def taken(self, start: int) -> list[Row]:
        """Return the rows from number ``start`` on."""
        with self._lock:
            return self.rows[start:]

    def close(self) -> None:
        """Close the file; the rows stay in memory. What a full disk did not take was told when it was appended."""
        with contextlib.suppress(OSError):
            self._stream.close()
