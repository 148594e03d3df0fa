"""Where models run and in what precision."""

import pytest
import torch

from aligncap.config import Compute
from aligncap.device import pick_dtype


@pytest.mark.parametrize(("amx", "want"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_is_bf16_where_the_processor_multiplies_it(monkeypatch, amx, want):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx} if amx else {})
    assert pick_dtype(Compute(precision="auto"), torch.device("cpu")) is want


def test_a_precision_that_is_named_is_taken():
    assert pick_dtype(Compute(precision="bf16"), torch.device("cpu")) is torch.bfloat16
    assert pick_dtype(Compute(precision="fp32"), torch.device("cpu")) is torch.float32
