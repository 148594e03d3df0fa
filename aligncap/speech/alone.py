"""The speech of a recording alone, and at a constant level (ours).

Features, prosody, timbre and transcripts are read from the parts that ``aligncap.speech.detector`` finds, so silence,
line noise and music around the speech change none of them. What a model hears is brought to one level besides, because
the level of a recording tells of its microphone and not of its speaker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aligncap.speech.audio import Samples, load_audio

LEVEL_DBFS = -26.0  # root mean square of what a model hears; the usual speech level of telephony (ITU-T P.56)

Span = tuple[int, int]  # first sample and the one after the last


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
