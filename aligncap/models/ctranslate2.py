"""A reader of CTranslate2's ``model.bin`` (binary version 6), which holds named arrays and no code.

The little-endian layout is: version u32; specification name; revision u32; number of variables u32; for each variable
its name, rank u8, dimensions u32, type u8, bytes u32, data; number of aliases u32; aliases as pairs of names. A string
is its length u16 and its bytes with a closing zero. CTranslate2 writes this format but has no public reader of it.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncap.errors import ModelError

DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
VERSION = 6


def read_variables(path: Path) -> dict[str, NDArray]:
    """Read the arrays by name; an alias maps to the array of its target.

    Raises:
        ModelError: The file has another version or an unsupported type, or was cut short.
    """
    data = path.read_bytes()
    at = 0

    def take(form: str) -> tuple:
        nonlocal at
        values = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return values

    def text() -> str:
        nonlocal at
        (length,) = take("H")
        at += length
        return data[at - length : at].rstrip(b"\0").decode()

    try:
        (version,) = take("I")
        if version != VERSION:
            raise ModelError(f"{path.name}: CTranslate2 file version {version}, this reads {VERSION}")
        text()
        _, count = take("II")
        variables: dict[str, NDArray] = {}
        for _ in range(count):
            name = text()
            (rank,) = take("B")
            shape = take(f"{rank}I")
            kind, size = take("BI")
            if kind not in DTYPES:
                raise ModelError(f"{path.name}: {name} has CTranslate2 type {kind}, which is not read here")
            variables[name] = np.frombuffer(data, DTYPES[kind], size // np.dtype(DTYPES[kind]).itemsize, at).reshape(
                shape
            )
            at += size
        (aliases,) = take("I")
        for _ in range(aliases):
            alias, name = text(), text()
            variables[alias] = variables[name]
    except (struct.error, ValueError) as error:
        raise ModelError(f"{path.name}: cut short or not a CTranslate2 model: {error}") from error
    return variables
