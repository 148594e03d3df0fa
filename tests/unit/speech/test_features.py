"""Features of a corpus: streamed, independent of neighbours, from any encoder that transformers knows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.config import Compute, Features
from aligncap.errors import ArtifactError, ModelError
from aligncap.speech import features
from aligncap.speech.encoder import load_encoder

CPU = torch.device("cpu")


def noise(seconds: float, seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=int(16_000 * seconds))).astype(np.float32)


def write_audio(folder: Path, clips: dict[str, np.ndarray]) -> Path:
    import soundfile

    rows = []
    for name, samples in clips.items():
        soundfile.write(folder / f"{name}.wav", samples, 16_000, subtype="FLOAT")
        rows.append(audio_row(name, folder / f"{name}.wav", len(samples) / 16_000))
    artifacts.write(rows, folder / "audio.parquet", "audio", "test")
    return folder / "audio.parquet"


def test_a_clip_does_not_depend_on_its_neighbours(tiny_whisper, tmp_path):
    clips = {f"u{i}": noise(0.3 + 0.4 * i, i) for i in range(5)}
    config, compute = Features(layers=(1, 3), pool=4), Compute(precision="fp32", device="cpu", threads=1)
    audio = write_audio(tmp_path, clips)
    features.extract_features(config, compute, audio, tiny_whisper, tmp_path / "whole.parquet")
    (tmp_path / "alone").mkdir()
    alone = write_audio(tmp_path / "alone", {"u3": clips["u3"]})
    features.extract_features(config, compute, alone, tiny_whisper, tmp_path / "alone.parquet")
    whole = features.load_features(tmp_path / "whole.parquet")
    assert list(whole) == list(clips)
    np.testing.assert_array_equal(features.load_features(tmp_path / "alone.parquet")["u3"], whole["u3"])


def test_whisper_equals_transformers_own_forward_on_thirty_seconds(tiny_whisper):
    from transformers import WhisperFeatureExtractor, WhisperModel

    samples = noise(30.0, 0)
    mel = WhisperFeatureExtractor(feature_size=80)(samples, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.no_grad():
        model = WhisperModel.from_pretrained(tiny_whisper.parent).eval()
        want = model.encoder(mel, output_hidden_states=True).hidden_states
    torch.testing.assert_close(
        load_encoder(tiny_whisper.parent, CPU).encode(samples), torch.cat(want), atol=1e-5, rtol=1e-5
    )


def test_an_encoder_of_another_family_goes_through_its_hidden_states(tmp_path):
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    shape = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    convolutions = dict(conv_dim=(8, 8), conv_kernel=(10, 3), conv_stride=(160, 2), num_conv_pos_embeddings=4)
    Wav2Vec2Model(Wav2Vec2Config(**shape, **convolutions, num_conv_pos_embedding_groups=2)).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    states = load_encoder(tmp_path, CPU).encode(noise(1.0, 0))
    assert states.shape[0] == 3 and states.shape[2] == 16 and states.shape[1] == pytest.approx(50, abs=1)


def test_a_folder_that_is_no_encoder_is_named(tmp_path):
    with pytest.raises(ModelError, match="not a speech encoder") as caught:
        load_encoder(tmp_path, CPU)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fill_the_encoder_are_refused(tiny_whisper, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_whisper.parent / "model.safetensors")
    name = next(n for n in tensors if n.endswith("encoder.conv2.weight"))
    del tensors[name]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((tiny_whisper.parent / "config.json").read_bytes())
    with pytest.raises(ModelError, match="lacks 1 weights"):
        load_encoder(tmp_path, CPU)


def test_values_beyond_fp16_and_wrong_shapes_are_errors(tmp_path):
    with pytest.raises(ModelError, match="fp16"):
        features.pool_layers(np.full((1, 4, 2), 1e6, np.float32), Features(layers=(0,), pool=4))
    with pytest.raises(ModelError, match="fp16"):
        features.pool_layers(np.full((1, 4, 2), np.nan, np.float32), Features(layers=(0,), pool=4))
    row = dict(utterance_id="u", n_layers=1, n_frames=2, dim=3, dtype="float16", data=np.zeros(5, np.float16).tobytes())
    artifacts.write([row], tmp_path / "short.parquet", "features", "test")
    with pytest.raises(ArtifactError, match="5 values for shape"):
        features.load_features(tmp_path / "short.parquet")


def test_a_failing_row_leaves_no_file(tmp_path):
    row = dict(candidate_id="a", judge="j", factuality=None, faithfulness=None, overall=None, rationale="")
    rows = [row] * artifacts.GROUP + [row | {"candidate_id": None}]
    with pytest.raises(ArtifactError, match=f"row {artifacts.GROUP}: 'candidate_id' is empty"):
        artifacts.write_rows(iter(rows), tmp_path / "scores.parquet", "judge_scores", "test")
    assert list(tmp_path.iterdir()) == []
