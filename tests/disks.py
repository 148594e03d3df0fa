"""Disks that take no more, for tests: a small file system in memory that is full or read-only, limits, and rights."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SIZE = 32 * 2**20
NOBODY = 65534
SPARE = ".filler"


@contextlib.contextmanager
def mounted(folder: Path, size: int = SIZE) -> Iterator[Path]:
    """A file system of its own of so many bytes, for root alone."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "aligncap-test", folder], capture_output=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def full(disk: Path, room: int) -> Iterator[None]:
    """Nothing but ``room`` bytes, in whole pages, are left."""
    state = os.statvfs(disk)
    pages = state.f_bavail - room // state.f_bsize
    filler = disk / SPARE
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, pages * state.f_bsize)
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def limited(disk: Path, room: int) -> Iterator[None]:
    """No file may grow beyond ``room`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(disk: Path, room: int) -> Iterator[None]:
    """The file system can only be read."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


@contextlib.contextmanager
def of_another(disk: Path, room: int) -> Iterator[None]:
    """The files belong to another user."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


FAULTS = {
    "full": (full, "the disk is full; free some space"),
    "limited": (limited, "larger than 'ulimit -f' or the file system allows"),
    "read-only": (read_only, "mounted read-only"),
    "another-user": (of_another, "this user may not write there"),
}
