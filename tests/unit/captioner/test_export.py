"""A captioner exported for other programs: transformers and peft give its logits."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from aligncap.captioner.export import export_llm0, export_lora
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts
from aligncap.models.sources import model_folder

LORA = Lora(rank=2, alpha=4)


@pytest.mark.parametrize("precision, atol", [("fp32", 1e-5), ("bf16", 0.01)])
def test_an_exported_captioner_is_the_same_model(tiny_llm, tmp_path, precision, atol):
    torch.manual_seed(0)
    model = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision=precision, device="cpu"))
    model.add_lora(LORA)
    with torch.no_grad():
        for tensor in lora_tensors(model.llm).values():
            tensor.copy_(torch.randn_like(tensor))
    export_llm0(model, tmp_path / "llm")
    rank, layers = export_lora(model, tmp_path / "lora")
    assert rank == LORA.rank and {"q_proj", "down_proj"} < set(layers) and "lm_head" not in layers

    llm = AutoModelForCausalLM.from_pretrained(tmp_path / "llm")
    assert llm.dtype == model.dtype
    exported = PeftModel.from_pretrained(llm, tmp_path / "lora", autocast_adapter_dtype=False).eval()
    ids = torch.tensor([model.encode("very sad indeed")])
    with torch.no_grad(), model.arithmetic():
        torch.testing.assert_close(exported(ids).logits, model.llm(ids).logits, atol=atol, rtol=0)
        with exported.disable_adapter(), model.without_lora():
            plain = exported(ids).logits
            torch.testing.assert_close(plain, model.llm(ids).logits, atol=atol, rtol=0)
        assert (plain - exported(ids).logits).abs().max() > 0.1
    assert AutoTokenizer.from_pretrained(tmp_path / "llm")("sad").input_ids == list(model.encode("sad"))
