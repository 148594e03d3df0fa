#!/usr/bin/env bash
# Finding: transformers takes a ready 4-D attention mask as it is, also in a model with a sliding window: the window is
#   then off, without a word. Who packs several responses behind one prompt, which needs a 4-D mask, trains a model that
#   sees farther back than the one that generates, which works from a 2-D mask and a cache.
#
# Versions: transformers 5.23.0, torch 2.13.0, random models of SmolLM3 and Qwen2 with a window of 4 tokens, on a CPU.
# Behaviour: a 2-D mask of ones and the same causal mask in 4-D give the same hidden states without a window. With one
#   they agree up to the window's length and differ from there on.
# Output seen (the decimals may differ elsewhere):
#   smollm3, no window: 4-D causal differs by 0.00
#   smollm3, window 4: differs by 0.00 within the window, by 1.08 behind it
#   qwen2, no window: 4-D causal differs by 0.00
#   qwen2, window 4: differs by 0.00 within the window, by 2.36 behind it
# It fails where a 4-D mask no longer switches the window off.
# Run: bash findings/sliding_window_mask.sh (about 300 MB from PyPI into a temporary folder)
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv env
env/bin/pip install -q torch==2.13.0 transformers==5.23.0
cat >window.py <<'PY'
import torch
from transformers import Qwen2Config, Qwen2Model, SmolLM3Config, SmolLM3Model

WINDOW, LENGTH = 4, 20
SHAPE = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4, "pad_token_id": 0}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}
ids = torch.arange(1, LENGTH + 1)[None]
row, column = torch.arange(LENGTH)[:, None], torch.arange(LENGTH)


def additive(seen: torch.Tensor) -> torch.Tensor:
    return torch.zeros(1, 1, LENGTH, LENGTH).masked_fill(~seen, torch.finfo(torch.float32).min)


causal = additive(column <= row)
for name, kind, settings in (("smollm3", SmolLM3Model, SmolLM3Config), ("qwen2", Qwen2Model, Qwen2Config)):
    for window in (None, WINDOW):
        torch.manual_seed(0)
        own = {"use_sliding_window": True, "sliding_window": window, "max_window_layers": 0} if window else {}
        model = kind(settings(**SHAPE, **HEADS, **own)).eval()
        with torch.no_grad():
            plain, given = (
                model(ids, attention_mask=mask).last_hidden_state for mask in (torch.ones_like(ids), causal)
            )
        apart = (plain - given).abs().amax(-1)[0]
        if window is None:
            print(f"{name}, no window: 4-D causal differs by {apart.max():.2f}")
            assert apart.max() < 1e-4, "another behaviour"
            continue
        near, far = float(apart[:WINDOW].max()), float(apart[WINDOW:].max())
        print(f"{name}, window {WINDOW}: differs by {near:.2f} within the window, by {far:.2f} behind it")
        assert near < 1e-4 and far > 0.1, "another behaviour"
PY
env/bin/python window.py
