"""Where models run."""

from __future__ import annotations

import torch

from aligncap.config import Compute
from aligncap.errors import ModelError


def pick_device(compute: Compute) -> torch.device:
    """The device the config asks for; ``auto`` takes a GPU where there is one. Also fixes the number of threads."""
    torch.set_num_threads(compute.threads)
    if compute.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("compute.device: cuda, but torch sees no GPU; use 'auto' or 'cpu'")
    return torch.device(compute.device)
