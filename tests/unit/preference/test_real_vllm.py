"""The candidate engine with vLLM itself, where one is installed; docs/scale.md says how."""

import os
import shutil
from pathlib import Path

import pytest
import tiny_families
from candidate_inputs import by_vllm, rows_are_ours

from aligncap.config import ModelSource
from aligncap.models.sources import fetch_model

pytestmark = [
    pytest.mark.skipif("ALIGNCAP_VLLM" not in os.environ, reason="ALIGNCAP_VLLM names no `vllm` to try"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with heads of 64, the narrowest that vLLM computes everywhere."""
    from transformers import AutoConfig

    folder = tmp_path_factory.mktemp("models")
    fetch_model(ModelSource(name="narrow", files=("random:llama",)), folder / "narrow" / "manifest.json")
    shutil.copytree(folder / "narrow", folder / "made", ignore=shutil.ignore_patterns("manifest.json"))
    config = AutoConfig.from_pretrained(folder / "narrow")
    config.head_dim = 64
    tiny_families.write_causal(folder / "made", config)
    fetch_model(ModelSource(name="wide", files=(f"file:{folder / 'made'}",)), folder / "wide" / "manifest.json")
    return folder / "wide" / "manifest.json"


def test_vllm_speaks_for_our_model_and_says_the_same_again(inputs):
    rows = by_vllm(inputs, os.environ["ALIGNCAP_VLLM"])
    rows_are_ours(rows, inputs)
    assert by_vllm(inputs, os.environ["ALIGNCAP_VLLM"]) == rows
