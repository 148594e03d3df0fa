"""Any causal LM of transformers by config: the whole captioner on a tiny random one of each of five families."""

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache
from transformers.models.llama.modeling_llama import eager_attention_forward

from aligncap.captioner.attention import NAME, grouped_attention
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint, save_checkpoint
from aligncap.captioner.generate import Sampling, generate
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import AdapterSettings, Compute, Lora, ModelSource, Prompts
from aligncap.models.sources import fetch_model, model_folder

ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1), Lora(rank=2, alpha=4)
CPU = Compute(precision="fp32", device="cpu", threads=1)


@pytest.fixture(scope="module", params=["llama", "qwen2", "gemma", "gpt2", "phi"])
def llm(request, tmp_path_factory) -> Path:
    manifest = tmp_path_factory.mktemp("models") / request.param / "manifest.json"
    fetch_model(ModelSource(name=request.param, files=(f"random:{request.param}",)), manifest)
    return model_folder(manifest)


@pytest.fixture
def model(llm: Path) -> CaptionModel:
    torch.manual_seed(0)
    model = CaptionModel(llm, Prompts(), CPU)
    model.add_lora(LORA)
    with torch.no_grad():
        for tensor in lora_tensors(model.llm).values():
            tensor.copy_(torch.randn_like(tensor) * 0.1)
    model.add_adapter(ADAPTER, n_layers=2, dim=8)
    return model


def test_clips_and_responses_of_a_batch_do_not_see_each_other(model, examples):
    model.requires_grad_(False).eval()
    answers = [model.response_ids(text) for text in ("calm", "very angry indeed")]
    prompts = model.speech_prompts(examples[:3])
    packed = model.response_logps(model.pack(prompts, [answers, answers[::-1], answers])).view(3, 2)
    for row, prompt in enumerate(prompts):
        for column, answer in enumerate(answers if row != 1 else answers[::-1]):
            alone = model.response_logps(model.pack([prompt], [[answer]]))
            torch.testing.assert_close(packed[row, column], alone[0], atol=1e-4, rtol=0)
    greedy = generate(model, prompts, 6)
    assert [g[0].token_ids for g in greedy] == [generate(model, [p], 6)[0][0].token_ids for p in prompts]
    text = model.text_prompt("Emotion: sad.", model.encode("hello"))
    assert Prompts().instruction in model.decode(text.before + text.after)


def test_attention_and_cache_of_our_own_compute_what_those_of_transformers_do(model, examples, monkeypatch):
    model.requires_grad_(False).eval()
    grouped = model.llm.config.model_type != "gpt2"
    assert model.llm.config._attn_implementation == (NAME if grouped else "eager")
    prompts = model.speech_prompts(examples[:3])
    answers = [[model.response_ids(text) for text in ("calm", "very angry indeed")]] * 3
    sampling = Sampling(3, 1.5, 0.95, [0, 1, 2])
    monkeypatch.setattr("aligncap.captioner.cache.ROOM", 2)  # so that it is outgrown
    ours = model.response_logps(model.pack(prompts, answers)), generate(model, prompts, 9, sampling)
    model.llm.set_attn_implementation("eager")
    monkeypatch.setattr("aligncap.captioner.cache.roomy_cache", DynamicCache)
    theirs = model.response_logps(model.pack(prompts, answers)), generate(model, prompts, 9, sampling)
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-4, rtol=0)
    for own, other in zip(ours[1], theirs[1], strict=True):
        assert [s.token_ids for s in own] == [s.token_ids for s in other]
        assert [s.sum_logprob for s in own] == pytest.approx([s.sum_logprob for s in other], abs=1e-4)


def test_gradients_pass_through_heads_that_share_keys():
    torch.manual_seed(0)
    module = torch.nn.Module()
    module.num_key_value_groups = 3
    query, key, value = (torch.randn(2, heads, 5, 4, requires_grad=True) for heads in (6, 2, 2))
    mask = torch.where(torch.ones(5, 5).tril().bool(), 0.0, torch.finfo(torch.float32).min).expand(2, 1, 5, 5)
    found = []
    for way in (grouped_attention, eager_attention_forward):
        states, weights = way(module, query, key, value, mask, 0.5)
        found.append([states, weights, *torch.autograd.grad((states * torch.arange(4)).sum(), (query, key, value))])
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other)


def test_a_folded_lora_says_the_same(model, examples):
    model.requires_grad_(False).eval()
    prompts = model.speech_prompts(examples[:3])
    packed = model.pack(prompts, [[model.response_ids("very angry indeed")]] * 3)
    beside, captions = model.response_logps(packed), [g[0].token_ids for g in generate(model, prompts, 6)]
    with model.without_lora():
        assert not torch.allclose(model.response_logps(packed), beside, atol=1e-2, rtol=0)
    model.fold_lora()
    torch.testing.assert_close(model.response_logps(packed), beside, atol=1e-4, rtol=0)
    assert [g[0].token_ids for g in generate(model, prompts, 6)] == captions


def test_the_adapter_and_the_lora_learn_and_nothing_else_does(llm, examples):
    torch.manual_seed(0)
    model = CaptionModel(llm, Prompts(), CPU)
    model.add_lora(LORA)
    model.add_adapter(ADAPTER, n_layers=2, dim=8)
    answers = [[model.response_ids(e.captions[0])] for e in examples]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=1e-2)
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
    losses = []
    for _ in range(8):
        loss = -model.response_logps(model.pack(model.speech_prompts(examples), answers)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)


def test_a_checkpoint_comes_back_with_the_same_scores(model, llm, examples, tmp_path):
    settings = {"lora": LORA.model_dump(mode="json"), "adapter": ADAPTER.model_dump()}
    paths = CheckpointPaths.of(tmp_path)
    save_checkpoint(paths, model, {}, {"w": torch.zeros(1)}, settings | {"prompts": Prompts().model_dump()})
    again = load_checkpoint(paths, llm, CPU)
    scores = []
    for one in (model.eval(), again.eval()):
        with torch.inference_mode():
            answers = [[one.response_ids(e.captions[0])] for e in examples]
            scores.append(one.response_logps(one.pack(one.speech_prompts(examples), answers)))
    torch.testing.assert_close(*scores, atol=1e-5, rtol=0)
