"""Shapes of known models, as their publishers give them in ``config.json``; none of it needs the hub.

Only what decides shapes is kept. A test builds each and compares its number of parameters with the published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_QWEN2 = {"model_type": "qwen2"}
_WHISPER = {"model_type": "whisper"}
_WAV2VEC2_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}


def _decoder(layers: int, width: int, ffn: int, heads: int, keys: int, vocabulary: int, tied: bool) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    }


def _whisper(layers: int, width: int, heads: int, vocabulary: int, mels: int) -> dict[str, Any]:
    both = {"layers": layers, "attention_heads": heads, "ffn_dim": 4 * width}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in both.items()}
    return {**_WHISPER, **sides, "d_model": width, "vocab_size": vocabulary, "num_mel_bins": mels}


# Repository on the hub -> the keys of its config.json that decide shapes.
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": {"model_type": "llama", **_decoder(30, 576, 1536, 9, 3, 49_152, True)},
    "HuggingFaceTB/SmolLM3-3B": {"model_type": "smollm3", **_decoder(36, 2048, 11_008, 16, 4, 128_256, True)},
    "Qwen/Qwen2.5-0.5B-Instruct": {**_QWEN2, **_decoder(24, 896, 4864, 14, 2, 151_936, True)},
    "Qwen/Qwen2.5-1.5B-Instruct": {**_QWEN2, **_decoder(28, 1536, 8960, 12, 2, 151_936, True)},
    "Qwen/Qwen2.5-7B-Instruct": {**_QWEN2, **_decoder(28, 3584, 18_944, 28, 4, 152_064, False)},
    "allenai/OLMo-2-1124-7B-Instruct": {
        "model_type": "olmo2",
        **_decoder(32, 4096, 11_008, 32, 32, 100_352, False),
    },
    "meta-llama/Llama-3.2-1B-Instruct": {
        "model_type": "llama",
        "head_dim": 64,
        **_decoder(16, 2048, 8192, 32, 8, 128_256, True),
    },
    "openai/whisper-base": _whisper(6, 512, 8, 51_865, 80),
    "openai/whisper-large-v3": _whisper(32, 1280, 20, 51_866, 128),
    "microsoft/wavlm-large": {
        "model_type": "wavlm",
        **_WAV2VEC2_LARGE,
        "conv_bias": False,
        "num_buckets": 320,
        "max_bucket_distance": 800,
    },
    "facebook/hubert-large-ll60k": {"model_type": "hubert", **_WAV2VEC2_LARGE, "conv_bias": True},
}


def published(repository: str) -> Mapping[str, Any] | None:
    """Return the shape of a repository ``org/name``, or of the only known model ``name``; None where it is unknown."""
    wanted = repository.lower()
    for known, config in CONFIGS.items():
        if wanted in (known.lower(), known.lower().partition("/")[2]):
            return config
    return None
