"""Tiny models with random weights, with which the smoke run and the tests use the same loading code as real models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aligncap.errors import ModelError

WIDTH, LAYERS, HEADS = 32, 2, 2
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_random(family: str, folder: Path) -> None:
    """Write a seeded random model of ``family`` as a transformers folder.

    Args:
        family: llama, qwen2, gemma, gpt2 or phi (causal LMs over bytes), whisper (speech encoder and ASR), or bert
            (sentence encoder).
        folder: Existing folder to write to.

    Raises:
        ModelError: The family is unknown.
    """
    import torch

    writers: dict[str, Callable[[Path], None]] = {
        name: _causal(name) for name in ("llama", "qwen2", "gemma", "gpt2", "phi")
    }
    writers |= {"whisper": _write_whisper, "bert": _write_bert}
    if family not in writers:
        raise ModelError(f"models: random:{family}: unknown family; use {', '.join(writers)}")
    torch.manual_seed(0)
    writers[family](folder)


def _byte_tokenizer(special: tuple[str, ...], **roles: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def write_tokenizer(folder: Path) -> Any:
    """Write a tokenizer over bytes with a chat template, and return it."""
    tokenizer = _byte_tokenizer(
        ("<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"), eos_token="<|end|>", pad_token="<|pad|>"
    )
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return tokenizer


def _causal(family: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        from transformers import AutoConfig, AutoModelForCausalLM

        tokenizer = write_tokenizer(folder)
        shape = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
        extra: dict[str, Any] = {"intermediate_size": 2 * WIDTH, "num_key_value_heads": 1, **shape}
        if family == "gpt2":
            extra = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS}
        elif family == "phi":
            extra = {"intermediate_size": 2 * WIDTH, **shape}
        elif family == "gemma":
            extra["head_dim"] = WIDTH // HEADS
        ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
        config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **extra, **ids)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)

    return write


def _write_whisper(folder: Path) -> None:
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    languages = [f"<|{language}|>" for language in ("en", "de", "pl", "zh")]
    tasks = ["<|transcribe|>", "<|translate|>"]
    special = ("<|endoftext|>", "<|startoftranscript|>", *languages, *tasks, "<|notimestamps|>")
    tokenizer = _byte_tokenizer(special, eos_token=special[0], bos_token=special[0], pad_token=special[0])
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in special}
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        encoder_layers=3,
        decoder_layers=1,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH,
        decoder_start_token_id=ids["<|startoftranscript|>"],
        eos_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"],
        pad_token_id=ids["<|endoftext|>"],
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        is_multilingual=True,
        lang_to_id={name: ids[name] for name in languages},
        task_to_id={name.strip("<|>"): ids[name] for name in tasks},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        eos_token_id=ids["<|endoftext|>"],
        pad_token_id=ids["<|endoftext|>"],
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)


def _write_bert(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    tokenizer = _byte_tokenizer(("[PAD]", "[CLS]", "[SEP]"), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        pad_token_id=tokenizer.pad_token_id,
    )
    plain = folder / "plain"
    BertModel(config).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=256)
    SentenceTransformer(modules=[transformer, Pooling(WIDTH, "mean")]).save(str(folder), create_model_card=False)
    for path in plain.iterdir():
        path.unlink()
    plain.rmdir()
