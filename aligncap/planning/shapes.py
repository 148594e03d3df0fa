"""The shapes of an experiment's models, built on the meta device: parameters and linear layers without any memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aligncap.captioner.adapter import build_adapter
from aligncap.captioner.model import lora_config, lora_tensors
from aligncap.config import AdapterSettings, Lora, ModelSource
from aligncap.errors import ModelError
from aligncap.planning.published import CONFIGS, published
from aligncap.speech.encoder import CONVERTED

QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")
Shapes = Mapping[str, tuple[int, ...]]  # name of a tensor -> its shape


@dataclass(frozen=True)
class LlmShape:
    """What the costs of a causal LM depend on; "weights" are those of linear layers that every token passes."""

    source: str  # where the shape is from
    parameters: int
    layers: int
    width: int
    ffn: int
    heads: int
    queries: int  # width of all queries together
    keys: int  # width of all keys, and of all values
    vocabulary: int
    weights: int
    first: int  # of the queries, keys and values of the first layer
    norms: int  # width of all that a layer's norms read

    @property
    def head(self) -> int:
        """Weights between the last hidden state and the vocabulary."""
        return self.width * self.vocabulary


@dataclass(frozen=True)
class LoraShape:
    """A LoRA: its tensors, and how many of its weights read the LLM's input."""

    tensors: Shapes
    rank: int
    pairs: int  # of A and B in a layer
    first: int  # weights of A of the first layer's queries, keys and values

    @property
    def parameters(self) -> int:
        """Number of its weights."""
        return numbers(self.tensors)


@dataclass(frozen=True)
class EncoderShape:
    """What the costs of a speech encoder depend on."""

    source: str
    parameters: int  # of the encoder alone
    layers: int
    width: int
    layer_weights: int  # of one layer
    convolutions: int  # multiplications in the layers before the first, for a second of speech
    decoder: int  # parameters of a Whisper's decoder, its embeddings included; 0 where there is none
    decoder_layers: int


def numbers(tensors: Shapes) -> int:
    """Return the number of values in tensors of these shapes."""
    return sum(torch.Size(shape).numel() for shape in tensors.values())


def config_of(source: ModelSource, models: Path) -> tuple[str, Any]:
    """Return where a model's shape is from, and its transformers configuration.

    What was fetched comes first, then a folder that the source names, then the published shapes.

    Args:
        source: Entry of the section ``models``.
        models: Folder that holds the fetched models.

    Raises:
        ModelError: The shape is unknown, or ``config.json`` is damaged.
    """
    from transformers import AutoConfig

    uris = [entry.split()[0] for entry in source.files]
    folders = [models / source.name, *(Path(uri.removeprefix("file:")) for uri in uris if uri.startswith("file:"))]
    repositories = [uri.removeprefix("hf://").partition("@")[0] for uri in uris if uri.startswith("hf://")]
    for folder in folders:
        if raw := _read(folder / "config.json"):
            return str(folder), AutoConfig.for_model(**raw)
    for name in repositories or [source.name]:
        if known := published(name):
            return "published", AutoConfig.for_model(**known)
    if raw := _read(models / source.name / CONVERTED / "config.json"):  # says nothing of a decoder
        return str(models / source.name), AutoConfig.for_model(**raw)
    raise ModelError(
        f"models: {source.name}: the shape of {', '.join(repositories) or uris[0]} is not known; fetch it "
        f"(snakemake {models / source.name}/manifest.json), put its config.json into {models / source.name}/, or plan "
        f"with one of {', '.join(name.partition('/')[2] for name in CONFIGS)}"
    )


def _read(path: Path) -> dict[str, Any]:
    """Return a ``config.json`` of transformers, or an empty mapping where there is none."""
    if not path.is_file():
        return {}
    try:
        raw = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error}); delete its folder and fetch the model again") from None
    return raw if "model_type" in raw else {}


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _linear(module: nn.Module) -> dict[str, tuple[int, int]]:
    """Return (inputs, outputs) of each linear layer below a module; GPT-2 calls its own Conv1D."""
    found = {}
    for name, own in module.named_modules():
        if isinstance(own, nn.Linear):
            found[name] = (own.in_features, own.out_features)
        elif type(own).__name__ == "Conv1D":
            found[name] = (own.weight.shape[0], own.weight.shape[1])
    return found


