"""The formulas of a plan against torch's own counts, on the real families of LLMs and speech encoders."""

import json
from pathlib import Path

import pytest
import torch
from peft import inject_adapter_in_model
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from aligncap.captioner import attention
from aligncap.captioner.adapter import build_adapter
from aligncap.captioner.model import lora_config, lora_tensors
from aligncap.captioner.packing import Prompt, pack
from aligncap.config import AdapterSettings, AlignCapConfig, Features, Lora, ModelSource
from aligncap.errors import ModelError
from aligncap.planning import costs, shapes
from aligncap.planning.costs import Batch
from aligncap.planning.published import CONFIGS

# As the model cards and the hub's own counts have them; of the encoders the whole model.
PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM3-3B": 3_075_098_624,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "allenai/OLMo-2-1124-7B-Instruct": 7_298_617_344,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "openai/whisper-base": 72_593_920,
    "openai/whisper-large-v3": 1_543_490_560,
    "microsoft/wavlm-large": 315_453_120,
    "facebook/hubert-large-ll60k": 315_438_720,
}
ENCODERS = [name for name in CONFIGS if "vocab_size" not in CONFIGS[name] or "whisper" in name]
LLMS = [name for name in CONFIGS if name not in ENCODERS]
SMALL = {"num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 704, "vocab_size": 3000}


def source(name: str) -> ModelSource:
    return ModelSource(name="any", files=(f"hf://{name}@main",))


@pytest.mark.parametrize("name", CONFIGS)
def test_published_shapes_have_the_published_number_of_parameters(name: str, tmp_path: Path) -> None:
    if name in ENCODERS:
        encoder = shapes.encoder_shape(source(name), tmp_path)
        found = encoder.parameters + encoder.decoder
    else:
        found = shapes.llm_shapes(source(name), tmp_path, Lora())[0].parameters
    assert found == PUBLISHED[name]


def write_config(folder: Path, raw: dict) -> dict:
    """The configuration of the model `any`, as if it had been fetched."""
    (folder / "any").mkdir()
    (folder / "any" / "config.json").write_text(json.dumps(raw))
    return raw


def small(name: str, folder: Path) -> tuple[shapes.LlmShape, shapes.LoraShape, torch.nn.Module]:
    """A small LLM of a family with a LoRA, on the CPU, and its shape."""
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8 if "OLMo" in name else 2, "head_dim": 32}
    raw = write_config(folder, {**CONFIGS[name], **SMALL, **heads, "pad_token_id": None})
    llm, lora = shapes.llm_shapes(source(name), folder, Lora())
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**raw), attn_implementation="eager")
    attention.group_heads(model)
    model.requires_grad_(False)
    return llm, lora, inject_adapter_in_model(lora_config(Lora()), model).train()


@pytest.mark.parametrize("speech", [True, False], ids=["speech", "text"])
@pytest.mark.parametrize("name", LLMS)
def test_a_step_of_each_family_takes_the_planned_flops_and_bytes(name: str, speech: bool, tmp_path: Path) -> None:
    llm, lora, model = small(name, tmp_path)
    embed = model.get_input_embeddings()
    spoken = [torch.randn(4, llm.width, requires_grad=True) if speech else None for _ in range(8)]
    prompts = [Prompt((*range(20), number + 30, 5, 6), own, (7, 8)) for number, own in enumerate(spoken)]
    answers = [[list(range(10)), list(range(10))] for _ in prompts]
    batch = Batch(8, 20, 5 + 4 * speech, 2, 10)
    kept: dict[int, int] = {}
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda own: own):
        packed = pack(prompts, answers, embed, torch.device("cpu"))
        assert packed.embeddings.shape[:2] == (batch.rows, batch.length) and len(packed.labels) == batch.labels
        bias = torch.zeros(packed.mask.shape).masked_fill(~packed.mask, torch.finfo(torch.float32).min)
        hidden = model.get_decoder()(
            inputs_embeds=packed.embeddings, attention_mask=bias, position_ids=packed.positions, use_cache=False
        ).last_hidden_state
        logits = model.get_output_embeddings()(hidden[packed.rows, packed.columns])
        loss = torch.nn.functional.cross_entropy(logits, packed.labels)
        held = sum(kept.values())
        forward = counter.get_total_flops()
        loss.backward()
    assert lora.parameters == sum(tensor.numel() for tensor in lora_tensors(model).values())
    assert costs.forward_flops(llm, lora.parameters, batch) == pytest.approx(forward, rel=0.001)
    backward = costs.backward_flops(llm, lora, batch, input_gradient=speech)
    assert backward == pytest.approx(counter.get_total_flops() - forward, rel=0.002)
    planned = costs.activation_bytes(llm, lora, batch, 4, fused=False) + costs.logit_bytes(llm, batch, False, made=0)
    if speech:
        assert planned == pytest.approx(held, rel=0.03)
    else:  # what leads to the first layer is not kept, which is little of thirty layers and more of three
        assert 0.99 * held <= planned <= 1.15 * held


