from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.espeak import Speech, speak_all
from aligncap.corpora.prepare import prepare_corpus
from aligncap.corpora.synthetic import plan_clips
from aligncap.errors import CorpusError
from aligncap.speech.prosody import measure_prosody
from aligncap.vocabulary import CLASSES


def corpus(**changes: object) -> Corpus:
    settings = {"adapter": "synthetic", "role": "train", "language": "en", "style": "a", "clips": 42}
    return Corpus(**{**settings, "voices": ("en-us+m3", "en-gb+f2", "en-us+f3"), **changes})


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    prepare_corpus("s", corpus(), SpeechSettings(), 0, folder / "audio", folder / "labels", folder / "skipped")
    measure_prosody(folder / "audio", folder / "prosody", level_normalised=False)
    return folder


def test_every_clip_is_there_with_its_caption(spoken: Path) -> None:
    audio = artifacts.read(spoken / "audio", "audio")
    labels = artifacts.read(spoken / "labels", "labels")
    assert len(audio) == len(list((spoken / "wav").glob("*.wav"))) == 42
    assert artifacts.read_notes(spoken / "audio", "audio")["synthetic"] is True
    assert set(audio.sample_rate) == {22_050}
    assert all(len(captions) == 1 for captions in labels.captions)
    assert Counter(labels.emotion) == {emotion: 6 for emotion in CLASSES}


def test_prosody_follows_the_emotion_in_every_voice(spoken: Path) -> None:
    table = artifacts.read(spoken / "prosody", "prosody").merge(artifacts.read(spoken / "labels", "labels"))
    table = table.merge(artifacts.read(spoken / "audio", "audio"))
    mean = table.groupby("emotion")[["level_db", "pitch_hz", "rate_hz"]].mean()
    assert mean.level_db["angry"] - mean.level_db["sad"] > 6
    assert mean.pitch_hz["surprised"] > mean.pitch_hz["neutral"] > mean.pitch_hz["disgusted"]
    assert mean.rate_hz["happy"] > mean.rate_hz["sad"]
    for _, voice in table.groupby("speaker"):
        means = voice.groupby("emotion").pitch_hz.mean()
        assert means["surprised"] > means["sad"]


def test_a_second_run_gives_equal_bytes(spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_corpus("s", corpus(), SpeechSettings(), 0, tmp_path / "audio", tmp_path / "labels", tmp_path / "skipped")
    first, second = (artifacts.read(folder / "audio", "audio").audio_sha256 for folder in (spoken, tmp_path))
    assert list(first) == list(second)


def test_plans_are_even_and_seeded() -> None:
    plans = plan_clips(corpus(clips=210), 3)
    assert set(Counter((plan.emotion, plan.voice) for plan in plans).values()) == {10}
    assert plans == plan_clips(corpus(clips=210), 3)
    assert plans != plan_clips(corpus(clips=210), 4)
    weak = sum(plan.strength == "weak" for plan in plans) / len(plans)
    assert 0.08 < weak < 0.25


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_languages_speak(language: str) -> None:
    plans = plan_clips(corpus(language=language, voices=(f"{language}+f2",), clips=7), 0)
    for samples in speak_all([plan.job for plan in plans]):
        assert len(samples) > 22_050 / 2
        assert 0.05 < np.abs(samples).max() <= 1


def test_unknown_voice_and_language_say_so() -> None:
    with pytest.raises(CorpusError, match=r"no voice 'en-us\+zz'"):
        list(speak_all([Speech("Hello.", "en-us+zz", 175, 50, 50)]))
    with pytest.raises(CorpusError, match="choose one of en, de, es"):
        plan_clips(corpus(language="fi"), 0)
    with pytest.raises(CorpusError, match=r"'de\+f1' does not speak 'en'"):
        plan_clips(corpus(voices=("de+f1",)), 0)
