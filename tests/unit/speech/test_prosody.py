from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.speech.groups import reference_groups, terciles
from aligncap.speech.prosody import measure, measure_prosody

RATE = 16_000


def syllables(hertz: float, per_second: float, level: float, seconds: float = 2.0) -> np.ndarray:
    """A buzz that swells ``per_second`` times a second."""
    time = np.arange(int(RATE * seconds)) / RATE
    buzz = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 8))
    swell = 0.05 + 0.95 * np.sin(np.pi * per_second * time) ** 2
    return (level * swell * buzz).astype(np.float32)


def test_pitch_level_and_rate_are_what_was_made() -> None:
    quiet, loud = measure(syllables(120, 4, 0.02)), measure(syllables(240, 6, 0.2))
    assert quiet.pitch_hz == pytest.approx(120, rel=0.02)
    assert loud.pitch_hz == pytest.approx(240, rel=0.02)
    assert loud.level_db - quiet.level_db == pytest.approx(20, abs=1)
    assert quiet.rate_hz == pytest.approx(4, abs=0.6)
    assert loud.rate_hz == pytest.approx(6, abs=0.6)
    assert quiet.pitch_range_st == pytest.approx(0, abs=0.3)


def test_level_of_a_steady_tone_is_its_rms() -> None:
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    assert measure(tone.astype(np.float32)).level_db == pytest.approx(-20, abs=0.3)


def test_noise_has_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    assert measure(noise.astype(np.float32)).pitch_hz is None


def test_the_shortest_accepted_clip_is_measured() -> None:
    assert measure(syllables(200, 5, 0.2, 0.1)).rate_hz >= 0


def test_groups_fall_back_from_speaker_to_session_to_corpus() -> None:
    many = [{"speaker": "s", "session": "x"}] * 6
    few = [{"speaker": "t", "session": "y"}] * 5 + [{"speaker": "u", "session": "y"}]
    none = [{"speaker": "", "session": ""}]
    assert set(reference_groups(many)) == {"speaker s"}
    assert set(reference_groups(few)) == {"session y"}
    assert reference_groups(none) == ["corpus"]


def test_terciles_are_within_the_group_and_unknown_is_middle() -> None:
    values = [1.0, 2, 3, 101, 102, 103, None]
    groups = ["a"] * 3 + ["b"] * 3 + ["a"]
    assert terciles(values, groups, ("low", "mid", "high")) == ["low", "mid", "high", "low", "mid", "high", "mid"]


def test_equal_values_are_all_middle() -> None:
    assert terciles([5.0] * 4, ["corpus"] * 4, ("slow", "mid", "fast")) == ["mid"] * 4


def test_measure_prosody_writes_one_row_a_clip(tmp_path: Path) -> None:
    rows = []
    for number in range(6):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, syllables(100 + 20 * number, 4, 0.02 * (number + 1)), RATE)
        rows.append(audio_row(str(number), path, 2.0, speaker="s"))
    artifacts.write(rows, tmp_path / "audio.parquet", "audio", rule="test")
    measure_prosody(tmp_path / "audio.parquet", tmp_path / "prosody.parquet", level_normalised=False)
    table = artifacts.read(tmp_path / "prosody.parquet", "prosody")
    assert list(table.utterance_id) == [str(n) for n in range(6)]
    assert list(table.pitch) == ["low", "low", "mid", "mid", "high", "high"]
    assert list(table.level) == ["low", "low", "mid", "mid", "high", "high"]
