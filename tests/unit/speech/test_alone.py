"""What is speech, and that nothing around it, nor its level, changes what models hear."""

import numpy as np
import pytest
from voice import voice

from aligncap.config import SpeechSettings
from aligncap.errors import AudioError
from aligncap.speech.alone import LEVEL_DBFS, at_one_level, speech_alone
from aligncap.speech.detector import find_speech
from aligncap.speech.prosody import measure

RATE = 16_000
TIME = np.arange(4 * RATE) / RATE
NOISE = np.random.default_rng(0).standard_normal(len(TIME))


def music() -> np.ndarray:
    """Struck notes, each with seven partials that fade."""
    notes = np.zeros(len(TIME))
    for number, step in enumerate((0, 4, 7, 12, 11, 7, 4, 0)):
        start, hertz = number * RATE // 2, 220 * 2 ** (step / 12)
        rest = TIME[: len(TIME) - start]
        notes[start:] += sum(np.sin(2 * np.pi * hertz * k * rest) / k * np.exp(-4 * rest) for k in range(1, 8))
    return notes


NO_SPEECH = {
    "tone": np.sin(2 * np.pi * 440 * TIME),
    "idle telephone line": np.sin(2 * np.pi * 350 * TIME) + np.sin(2 * np.pi * 440 * TIME),
    "engaged telephone line": np.sin(2 * np.pi * 425 * TIME) * (TIME % 1 < 0.5),
    "chord": sum(np.sin(2 * np.pi * hertz * TIME) for hertz in (261.6, 329.6, 392.0)),
    "mains hum": sum(np.sin(2 * np.pi * 50 * k * TIME) / k for k in range(1, 10)),
    "white noise": NOISE,
    "brown noise": np.cumsum(NOISE) - np.linspace(0, NOISE.sum(), len(NOISE)),
    "faint line noise": NOISE * 1e-3,
    "music": music(),
}


@pytest.fixture(scope="module")
def said() -> np.ndarray:
    return voice()


@pytest.mark.parametrize("name", NO_SPEECH)
def test_what_is_no_speech_is_not_found(name: str) -> None:
    samples = (0.3 * NO_SPEECH[name] / max(1, np.abs(NO_SPEECH[name]).max())).astype(np.float32)
    with pytest.raises(AudioError, match=r"no speech was found in 4\.0 s of sound"):
        find_speech(samples, SpeechSettings())


@pytest.mark.parametrize("seconds", [0.7, 5])
def test_silence_around_a_voice_changes_no_sample_of_what_is_heard(said: np.ndarray, seconds: float) -> None:
    silence = np.zeros(int(seconds * RATE) + 7, np.float32)
    bare = find_speech(said, SpeechSettings())
    for before, after in ((silence, silence[:0]), (silence[:0], silence), (silence, silence)):
        padded = find_speech(np.concatenate([before, said, after]), SpeechSettings())
        assert [(start - len(before), end - len(before)) for start, end in padded] == bare


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("louder_db", [25, 34, 40])
def test_a_click_that_is_louder_than_the_voice_takes_none_of_it(said: np.ndarray, louder_db: int, first: bool) -> None:
    click = np.zeros(RATE // 2, np.float32)
    click[4_000:4_800] = np.random.default_rng(0).uniform(-0.9, 0.9, 800)
    voice = (said * 0.9 * 10 ** (-louder_db / 20) / np.abs(said).max()).astype(np.float32)
    start = len(click) if first else 0
    found = find_speech(np.concatenate([click, voice] if first else [voice, click]), SpeechSettings())
    assert all(begin < end for begin, end in found)
    heard = sum(min(end, start + len(voice)) - max(begin, start) for begin, end in found)
    assert heard > 0.8 * sum(end - begin for begin, end in find_speech(said, SpeechSettings()))


def test_line_noise_around_a_voice_does_not_change_what_is_measured(said: np.ndarray) -> None:
    line = (10 ** (-70 / 20) * NOISE).astype(np.float32)
    padded = np.concatenate([line, said, line])
    bare, among = (measure(speech_alone(x, find_speech(x, SpeechSettings()))) for x in (said, padded))
    assert among.pitch_hz == pytest.approx(bare.pitch_hz, rel=0.02)
    assert among.rate_hz == pytest.approx(bare.rate_hz, rel=0.05)
    assert among.level_db == pytest.approx(bare.level_db, abs=0.2)


@pytest.mark.parametrize("gain_db", [-12, 12])
def test_gain_changes_neither_the_parts_nor_what_models_hear(said: np.ndarray, gain_db: float) -> None:
    other = (said * 10 ** (gain_db / 20)).astype(np.float32)
    parts = find_speech(said, SpeechSettings())
    assert find_speech(other, SpeechSettings()) == parts
    heard = [at_one_level(speech_alone(samples, parts)) for samples in (said, other)]
    assert np.allclose(*heard, atol=1e-6)
    assert 10 * np.log10(np.mean(heard[0] ** 2)) == pytest.approx(LEVEL_DBFS, abs=0.01)


def test_without_a_detector_all_is_speech() -> None:
    samples = NO_SPEECH["tone"].astype(np.float32)
    assert find_speech(samples, SpeechSettings(detector="off")) == [(0, len(samples))]
