"""Arrays that stay on the disk, so that a corpus may be larger than the memory (ours)."""

from __future__ import annotations

import mmap
import tempfile
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.storage import storing

ALIGNED = 8  # bytes; every array begins at a multiple of them


class OnDisk:
    """Arrays copied into a temporary file, one at a time, and read from it as read-only views, by number.

    The system reads a page when it is needed, and drops it where memory is short. The file lies in the folder that
    ``TMPDIR`` names and has no name of its own, so that it is gone when the last view is, also after ``kill -9``. A
    view is made when it is asked for. Until then 16 bytes in memory tell where an array begins, and which shape and
    type it has; each of these is kept once.

    Args:
        arrays: The arrays, each of which may be dropped once the next is asked for.

    Raises:
        StorageError: The disk of that folder is full.
    """

    def __init__(self, arrays: Iterable[NDArray[Any]]) -> None:
        kinds: dict[tuple[tuple[int, ...], np.dtype[Any]], int] = {}
        self._starts, self._kind_numbers = array("q"), array("q")
        start = 0
        with storing(f"{tempfile.gettempdir()}: a temporary file (TMPDIR)"), tempfile.TemporaryFile() as file:
            for one in arrays:
                self._starts.append(start)
                self._kind_numbers.append(kinds.setdefault((one.shape, one.dtype), len(kinds)))
                data = one.tobytes()
                start += file.write(data + bytes(-len(data) % ALIGNED))
            file.flush()
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if start else b""
        self._kinds = list(kinds)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> NDArray[Any]:
        shape, dtype = self._kinds[self._kind_numbers[number]]
        return np.ndarray(shape, dtype, self._data, self._starts[number])
