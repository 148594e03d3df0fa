"""Where models run and in what precision."""

import pytest
import torch

from aligncap.config import Compute
from aligncap.models.device import pick_dtype


@pytest.mark.parametrize(
    ("found", "want"),
    [
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),  # no x86
    ],
)
def test_auto_precision_is_bf16_where_the_processor_multiplies_it(monkeypatch, found, want):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert pick_dtype(Compute(precision="auto"), torch.device("cpu")) is want


def test_a_precision_that_is_named_is_taken():
    assert pick_dtype(Compute(precision="bf16"), torch.device("cpu")) is torch.bfloat16
    assert pick_dtype(Compute(precision="fp32"), torch.device("cpu")) is torch.float32
