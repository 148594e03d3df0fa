"""Encoder, features and transcripts on a random Whisper; the real one where it has been fetched."""

from pathlib import Path

import numpy as np
import pytest
import torch
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.config import Compute, Features, Transcripts
from aligncap.errors import CorpusError, ModelError
from aligncap.models.sources import model_folder
from aligncap.speech.alone import at_one_level
from aligncap.speech.asr import TranscriptInputs, TranscriptSettings, write_transcripts
from aligncap.speech.encoder import load_encoder
from aligncap.speech.features import extract_features, load_features, pool_layers

REAL = Path(__file__).parents[3] / "models" / "whisper-base"


def tone(seconds: float) -> np.ndarray:
    time = np.arange(int(16_000 * seconds)) / 16_000
    return (0.1 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)


@pytest.fixture
def audio(tmp_path):
    import soundfile

    rows = []
    for number, seconds in enumerate((0.5, 1.3)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, tone(seconds), 16_000)
        rows.append(audio_row(f"u{number}", path, seconds))
    artifacts.write(rows, tmp_path / "audio.parquet", "audio", "test")
    return tmp_path / "audio.parquet"


def test_only_real_frames_come_out(tiny_whisper):
    encoder = load_encoder(model_folder(tiny_whisper), torch.device("cpu"))
    assert encoder.encode(tone(1.0)).shape == (4, 50, 32)
    assert encoder.encode(tone(31.0)).shape == (4, 1550, 32), "longer than a window"


def test_pooling_averages_real_frames_only():
    states = np.arange(2 * 6 * 1, dtype=np.float32).reshape(2, 6, 1)
    pooled = pool_layers(states, Features(layers=(1,), pool=4))
    assert pooled.dtype == np.float16 and pooled[0, :, 0].tolist() == [7.5, 10.5]
    with pytest.raises(ModelError, match="hidden states 0 to 1, got 3"):
        pool_layers(states, Features(layers=(3,)))


def test_features_are_stored_and_read_as_they_are(tiny_whisper, audio, tmp_path):
    out = tmp_path / "features.parquet"
    config = Features(layers=(0, 2), pool=4)
    extract_features(config, Compute(precision="fp32", device="cpu", threads=1), audio, tiny_whisper, out)
    features = load_features(out)
    encoder = load_encoder(model_folder(tiny_whisper), torch.device("cpu"))
    assert {name: array.shape for name, array in features.items()} == {"u0": (2, 7, 32), "u1": (2, 17, 32)}
    import soundfile

    samples, _ = soundfile.read(tmp_path / "1.wav", dtype="float32")
    np.testing.assert_array_equal(features["u1"], pool_layers(encoder.encode(at_one_level(samples)), config))


def test_transcripts_are_the_corpus_own_or_asr_never_a_test_corpus_own(tiny_whisper, audio, tmp_path, caplog):
    labels = [
        dict(utterance_id=f"u{i}", captions=[], caption_group=None, emotion=None, intensity=None, valence=None,
             arousal=None, transcript=text)
        for i, text in enumerate(("hello", None))
    ]  # fmt: skip
    compute, out = Compute(precision="fp32", device="cpu", threads=1), tmp_path / "transcripts.parquet"
    artifacts.write(labels, tmp_path / "labels.parquet", "labels", "test")
    write_transcripts(
        TranscriptSettings(Transcripts(), "train", compute),
        TranscriptInputs(audio, tmp_path / "labels.parquet", tiny_whisper),
        out,
    )
    table = artifacts.read(out, "transcripts")
    told = "1 of 2 clips have no transcript, the first is u1; the ASR writes them"
    assert any(told in record.message for record in caplog.records)
    assert table.source.tolist() == ["corpus", "asr"] and table.utterance_id.tolist() == ["u0", "u1"]
    labels[1]["transcript"] = "there"
    artifacts.write(labels, tmp_path / "labels.parquet", "labels", "test")
    write_transcripts(
        TranscriptSettings(Transcripts(), "train", compute),
        TranscriptInputs(audio, tmp_path / "labels.parquet", tmp_path / "never loaded"),
        out,
    )
    assert artifacts.read(out, "transcripts").transcript.tolist() == ["hello", "there"]
    with pytest.raises(CorpusError, match="may not be read"):
        write_transcripts(
            TranscriptSettings(Transcripts(), "test", compute),
            TranscriptInputs(audio, tmp_path / "labels.parquet", tiny_whisper),
            out,
        )
    write_transcripts(
        TranscriptSettings(Transcripts(), "test", compute), TranscriptInputs(audio, None, tiny_whisper), out
    )
    table = artifacts.read(out, "transcripts")
    assert table.source.tolist() == ["asr", "asr"] and (table.avg_logprob < 0).all()


@pytest.mark.models
@pytest.mark.skipif(not REAL.is_dir(), reason="models/whisper-base has not been fetched")
def test_the_mapped_encoder_equals_ctranslate2():
    import ctranslate2

    encoder = load_encoder(REAL, torch.device("cpu"))
    samples = np.pad(tone(3.0), (0, 27 * 16_000))
    mel = encoder.mel(samples, sampling_rate=16_000, padding="do_not_pad", return_tensors="np").input_features
    model = ctranslate2.models.Whisper(str(REAL), device="cpu", compute_type="float32")
    want = np.array(model.encode(ctranslate2.StorageView.from_array(mel.astype(np.float32))))
    np.testing.assert_allclose(encoder.encode(samples).numpy()[-1], want[0], atol=5e-3)
