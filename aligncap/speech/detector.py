"""Voice activity: where a recording holds speech (ours).

Silero's detector, whose weights faster-whisper carries, gives a probability of speech every 32 ms and remembers what it
heard before. So that silence or line noise around the speech changes nothing, it listens twice: the second time to what
lies near the speech alone, with silence around it, in windows that are counted from the loudest sample.
"""

from __future__ import annotations

import math

import numpy as np

from aligncap.config import SpeechSettings
from aligncap.errors import AudioError
from aligncap.speech.alone import Span
from aligncap.speech.audio import SAMPLE_RATE, Samples

PEAK = 0.5  # the detector hears every recording at this peak, so that its gain changes nothing
SHORTEST_PAUSE_MS = 200  # a shorter one belongs to the speech around it
SHORTEST_SPEECH_MS = 250  # the default of Silero; the attack of a struck note is taken for less
MARGIN_MS = 60  # kept before and after each part, for weak consonants
NEAR = int(0.3 * SAMPLE_RATE)  # the second time the detector hears this much around the speech
LEAD = 32 * 512  # silence before and after, in samples: a whole number of the detector's windows
FLOOR = 0.02  # of the speech's peak: what is softer at its ends is left off


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
    roughly = _detect(samples, (0, len(samples)), cfg.threshold)
    if not roughly:
        where = f"{name}: " if name else ""
        seconds = len(samples) / SAMPLE_RATE
        raise AudioError(f"{where}no speech was found in {seconds:.1f} s of sound; give a clip of a voice")
    near = (max(0, roughly[0][0] - NEAR), min(len(samples), roughly[-1][1] + NEAR))
    return _detect(samples, near, cfg.threshold) or roughly


def _detect(samples: Samples, heard: Span, threshold: float) -> list[Span]:
    """Find the speech in one span of a recording, as if all around it were silence."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=threshold,
        min_silence_duration_ms=SHORTEST_PAUSE_MS,
        min_speech_duration_ms=SHORTEST_SPEECH_MS,
        speech_pad_ms=MARGIN_MS,
    )
    first, last = heard
    loudness = np.abs(samples[first:last])
    peak = int(loudness.argmax())
    # Whole leads before and after the peak, so that the windows lie alike wherever the span begins.
    silence = [LEAD * (1 + math.ceil(length / LEAD)) - length for length in (peak, len(loudness) - peak)]
    found = get_speech_timestamps(np.pad(samples[first:last] * np.float32(PEAK / loudness[peak]), silence), options)
    offset = first - silence[0]
    parts = [(max(first, part["start"] + offset), min(last, part["end"] + offset)) for part in found]
    parts = [(start, end) for start, end in parts if start < end]
    if parts:
        # A click outside of the speech may be louder than all of it, so the peak is that of the parts.
        floor = FLOOR * max(float(loudness[start - first : end - first].max()) for start, end in parts)
        parts[0] = _loud(loudness, first, parts[0], floor)[0], parts[0][1]
        parts[-1] = parts[-1][0], _loud(loudness, first, parts[-1], floor)[1]
    return parts


def _loud(loudness: Samples, first: int, part: Span, floor: float) -> Span:
    """Return a part without the soft ends; all of it where it is soft throughout."""
    start, end = part
    loud = np.flatnonzero(loudness[start - first : end - first] >= floor)
    return (start + int(loud[0]), start + int(loud[-1]) + 1) if len(loud) else part
