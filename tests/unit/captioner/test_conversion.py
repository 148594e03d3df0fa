"""Weights in GGUF become a transformers folder, and nothing is drawn on stderr meanwhile."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from aligncap.models.conversion import convert

WIDTH, INNER = 32, 64
TOKENS = ["<s>", "</s>", "a", "b", "ab"]


def write_gguf(path: Path) -> None:
    """A random Llama of one layer with a byte-pair tokenizer of five tokens."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    square = {f"blk.0.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
    norms = dict.fromkeys(("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"), (WIDTH,))
    words = dict.fromkeys(("token_embd.weight", "output.weight"), (len(TOKENS), WIDTH))
    inner = {"blk.0.ffn_gate.weight": (INNER, WIDTH), "blk.0.ffn_up.weight": (INNER, WIDTH)}
    generator = np.random.default_rng(0)
    for name, shape in {**square, **norms, **words, **inner, "blk.0.ffn_down.weight": (WIDTH, INNER)}.items():
        writer.add_tensor(name, generator.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_becomes_safetensors_without_a_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    capfd.readouterr()
    convert("gguf", tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= names and "tiny.gguf" not in names
    assert "%|" not in capfd.readouterr().err
