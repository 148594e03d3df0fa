"""What is accepted as audio, and how it comes out. What is refused is in tests/faults/test_bad_input.py."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligncap.speech import audio
from aligncap.speech.audio import SAMPLE_RATE, WINDOW_S, Reading, decode, load_audio, resampled


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(
    ("rate", "subtype"), [(8_000, "PCM_U8"), (16_000, "PCM_16"), (44_100, "PCM_24"), (192_000, "FLOAT")]
)
def test_rates_and_depths_come_out_as_16_khz(tmp_path: Path, rate: int, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate), rate, subtype)
    clip = decode(path)
    assert clip.file_rate == rate
    assert clip.duration_s == pytest.approx(0.5, abs=0.001)
    assert clip.samples.dtype == np.float32
    peak = np.abs(np.fft.rfft(clip.samples)).argmax() / clip.duration_s
    assert peak == pytest.approx(440, abs=3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(16_000), np.zeros(8_000)], axis=1), 16_000, "FLOAT")
    assert np.allclose(load_audio(path), tone(16_000) / 2, atol=1e-6)


def test_content_decides_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000, format="FLAC")
    assert len(load_audio(path)) == SAMPLE_RATE // 2


def test_what_libsndfile_cannot_read_goes_through_ffmpeg(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.m4a"
    samples = tone(16_000, 1.0).astype(np.float32)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for start in range(0, 16_000, 1000):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1000], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = decode(path)
    assert clip.duration_s == pytest.approx(1.0, abs=0.1)
    assert np.abs(clip.samples).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_windows_give_the_samples_of_the_whole(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).standard_normal(int(rate * 2.3 * WINDOW_S)).astype(np.float32) * 0.1
    soundfile.write(path, noise, rate, "FLOAT")
    windows = list(Reading(path, 1e9).windows())
    assert [len(samples) / rate for samples, _ in windows] == pytest.approx([60, 60, 18], abs=0.001)
    parts = list(resampled(windows))
    assert len(parts) == 3
    assert np.allclose(np.concatenate(parts), load_audio(path, 1e9), atol=1e-6)


def test_windows_are_resampled_as_they_come_and_never_all_held() -> None:
    read = 0

    def windows():
        nonlocal read
        for _ in range(9):
            read += 1
            yield np.zeros(8_000, np.float32), 8_000

    for given, part in enumerate(resampled(windows()), start=1):
        assert len(part) == SAMPLE_RATE and read <= given + 1
    assert given == 9


def test_many_channels_at_a_high_rate_are_held_in_smaller_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small FLAC of silence in 8 channels at 655 kHz would else be gigabytes at once."""
    path = tmp_path / "many.flac"
    noise = np.random.default_rng(0).standard_normal((5 * 16_000, 8)).astype(np.float32) * 0.1
    soundfile.write(path, noise, 16_000)
    whole = load_audio(path)
    monkeypatch.setattr(audio, "HELD", 2 * 16_000 * 8)
    assert [len(samples) for samples, _ in Reading(path, 60).windows()] == [32_000, 32_000, 16_000]
    assert np.array_equal(load_audio(path), whole)
