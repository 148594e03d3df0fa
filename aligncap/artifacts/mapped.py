"""Arrays that stay on the disk, so that a corpus may be larger than the memory (ours)."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.storage import storing

ALIGNED = 8  # bytes; every array begins at a multiple of them


def on_disk(arrays: Iterable[NDArray[Any]]) -> list[NDArray[Any]]:
    """Copy arrays into a temporary file, one at a time, and return read-only views of it, in order.

    The system reads a page when it is needed, and drops it where memory is short. The file lies in the folder that
    ``TMPDIR`` names and has no name of its own, so that it is gone when the last view is, also after ``kill -9``.

    Raises:
        StorageError: The disk of that folder is full.
    """
    places: list[tuple[int, tuple[int, ...], np.dtype[Any]]] = []
    with storing(f"{tempfile.gettempdir()}: a temporary file (TMPDIR)"), tempfile.TemporaryFile() as file:
        for array in arrays:
            places.append((file.tell(), array.shape, array.dtype))
            data = array.tobytes()
            file.write(data + bytes(-len(data) % ALIGNED))
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""
    return [np.ndarray(shape, dtype, mapped, place) for place, shape, dtype in places]
