"""Measured prosody: pitch, level and rate of a clip's speech, and their terciles within the clip's reference group.

Captions of corpora that have only labels are written from it, and factuality is checked against it. The values are
measured by Praat through praat-parselmouth: F0 by autocorrelation (Boersma 1993), intensity, and syllable nuclei as in
de Jong and Wempe (2009), which are voiced intensity peaks at least 2 dB above their surroundings. Thresholds are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.progress import track
from aligncap.speech.alone import load_speech
from aligncap.speech.audio import SAMPLE_RATE
from aligncap.speech.groups import reference_groups, terciles
from aligncap.vocabulary import MEASURE, SCALES

STEP_S = 0.01
PITCH_HZ = (65.0, 650.0)
LEAST_VOICED = 5  # frames; with fewer, pitch is not measured
LEAST_VOICED_SHARE = 0.2  # of active frames; below it the clip is a whisper, whose syllables are not voiced
ACTIVE_DB = 25.0  # a frame is active when it is at most this far below the clip's loud frames (95th percentile)
DIP_DB = 2.0  # least rise of a syllable nucleus above the dips beside it
SHORTEST_PAUSE_S = 0.15

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prosody:
    """The measured values of a clip; their units are those of the schema ``prosody``."""

    pitch_hz: float | None
    pitch_range_st: float | None
    level_db: float
    rate_hz: float


def measure(samples: NDArray[np.float32]) -> Prosody:
    """Measure the prosody of a clip.

    Args:
        samples: Samples of the clip's speech ``[n]``, mono, 16 kHz, full scale 1, at the recording's own level.

    Returns:
        The measured values; pitch is None where fewer than five frames are voiced, as in a whisper.
    """
    import parselmouth

    padded = np.pad(samples.astype(np.float64), SAMPLE_RATE // 20)  # Praat wants 64 ms for one intensity frame
    sound = parselmouth.Sound(padded, SAMPLE_RATE)
    pitch = sound.to_pitch_ac(time_step=STEP_S, pitch_floor=PITCH_HZ[0], pitch_ceiling=PITCH_HZ[1])
    intensity = sound.to_intensity(minimum_pitch=100.0, time_step=STEP_S, subtract_mean=True)
    loudness = np.nan_to_num(intensity.values[0], nan=-300.0, neginf=-300.0)
    active = loudness > np.percentile(loudness, 95) - ACTIVE_DB
    speech = _bridge_gaps(active)
    voiced_at = pitch.selected_array["frequency"] > 0
    frames = np.clip(np.rint((intensity.xs() - pitch.xs()[0]) / STEP_S).astype(int), 0, len(voiced_at) - 1)
    voiced = active & voiced_at[frames]
    whispered = voiced.sum() < LEAST_VOICED_SHARE * active.sum()
    nuclei = _nuclei(loudness, active if whispered else voiced)
    spoken_s = max(float(speech.sum()) * STEP_S, STEP_S)
    hertz = pitch.selected_array["frequency"][voiced_at]
    power = np.mean(10.0 ** (loudness[active] / 10.0))
    pitched = len(hertz) >= LEAST_VOICED
    low, high = np.percentile(hertz, [10, 90]) if pitched else (1.0, 1.0)
    return Prosody(
        pitch_hz=round(float(np.median(hertz)), 3) if pitched else None,
        pitch_range_st=round(12 * math.log2(high / low), 3) if pitched else None,
        level_db=round(10 * math.log10(power) + 20 * math.log10(2e-5), 3),  # Praat: dB over 2e-5 of full scale 1
        rate_hz=round(len(nuclei) / spoken_s, 3),
    )


def _bridge_gaps(active: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the frames of speech: active frames, and gaps too short to be a pause (stops, weak consonants)."""
    speech = active.copy()
    on = np.flatnonzero(active)
    for before, after in zip(on[:-1], on[1:], strict=True):
        if 1 < after - before <= SHORTEST_PAUSE_S / STEP_S:
            speech[before:after] = True
    return speech


def _nuclei(loudness: Floats, allowed: NDArray[np.bool_]) -> NDArray[np.intp]:
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(loudness, prominence=DIP_DB)
    return peaks[allowed[peaks]]


def measure_prosody(audio: Path, out: Path, level_normalised: bool) -> None:
    """Measure every clip of a corpus.

    Args:
        audio: ``audio`` artifact.
        out: ``prosody`` artifact.
        level_normalised: Whether the corpus's clips were brought to one level. Their level then means nothing, and is
            null, with its tercile.

    Raises:
        AudioError: A clip cannot be decoded any more.
        ArtifactError: ``audio`` does not have its schema.
    """
    clips = artifacts.read_rows(audio, "audio")
    figures = [measure(load_speech(clip)) for clip in track(clips, "measuring prosody")]
    groups = reference_groups(clips)
    named = {kind: terciles([getattr(f, MEASURE[kind]) for f in figures], groups, SCALES[kind]) for kind in SCALES}
    unknown = {MEASURE["level"]: None, "level": None} if level_normalised else {}
    rows = [
        {"utterance_id": clip["utterance_id"], **vars(figure), **{k: named[k][number] for k in SCALES}, **unknown}
        for number, (clip, figure) in enumerate(zip(clips, figures, strict=True))
    ]
    artifacts.write(rows, out, "prosody", rule="measure_prosody")
