"""Choice of the device and precision of models."""

from __future__ import annotations

import torch

from aligncap.config import Compute
from aligncap.errors import ModelError


def pick_device(compute: Compute) -> torch.device:
    """Return the configured device, where ``auto`` is a GPU if there is one; also set the number of CPU threads."""
    torch.set_num_threads(compute.threads)
    if compute.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("compute.device: cuda, but torch sees no GPU; use 'auto' or 'cpu'")
    return torch.device(compute.device)


def clip_threads(compute: Compute, device: torch.device) -> int:
    """Return how many clips are heard at once, each by one thread: all threads of a CPU, and one that feeds a GPU."""
    return compute.threads if device.type == "cpu" else 1


def pick_dtype(compute: Compute, device: torch.device) -> torch.dtype:
    """Return the precision of the LLM, where ``auto`` is bf16 if the device multiplies it in hardware, else fp32."""
    if compute.precision != "auto":
        return torch.bfloat16 if compute.precision == "bf16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        found = torch.cpu.get_capabilities()
        fast = bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return torch.bfloat16 if fast else torch.float32
