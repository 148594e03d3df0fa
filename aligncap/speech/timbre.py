"""Measured voice quality: the noise and the brightness of a voice, and the timbre that follows from them.

The harmonics-to-noise ratio follows Boersma (1993): ``10 log10(r / (1 - r))`` of the strength ``r`` of Praat's pitch
(autocorrelation, three periods), through praat-parselmouth. Brightness is the alpha ratio of voiced frames: the level
above 1 kHz relative to that below it. The names of the timbres are ours. A noisy voice (lower tercile of the
harmonics-to-noise ratio) is ``rough`` where it is bright and ``breathy`` where it is dull (upper and lower tercile).
The terciles are taken within the speaker's clips, because both values depend more on the vocal tract than on the
manner of speaking. A clip with hardly any voiced frame is ``whispering``; all others are ``clear``. The clue tagger
and the assertions table use these names; no hallucination flag does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.progress import track
from aligncap.speech.alone import load_speech
from aligncap.speech.audio import SAMPLE_RATE
from aligncap.speech.groups import reference_groups, terciles
from aligncap.speech.prosody import (
    ACTIVE_DB,
    LEAST_VOICED,
    LEAST_VOICED_SHARE,
    PITCH_HZ,
    STEP_S,
)

WINDOW_S = 0.04
SPLIT_HZ, BAND_HZ = 1000.0, (50.0, 5000.0)
PERIODIC = (0.001, 0.999)  # limits of the strength, which keep the harmonics-to-noise ratio within -30 to 30 dB
SILENT = 1e-12


@dataclass(frozen=True)
class Timbre:
    """The measured values of a clip; their units are those of the schema ``timbre``."""

    hnr_db: float | None
    alpha_db: float | None
    voiced_share: float


def measure(samples: NDArray[np.float32]) -> Timbre:
    """Measure the voice quality of a clip.

    Args:
        samples: Samples of the clip's speech ``[n]``, mono, 16 kHz, full scale 1.

    Returns:
        The measured values; both levels are None where fewer than five frames are voiced, as in a whisper.
    """
    import parselmouth

    width, hop = int(WINDOW_S * SAMPLE_RATE), int(STEP_S * SAMPLE_RATE)
    padded = np.pad(samples.astype(np.float64), 2 * width)  # Praat wants 4.5 of the longest periods for one frame
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop] * np.hanning(width)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    loudness = 10 * np.log10(power.sum(axis=1) + SILENT)
    active = loudness > np.percentile(loudness, 95) - ACTIVE_DB
    sound = parselmouth.Sound(padded, SAMPLE_RATE)
    pitch = sound.to_pitch_ac(time_step=STEP_S, pitch_floor=PITCH_HZ[0], pitch_ceiling=PITCH_HZ[1])
    centres = (np.arange(len(frames)) * hop + width / 2) / SAMPLE_RATE
    nearest = np.clip(np.rint((centres - pitch.xs()[0]) / STEP_S).astype(int), 0, len(pitch.xs()) - 1)
    voiced = active & (pitch.selected_array["frequency"][nearest] > 0)
    share = float(voiced.sum() / max(active.sum(), 1))
    if voiced.sum() < LEAST_VOICED:
        return Timbre(None, None, round(share, 4))
    strength = np.clip(pitch.selected_array["strength"][nearest][voiced], *PERIODIC)
    spectrum = power[voiced].sum(axis=0)
    hertz = np.fft.rfftfreq(width, 1 / SAMPLE_RATE)
    low = spectrum[(hertz >= BAND_HZ[0]) & (hertz < SPLIT_HZ)].sum()
    high = spectrum[(hertz >= SPLIT_HZ) & (hertz < BAND_HZ[1])].sum()
    alpha = 10 * math.log10((high + SILENT) / (low + SILENT))
    noise = float(np.mean(10 * np.log10(strength / (1 - strength))))
    return Timbre(round(noise, 3), round(alpha, 3), round(share, 4))


def name_timbre(figures: Sequence[Timbre], groups: Sequence[str]) -> list[str]:
    """Name the timbre of each clip, one of ``aligncap.vocabulary.TIMBRES``.

    Args:
        figures: Measured values of each clip.
        groups: Reference group of each clip, from ``aligncap.speech.groups.reference_groups``.
    """
    noise = terciles([f.hnr_db for f in figures], groups, ("noisy", "mid", "pure"))
    colour = terciles([f.alpha_db for f in figures], groups, ("dull", "mid", "bright"))
    names = {"dull": "breathy", "mid": "clear", "bright": "rough"}
    return [
        "whispering" if f.voiced_share < LEAST_VOICED_SHARE else names[c] if n == "noisy" else "clear"
        for f, n, c in zip(figures, noise, colour, strict=True)
    ]


def measure_timbre(audio: Path, out: Path) -> None:
    """Measure every clip of ``audio`` (schema ``audio``) and write ``out`` (schema ``timbre``).

    Raises:
        AudioError: A clip cannot be decoded any more.
        ArtifactError: ``audio`` does not have its schema.
    """
    clips = artifacts.read_rows(audio, "audio")
    figures = [measure(load_speech(clip)) for clip in track(clips, "measuring timbre")]
    named = name_timbre(figures, reference_groups(clips))
    rows = [
        {"utterance_id": clip["utterance_id"], **vars(figure), "timbre": name}
        for clip, figure, name in zip(clips, figures, named, strict=True)
    ]
    artifacts.write(rows, out, "timbre", rule="measure_timbre")
