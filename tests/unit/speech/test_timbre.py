"""Measured voice quality on sounds whose noise and brightness are known."""

import numpy as np
import pytest
import soundfile
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.speech.audio import SAMPLE_RATE
from aligncap.speech.timbre import Timbre, measure, measure_timbre, name_timbre


def voice(noise=0.0, decay=1.0, seconds=0.6):
    """Twenty harmonics of 150 Hz, the k-th weaker by k^decay, and white noise."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * time) / k**decay for k in range(1, 21))
    tone = tone / np.sqrt(np.mean(tone**2)) * 0.1
    return (tone + noise * np.random.default_rng(0).normal(size=len(time))).astype(np.float32)


def test_noise_lowers_the_ratio_to_what_was_mixed():
    assert measure(voice(noise=0.1 * 10 ** (-10 / 20))).hnr_db == pytest.approx(10, abs=1.5)
    clean, noisy = measure(voice()), measure(voice(noise=0.05))
    assert clean.hnr_db > noisy.hnr_db + 8


def test_strong_overtones_are_bright():
    assert measure(voice(decay=0.2)).alpha_db > measure(voice(decay=2.0)).alpha_db + 10


def test_a_whisper_has_no_figures():
    rng = np.random.default_rng(0)
    found = measure((0.05 * rng.normal(size=SAMPLE_RATE)).astype(np.float32))
    assert found.hnr_db is None and found.alpha_db is None and found.voiced_share < 0.2


def test_names_are_against_the_speaker_s_own_clips():
    figures = [Timbre(h, a, 1.0) for h, a in ((1, 9), (2, 1), (15, 5), (16, 6), (17, 4), (18, 7))]
    figures += [Timbre(f.hnr_db + 30, f.alpha_db + 30, 1.0) for f in figures]  # a purer, brighter voice
    names = name_timbre(figures, ["speaker a"] * 6 + ["speaker b"] * 6)
    assert names == ["rough", "breathy", "clear", "clear", "clear", "clear"] * 2
    assert name_timbre([Timbre(None, None, 0.1)], ["corpus"]) == ["whispering"]


def test_the_artifact_has_a_row_for_each_clip(tmp_path):
    rows = []
    for i, noise in enumerate((0.0, 0.02, 0.05)):
        soundfile.write(tmp_path / f"{i}.wav", voice(noise), SAMPLE_RATE)
        rows.append(audio_row(f"u{i}", tmp_path / f"{i}.wav", 0.6))
    artifacts.write(rows, tmp_path / "audio.parquet", "audio", "test")
    measure_timbre(tmp_path / "audio.parquet", tmp_path / "timbre.parquet")
    found = artifacts.read_rows(tmp_path / "timbre.parquet", "timbre")
    assert [row["utterance_id"] for row in found] == ["u0", "u1", "u2"]
    assert found[0]["hnr_db"] > found[1]["hnr_db"] > found[2]["hnr_db"]
    assert found[2]["timbre"] != "clear" and found[0]["timbre"] == "clear"
