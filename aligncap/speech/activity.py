"""Voice activity: where a recording holds speech, and that speech alone at a constant level (ours).

Silero's detector, whose weights faster-whisper carries, gives a probability of speech every 32 ms. Features, prosody,
timbre and transcripts are read from the parts that it finds, so silence, line noise and music around the speech change
none of them. What a model hears is brought to one level besides, because the level of a recording tells of its
microphone and not of its speaker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aligncap.config import SpeechSettings
from aligncap.errors import AudioError
from aligncap.speech.audio import SAMPLE_RATE, Samples, load_audio

PEAK = 0.5  # the detector hears every recording at this peak, so that its gain changes nothing
SHORTEST_PAUSE_MS = 200  # a shorter one belongs to the speech around it
SHORTEST_SPEECH_MS = 100
MARGIN_MS = 60  # kept before and after each part, for weak consonants
LEVEL_DBFS = -26.0  # root mean square of what a model hears; the usual speech level of telephony (ITU-T P.56)

Span = tuple[int, int]  # first sample and the one after the last


def find_speech(samples: Samples, cfg: SpeechSettings) -> list[Span]:
    """Find the parts of a recording that are speech.

    Args:
        samples: Samples ``[n]``, mono, 16 kHz, full scale 1, not silent.
        cfg: Section ``speech``.

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
        raise AudioError(f"no speech was found in {len(samples) / SAMPLE_RATE:.1f} s of sound; give a clip of a voice")
    return [(part["start"], part["end"]) for part in found]


def speech_alone(samples: Samples, parts: Sequence[Span]) -> Samples:
    """Return the parts of a recording one after the other, at the recording's own level, float32 ``[n]``."""
    return np.concatenate([samples[start:end] for start, end in parts])


def at_one_level(samples: Samples) -> Samples:
    """Return samples whose root mean square is ``LEVEL_DBFS``: what the speech encoder and the ASR hear, ``[n]``."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return (samples * 10 ** (LEVEL_DBFS / 20) / math.sqrt(power)).astype(np.float32)


def load_speech(clip: Mapping[str, Any]) -> Samples:
    """Load the speech of a clip at the recording's own level, float32 ``[n]``, mono, 16 kHz, full scale 1.

    Args:
        clip: Row of the artifact ``audio``, whose rule applied the corpus's limit of duration and found the speech.

    Raises:
        AudioError: The clip cannot be decoded any more.
    """
    samples = load_audio(clip["audio_path"], max_duration_s=math.inf)
    return speech_alone(samples, [(part["start"], part["end"]) for part in clip["speech"]])
