from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def make_wav(tmp_path: Path) -> Callable[[str], Path]:
    """Write half a second of a tone to a path below ``tmp_path``."""

    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(8_000) / 10), 16_000, format="WAV")
        return path

    return make
