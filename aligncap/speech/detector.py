"""Voice activity: where a recording holds speech (ours).

Silero's detector, whose weights faster-whisper carries, gives a probability of speech every 32 ms.
"""

from __future__ import annotations

import numpy as np

from aligncap.config import SpeechSettings
from aligncap.errors import AudioError
from aligncap.speech.alone import Span
from aligncap.speech.audio import SAMPLE_RATE, Samples

PEAK = 0.5  # the detector hears every recording at this peak, so that its gain changes nothing
SHORTEST_PAUSE_MS = 200  # a shorter one belongs to the speech around it
SHORTEST_SPEECH_MS = 100
MARGIN_MS = 60  # kept before and after each part, for weak consonants


def find_speech(samples: Samples, cfg: SpeechSettings, name: str = "") -> list[Span]:
    """Find the parts of a recording that are speech.

    Args:
        samples: Samples ``[n]``, mono, 16 kHz, full scale 1, not silent.
        cfg: Section ``speech``.
        name: Name of the recording, for the message.

    Returns:
        The parts in order, at least one.

    Raises:
        AudioError: There is no speech.
    """
    if cfg.detector == "off":
        return [(0, len(samples))]
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=cfg.threshold,
        min_silence_duration_ms=SHORTEST_PAUSE_MS,
        min_speech_duration_ms=SHORTEST_SPEECH_MS,
        speech_pad_ms=MARGIN_MS,
    )
    found = get_speech_timestamps(samples * np.float32(PEAK / np.abs(samples).max()), options)
    if not found:
        where = f"{name}: " if name else ""
        seconds = len(samples) / SAMPLE_RATE
        raise AudioError(f"{where}no speech was found in {seconds:.1f} s of sound; give a clip of a voice")
    return [(part["start"], part["end"]) for part in found]
