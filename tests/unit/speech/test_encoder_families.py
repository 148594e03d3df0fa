"""Any speech encoder of transformers by config: features from a tiny random one of each of four families."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from audio_rows import audio_row
from safetensors.torch import load_file, save_file

from aligncap import artifacts
from aligncap.config import Compute, Features, ModelSource
from aligncap.errors import ModelError
from aligncap.models.sources import fetch_model, model_folder
from aligncap.speech.alone import at_one_level
from aligncap.speech.encoder import load_encoder
from aligncap.speech.features import extract_features, load_features, pool_layers

CPU = Compute(precision="fp32", device="cpu", threads=1)
WIDTH, LAYERS = 32, 2
PT = {"format": "pt"}
FRAMES = {"whisper": 50, "wav2vec2": 49, "hubert": 49, "wavlm": 49}  # of one second


def write_tiny(family: str, folder: Path) -> None:
    """A random encoder as somebody would have it on disk: weights, config and feature extractor."""
    from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    AutoModel.from_config(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)


@pytest.fixture(scope="module", params=list(FRAMES))
def encoder(request, tmp_path_factory) -> tuple[str, Path]:
    """(family, manifest) of an encoder that the config names."""
    base = tmp_path_factory.mktemp("models")
    files = "random:whisper"
    if request.param != "whisper":
        write_tiny(request.param, base / "mine")
        files = f"file:{base / 'mine'}"
    manifest = base / request.param / "manifest.json"
    fetch_model(ModelSource(name=request.param, files=(files,)), manifest)
    return request.param, manifest


def tone(seconds: float, pitch: float = 220.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * pitch * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


def test_every_layer_of_real_frames(encoder):
    family, manifest = encoder
    loaded = load_encoder(model_folder(manifest), torch.device("cpu"))
    states = loaded.encode(tone(1.0))
    assert states.shape[1:] == (FRAMES[family], WIDTH) and states.shape[0] >= LAYERS + 1
    assert states.isfinite().all() and not torch.equal(states[1], states[2])
    assert torch.equal(states, loaded.encode(tone(1.0))), "the same clip, the same features"
    assert not torch.allclose(states, loaded.encode(tone(1.0, 440.0))), "another clip, others"
    longer = loaded.encode(tone(31.0))
    assert abs(longer.shape[1] - 31 * FRAMES[family]) <= 31, "longer than a window"


def test_weights_that_are_missing_are_an_error_and_not_random(encoder, tmp_path):
    _, manifest = encoder
    folder = Path(shutil.copytree(manifest.parent, tmp_path / "copy"))
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in sorted(weights) if name.endswith("layers.1.final_layer_norm.weight"))
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, folder / "model.safetensors", PT)
    with pytest.raises(ModelError, match="lacks 1 weights of the encoder, such as .*layers.1.final_layer_norm.weight"):
        load_encoder(folder, torch.device("cpu"))


def test_features_of_a_corpus(encoder, tmp_path):
    family, manifest = encoder
    rows = []
    for number, seconds in enumerate((0.4, 1.0)):
        soundfile.write(tmp_path / f"{number}.wav", tone(seconds), 16_000)
        rows.append(audio_row(f"u{number}", tmp_path / f"{number}.wav", seconds))
    artifacts.write(rows, tmp_path / "audio.parquet", "audio", "test")
    config, out = Features(layers=(0, 2), pool=4), tmp_path / "features.parquet"
    extract_features(config, CPU, tmp_path / "audio.parquet", manifest, out)
    features = load_features(out)
    samples, _ = soundfile.read(tmp_path / "1.wav", dtype="float32")
    whole = load_encoder(model_folder(manifest), torch.device("cpu")).encode(at_one_level(samples))
    np.testing.assert_array_equal(features["u1"], pool_layers(whole.numpy(), config))
    assert features["u0"].shape[0] == 2 and features["u0"].shape[1] < features["u1"].shape[1]
