"""Tiny random models of the classes that experiments/models/ names, each with what is peculiar to its family.

Shapes are small, but ratios of heads, ties, biases, depths, special tokens and what the chat template does are those of
the published configurations. The chat templates are written anew and do what the families' own do.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

TEXT = "Describe in one sentence how the speaker sounds. Emotion: angry. Words: hello. She sounds very sad indeed."


def bpe(folder: Path, special: tuple[str, ...], settings: dict[str, Any], template: str, bos: str = "") -> int:
    """Write tokenizer.json and tokenizer_config.json, with merges; return the size of the vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=sorted(alphabet), show_progress=False)
    tokenizer.train_from_iterator([TEXT] * 3, trainer)
    tokenizer.add_special_tokens(list(special))
    if bos:
        numbers = [(bos, tokenizer.token_to_id(bos))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=numbers)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return tokenizer.get_vocab_size()


CHATML = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
# A default system message, which ours replaces.
QWEN = (
    "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\nYou are Qwen.<|im_end|>\\n' }}{%- endif %}"
    + CHATML
)
# The beginning of a text, the day of today, and the content without its outer blanks.
LLAMA = (
    "{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
    "{%- set system = messages[0].content | trim if messages[0].role == 'system' else '' %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + date_string + '\\n\\n' + system }}"
    "{{- '<|eot_id|>' }}"
    "{%- for m in messages if m.role != 'system' %}"
    "{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)
# The day of today whatever is passed, and thoughts before the answer unless they are switched off.
SMOLLM3 = (
    "{%- set think = enable_thinking is not defined or enable_thinking %}"
    "{{- '<|im_start|>system\\nToday Date: ' + strftime_now('%d %B %Y') + '\\nReasoning Mode: ' }}"
    "{{- '/think' if think else '/no_think' }}{{- '\\n\\n' + messages[0].content + '<|im_end|>\\n' }}"
    "{%- for m in messages[1:] %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|im_start|>assistant\\n' if think else '<|im_start|>assistant\\n<think>\\n\\n</think>\\n' }}{%- endif %}"
)


def write_causal(folder: Path, config: Any) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # biases begin at 0, where one that is forgotten would not be seen
        for name, tensor in model.named_parameters():
            if name.endswith("bias"):
                tensor.normal_(std=0.1)
    model.to(torch.bfloat16).save_pretrained(folder)  # as they are published


def qwen25(folder: Path, tied: bool, heads: int, groups: int) -> None:
    """Grouped heads, biases of q, k and v alone, more rows of embeddings than tokens, and ChatML."""
    from transformers import Qwen2Config

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": special[2],
        "pad_token": special[0],
        "bos_token": None,
    }
    size = bpe(folder, special, settings, QWEN)
    config = Qwen2Config(
        vocab_size=size + 21,
        hidden_size=2 * heads,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_window_layers=2,
        sliding_window=32768,
        use_sliding_window=False,
        tie_word_embeddings=tied,
        bos_token_id=size - 3,
        eos_token_id=size - 1,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    write_causal(folder, config)


def llama32(folder: Path) -> None:
    """Grouped heads, tied embeddings, stretched positions, and a tokenizer that begins every text with a token."""
    from transformers import LlamaConfig

    special = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": special[0], "eos_token": special[3]}
    size = bpe(folder, special, settings, LLAMA, bos=special[0])
    stretched = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0}
    stretched |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=131072,
        tie_word_embeddings=True,
        bos_token_id=size - 4,
        eos_token_id=[size - 2, size - 1],
        rope_parameters=stretched,
    )
    write_causal(folder, config)


def smollm3(folder: Path) -> None:
    """Grouped heads, tied embeddings, and every fourth layer without positions."""
    from transformers import SmolLM3Config

    special = ("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": special[3], "pad_token": special[3]}
    size = bpe(folder, special[:4], settings, SMOLLM3, bos=special[0])
    config = SmolLM3Config(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        use_sliding_window=False,
        bos_token_id=size - 4,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
        rope_parameters={"rope_type": "default", "rope_theta": 5e6},
    )
    write_causal(folder, config)


def large_encoder(folder: Path, family: str, **peculiar: Any) -> None:
    """24 layers normed on their way in, and a feature extractor that norms each clip and returns a mask."""
    from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        hidden_size=16,
        num_hidden_layers=24,
        num_attention_heads=4,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embedding_groups=4,
        **peculiar,
    )
    AutoModel.from_config(config).save_pretrained(folder)
    # Published weights name the two parts of a normed weight as torch did then.
    weights = load_file(folder / "model.safetensors")
    old = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}
    for new, name in old.items():
        weights = {key.replace(new, name): tensor for key, tensor in weights.items()}
    assert any(key.endswith("weight_g") for key in weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)


def whisper_large(folder: Path) -> None:
    """128 mel bands, 32 layers, fp16 weights, and the languages of the third version."""
    from aligncap.models.random_models import write_random

    write_random("whisper", folder)
    from transformers import (
        AutoTokenizer,
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    tokenizer = AutoTokenizer.from_pretrained(folder)
    generation = GenerationConfig.from_pretrained(folder)
    settings = WhisperConfig.from_pretrained(folder).to_dict()
    settings |= {"encoder_layers": 32, "num_mel_bins": 128, "d_model": 16, "vocab_size": len(tokenizer)}
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(WhisperConfig(**settings))
    model.generation_config = generation
    model.half().save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)


LLMS: dict[str, Callable[[Path], None]] = {
    "qwen2.5-0.5b": lambda folder: qwen25(folder, True, 14, 2),
    "qwen2.5-7b": lambda folder: qwen25(folder, False, 28, 4),
    "llama-3.2-1b": llama32,
    "llama-3.2-3b": llama32,
    "smollm3-3b": smollm3,
}
ENCODERS: dict[str, Callable[[Path], None]] = {
    "whisper-large-v3": whisper_large,
    "wavlm-large": lambda folder: large_encoder(folder, "wavlm", conv_bias=False),
    "hubert-large": lambda folder: large_encoder(folder, "hubert", conv_bias=True),
}
