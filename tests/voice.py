"""A synthetic voice for tests: what a tone or noise is not, speech."""

from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from aligncap.corpora.espeak import SAMPLE_RATE, Speech, speak_all

TEXT = "They will come back on Sunday, when the rain has stopped."


def voice(text: str = TEXT, name: str = "en-us+m3") -> np.ndarray:
    """Samples ``[n]`` of a synthetic voice, float32, mono, 16 kHz, full scale 1."""
    (spoken,) = speak_all([Speech(text, name, 160, 50, 50)])
    return resample_poly(spoken, 320, 441).astype(np.float32)[: int(len(spoken) * 16_000 / SAMPLE_RATE)]


def write_voice(path: Path) -> None:
    """Write a WAV file of a synthetic voice at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(), 16_000)