@cache
def llm_shapes(source: ModelSource, models: Path, lora: Lora) -> tuple[LlmShape, LoraShape]:
    """Build a causal LM with a LoRA on the meta device. Arguments and errors as ``config_of``."""
    from peft import inject_adapter_in_model
    from transformers import AutoModelForCausalLM

    where, config = config_of(source, models)
    with torch.device("meta"):
        try:
            model: Any = AutoModelForCausalLM.from_config(config)
        except ValueError:
            raise ModelError(f"models: {source.name}: a {config.model_type} is no language model") from None
    linear = _linear(model.get_decoder())
    first = {name: ends for name, ends in linear.items() if ".0." in f".{name}" and name.endswith(QUERY_KEY_VALUE)}
    heads, width = config.num_attention_heads, config.hidden_size
    each = getattr(config, "head_dim", None) or width // heads
    keys = (getattr(config, "num_key_value_heads", None) or heads) * each
    shape = LlmShape(
        where,
        _count(model),
        config.num_hidden_layers,
        width,
        getattr(config, "intermediate_size", None) or 4 * width,
        heads,
        heads * each,
        keys,
        config.vocab_size,
        sum(inputs * outputs for inputs, outputs in linear.values()),
        sum(inputs * outputs for inputs, outputs in first.values()),
        _norms(model, config.num_hidden_layers, width, heads * each, keys),
    )
    with torch.device("meta"):
        adapted = inject_adapter_in_model(lora_config(lora), model)
    tensors = {name: tuple(tensor.shape) for name, tensor in lora_tensors(adapted).items()}
    own = [shape for name, shape in tensors.items() if ".0." in name and "lora_A" in name]
    read = [
        s for n, s in tensors.items() if ".0." in n and "lora_A" in n and any(f".{p}." in n for p in QUERY_KEY_VALUE)
    ]
    return shape, LoraShape(tensors, lora.rank, len(own), sum(rank * inputs for rank, inputs in read))


def _norms(model: nn.Module, layers: int, width: int, queries: int, keys: int) -> int:
    """Return the width of all that the norms of a layer read; those of queries and keys read all heads."""
    total = 0
    for name, own in model.named_modules():
        if type(own).__name__.endswith("Norm") and ".layers.0." in f".{name}.":
            total += {"q_norm": queries, "k_norm": keys}.get(name.rpartition(".")[2], width)
    return total or 2 * width


@cache
def adapter_shapes(settings: AdapterSettings, n_layers: int, dim: int, width: int) -> tuple[Shapes, Shapes]:
    """Return the tensors of a speech adapter that train, and all that a checkpoint holds; none for type ``none``."""
    if settings.type == "none":
        return {}, {}
    with torch.device("meta"):
        adapter = build_adapter(settings, n_layers, dim, width)
    trained = {name: tuple(parameter.shape) for name, parameter in adapter.named_parameters()}
    return trained, {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}


@cache
def encoder_shape(source: ModelSource, models: Path) -> EncoderShape:
    """Build a speech encoder on the meta device. Arguments and errors as ``config_of``."""
    from transformers import AutoModel

    where, config = config_of(source, models)
    with torch.device("meta"):
        model: Any = AutoModel.from_config(config)
    encoder = getattr(model, "encoder", model)
    layers = getattr(encoder, "layers", None)
    if layers is None or (config.model_type != "whisper" and not hasattr(config, "conv_dim")):
        raise ModelError(f"models: {source.name}: a {config.model_type} is no speech encoder that can be planned")
    if config.model_type == "whisper":  # 100 frames a second before its second convolution, 50 behind it
        mels = config.num_mel_bins
        convolutions = 3 * config.d_model * (100 * mels + 50 * config.d_model)
        whole, decoder, decoder_layers = _count(encoder), _count(model.decoder), config.decoder_layers
    else:
        convolutions, rate, inputs = 0, 16_000.0, 1
        for outputs, kernel, stride in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True):
            rate /= stride
            convolutions += round(rate * kernel * inputs * outputs)
            inputs = outputs
        place = config.num_conv_pos_embeddings * config.hidden_size // config.num_conv_pos_embedding_groups
        convolutions += round(rate * config.hidden_size * (inputs + place))
        whole, decoder, decoder_layers = _count(model), 0, 0
    width = config.hidden_size
    weights = sum(inputs * outputs for inputs, outputs in _linear(layers[0]).values())
    return EncoderShape(where, whole, len(layers), width, weights, convolutions, decoder, decoder_layers)