@pytest.mark.parametrize("name", ENCODERS)
def test_a_clip_takes_the_planned_flops_of_an_encoder(name: str, tmp_path: Path) -> None:
    layers = "encoder_layers" if "whisper" in name else "num_hidden_layers"
    raw = write_config(tmp_path, {**CONFIGS[name], layers: 2, "decoder_layers": 1})
    encoder = shapes.encoder_shape(source(name), tmp_path)
    config = AutoConfig.for_model(**raw)
    whisper, seconds = config.model_type == "whisper", 30.0 if "whisper" in name else 2.0
    with torch.device("meta" if whisper else "cpu"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model = AutoModel.from_config(config, attn_implementation="eager").eval()
        if whisper:  # its encoder takes 30 s only
            model.encoder(torch.zeros(1, config.num_mel_bins, 3000))
        else:
            model(torch.zeros(1, 2 * 16_000))
    assert encoder.layers == 2
    assert costs.encoder_flops(encoder, seconds, 2) == pytest.approx(counter.get_total_flops(), rel=0.03)


@pytest.mark.parametrize("kind", ["qformer", "conv", "cif"])
def test_a_clip_takes_the_planned_flops_of_an_adapter(kind: str) -> None:
    settings = AdapterSettings(type=kind, width=48, heads=4, queries=8, layers=2)
    adapter = build_adapter(settings, 3, 64, 96).train()
    with FlopCounterMode(display=False) as counter:
        adapter(torch.randn(2, 3, 40, 64), torch.ones(2, 40, dtype=torch.bool), torch.tensor([8, 8]))
    assert 2 * costs.adapter_flops(settings, (3, 40, 64), 8, 96) == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_a_safetensors_file_has_the_planned_size(tmp_path: Path) -> None:
    tensors = {"b.long.name": (3, 5), "a": (7,), "scalar": (), "z.weight": (1, 2, 3)}
    path = tmp_path / "some.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, path)
    assert costs.safetensors_bytes(tensors) == path.stat().st_size


def test_an_unknown_shape_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"org/own is not known; fetch it \(snakemake .*any/manifest.json\)") as caught:
        shapes.config_of(source("org/own"), tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "any").mkdir()
    (tmp_path / "any" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="config.json: damaged"):
        shapes.config_of(source("org/own"), tmp_path)
    with pytest.raises(ModelError, match="is no speech encoder"):
        shapes.encoder_shape(source("Qwen/Qwen2.5-0.5B-Instruct"), tmp_path / "none")


def test_what_is_measured_of_a_small_model_is_what_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark at a small size, without its seconds, which are those of a machine."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    import plan_check

    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    (tmp_path / "any").mkdir()
    raw = {**CONFIGS["HuggingFaceTB/SmolLM2-135M-Instruct"], **SMALL, **heads}
    AutoModelForCausalLM.from_config(AutoConfig.for_model(**raw)).save_pretrained(tmp_path / "any")
    plan_check.write_tokenizer(tmp_path / "any")
    default = AlignCapConfig()
    # Little of an adapter: the plan leaves out what it keeps, which is a hundredth beside a real LLM.
    small = {
        "models": default.models.model_copy(update={"llm": source("org/own")}),
        "adapter": AdapterSettings(width=32, heads=4, queries=4, layers=1),
        "features": Features(layers=(1,), pool=20),
    }
    rows = plan_check.checked(default.model_copy(update=small), tmp_path, rounds=0)
    apart = {row.what: row.ratio for row in rows if not 0.9 < row.ratio < 1.1}
    assert len(rows) >= 9 and apart == {}
    exact = [row for row in rows if row.what.startswith(("parameters", "checkpoint"))]
    assert len(exact) == 4 and all(row.planned == row.measured for row in exact)
