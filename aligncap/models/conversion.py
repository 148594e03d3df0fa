"""Conversion of weights in other formats to transformers folders with safetensors."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from aligncap.errors import ModelError, cause


def convert(kind: str, folder: Path) -> None:
    """Convert the files of ``folder`` in place.

    Args:
        kind: Value of ``ModelSource.format``; ``transformers`` and ``sentence_transformers`` need no conversion.
        folder: Folder of the fetched files.

    Raises:
        ModelError: They are not what ``kind`` says, or damaged.
    """
    try:
        if kind == "gguf":
            _convert_gguf(folder)
        elif kind == "whisper_ctranslate2":
            _convert_whisper(folder)
    except ModelError:
        raise
    except Exception as error:  # the readers raise whatever a header makes them do
        raise ModelError(
            f"models: format {kind}: cannot be read ({cause(error)}); fetch it again, or name its format"
        ) from error


def _convert_gguf(folder: Path) -> None:
    """Dequantise a GGUF file to safetensors, which load in a tenth of a second instead of half a minute."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        raise ModelError(f"models: format gguf wants one .gguf file, got {[f.name for f in files]}")
    name = files[0].name
    with redirect_stderr(io.StringIO()):  # the reader of GGUF draws a bar that no setting turns off
        model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype="float32")
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    files[0].unlink()


def _convert_whisper(folder: Path) -> None:
    """Convert the encoder of a CTranslate2 Whisper to transformers; the original files stay for faster-whisper.

    CTranslate2 fuses q, k and v of self-attention into ``linear_0`` (``linear_1`` is the output), and names weight and
    bias of layer norms gamma and beta. The outputs of both encoders agree to 5e-4.
    """
    import torch
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from aligncap.models.ctranslate2 import read_variables

    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        if not (folder / name).is_file():
            raise ModelError(f"models: whisper_ctranslate2: {name} is missing; add it to the model's files")
    tensors = {name: torch.tensor(array).float() for name, array in read_variables(folder / "model.bin").items()}
    n_layers = 1 + max(int(m.group(1)) for m in (re.match(r"encoder/layer_(\d+)/", n) for n in tensors) if m)
    width, mels, _ = tensors["encoder/conv1/weight"].shape
    config = WhisperConfig(
        d_model=width,
        encoder_layers=n_layers,
        encoder_attention_heads=int(tensors["encoder/num_heads"]),
        encoder_ffn_dim=len(tensors["encoder/layer_0/ffn/linear_0/bias"]),
        num_mel_bins=mels,
        architectures=["WhisperModel"],
    )
    state = {
        "conv1.weight": tensors["encoder/conv1/weight"],
        "conv1.bias": tensors["encoder/conv1/bias"],
        "conv2.weight": tensors["encoder/conv2/weight"],
        "conv2.bias": tensors["encoder/conv2/bias"],
        "embed_positions.weight": tensors["encoder/position_encodings/encodings"],
        "layer_norm.weight": tensors["encoder/layer_norm/gamma"],
        "layer_norm.bias": tensors["encoder/layer_norm/beta"],
    }
    for layer in range(n_layers):
        source, target = f"encoder/layer_{layer}", f"layers.{layer}"
        for part, old in (
            ("self_attn_layer_norm", "self_attention/layer_norm"),
            ("final_layer_norm", "ffn/layer_norm"),
        ):
            state[f"{target}.{part}.weight"] = tensors[f"{source}/{old}/gamma"]
            state[f"{target}.{part}.bias"] = tensors[f"{source}/{old}/beta"]
        fused = f"{source}/self_attention/linear_0"
        weights, biases = tensors[f"{fused}/weight"].chunk(3), tensors[f"{fused}/bias"].chunk(3)
        for name, weight, bias in zip("qkv", weights, biases, strict=True):
            state[f"{target}.self_attn.{name}_proj.weight"] = weight.clone()
            if name != "k":
                state[f"{target}.self_attn.{name}_proj.bias"] = bias.clone()
            elif float(bias.abs().max()) > 0:
                raise ModelError("models: whisper: the keys have a bias, which Whisper does not; wrong file?")
        for name, old in (
            ("self_attn.out_proj", "self_attention/linear_1"),
            ("fc1", "ffn/linear_0"),
            ("fc2", "ffn/linear_1"),
        ):
            state[f"{target}.{name}.weight"] = tensors[f"{source}/{old}/weight"]
            state[f"{target}.{name}.bias"] = tensors[f"{source}/{old}/bias"]
    encoder = WhisperEncoder(config)
    encoder.load_state_dict(state)
    encoder.save_pretrained(folder / "encoder")
