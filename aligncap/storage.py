"""Files that appear whole or not at all, locks that die with their holder, and one line where a disk takes no more.

Everything that the pipeline stores is written through ``atomic_path``, or within ``storing``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aligncap.errors import StorageError

# What nothing but writing raises, and what reading raises, too.
WRITING = {
    errno.ENOSPC: "the disk is full; free some space on it",
    errno.EDQUOT: "the quota of this user on the disk is used up; free some space of it",
    errno.EFBIG: "the file would be larger than 'ulimit -f' or the file system allows; raise that limit",
    errno.EROFS: "the file system is mounted read-only; mount it so that it can be written",
}
RIGHTS = {
    errno.EACCES: "this user may not write there; change the rights of the folder",
    errno.EPERM: "the file or its folder is protected; change its rights or attributes",
}
MAKING = WRITING | RIGHTS
AGAIN = "and run the same command again"
OF_RUST = re.compile(r"\(os error (\d+)\)")  # how safetensors tells the number


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = OF_RUST.search(str(error))
    return int(told[1]) if told else None


@contextlib.contextmanager
def storing(path: str | Path, reasons: dict[int, str] = WRITING) -> Iterator[None]:
    """Turn the error of a disk that takes no more, whatever library raises it, into one line that names the file.

    Args:
        path: File that is being stored, for the message.
        reasons: Error numbers of the operating system with what each means. The default leaves those out that reading
            raises, too, so that the body may read other files; ``MAKING`` has them all.

    Raises:
        StorageError: The body raised an error with one of these numbers.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        reason = reasons.get(_number(error) or 0)
        if reason is None:
            raise
        raise StorageError(f"{path}: cannot be stored: {reason}, {AGAIN}") from error


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which replaces ``path`` on success and is removed on failure.

    Raises:
        StorageError: The disk is full, or the folder cannot be written; ``path`` is as it was before.
    """
    target = Path(path)
    with storing(path, MAKING):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        with storing(path):
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        temporary.chmod(0o644)
        with storing(path, MAKING):
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_beside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside another one, in which that is built and then renamed; it is removed at the end.

    Raises:
        StorageError: The disk is full, or the folder above cannot be written.
    """
    with storing(folder, MAKING):
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.")
    with place as scratch:
        yield Path(scratch)


def write_text(text: str, path: str | Path) -> None:
    """Write a UTF-8 text file atomically. Raises as ``atomic_path``."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: Any, path: str | Path) -> None:
    """Write sorted, indented JSON atomically. Raises as ``atomic_path``."""
    write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def same_place(one: str | None, other: str | None, nested: bool) -> bool:
    """Whether two paths are one place, however they are written; None is no place.

    Args:
        one: A path.
        other: Another one.
        nested: Whether a folder and what lies in it count as one place, too.
    """
    if one is None or other is None:
        return False
    first, second = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    return first == second or (nested and (first in second.parents or second in first.parents))


def claim(path: str | Path) -> int | None:
    """Take the lock of a file or folder for as long as this process lives; a file is made where it is missing.

    Returns:
        A descriptor that holds the lock until it is closed, also in child processes that inherit it; None where
        somebody else holds it.

    Raises:
        StorageError: The file cannot be made.
    """
    place = Path(path)
    with storing(path, MAKING):
        place.parent.mkdir(parents=True, exist_ok=True)
        how = os.O_RDONLY if place.is_dir() else os.O_RDWR | os.O_CREAT
        descriptor = os.open(place, how, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a network file system may have no locks
        pass
    return descriptor
