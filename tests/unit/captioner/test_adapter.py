"""Every adapter: neighbours change nothing, how many embeddings come out, what is saved is what is loaded."""

import json

import numpy as np
import pytest
import torch

from aligncap.captioner.adapter import build_adapter, integrate_and_fire, masked_mean, pad_features, pool_evenly
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint, load_llm0, save_checkpoint
from aligncap.captioner.generate import generate
from aligncap.captioner.model import CaptionModel
from aligncap.config import AdapterSettings, Compute, Lora, Prompts
from aligncap.errors import ModelError
from aligncap.models.sources import model_folder

SMALL = {"width": 16, "heads": 2, "queries": 3, "layers": 1}
ADAPTERS = {
    "qformer": AdapterSettings(**SMALL),
    "conv": AdapterSettings(type="conv", **SMALL),
    "cif": AdapterSettings(type="cif", **SMALL),
}
LORA = Lora(rank=2, alpha=4)


def adapter_of(name):
    torch.manual_seed(0)
    adapter = build_adapter(ADAPTERS[name], 2, 8, 12).eval()
    adapter.match_scale(torch.randn(50, 12))
    return adapter


def run(adapter, examples):
    features, mask = pad_features([e.features for e in examples])
    return adapter(features, mask, torch.tensor([len(e.p_sem_ids) for e in examples]))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ADAPTERS)
def test_one_clip_alone_equals_the_same_clip_in_a_padded_batch(name, training, examples):
    adapter = adapter_of(name)
    if training:  # the transcript decides how often cif fires; without noise and dropout nothing else is random
        adapter.config = ADAPTERS[name].model_copy(update={"noise": 0.0})
        adapter.train()
        for module in adapter.modules():
            if isinstance(module, torch.nn.Dropout | torch.nn.MultiheadAttention):
                module.eval()
    with torch.no_grad():
        together = run(adapter, examples)
        for row, example in enumerate(examples):
            alone = run(adapter, [example])
            count = int(together.mask[row].sum())
            assert alone.embeddings.shape[1] == count > 0 and bool(together.mask[row, :count].all())
            torch.testing.assert_close(together.embeddings[row, :count], alone.embeddings[0], atol=1e-5, rtol=0)
            pooled = masked_mean(together.states, together.mask)[row], masked_mean(alone.states, alone.mask)[0]
            torch.testing.assert_close(*pooled, atol=1e-5, rtol=0)


def test_how_many_embeddings_a_clip_gets(examples):
    counts = {name: run(adapter_of(name), examples).mask.sum(1).tolist() for name in ADAPTERS}
    assert counts["qformer"] == counts["conv"] == [3] * len(examples)
    adapter = adapter_of("cif")
    speech = run(adapter, examples)
    assert counts["cif"] == speech.quantity.round().clamp_min(1).tolist(), "at inference the weights decide"
    tokens = [len(e.p_sem_ids) for e in examples]
    fired = run(adapter.train(), examples).mask.sum(1).tolist()
    assert fired[1:] == tokens[1:], "in training, the transcript"
    assert tokens[0] == 0 and fired[0] == counts["cif"][0], "without a transcript, the weights again"


def test_integrate_and_fire_shares_every_frame_out_and_each_state_weighs_one():
    # Weights 1/2, 1, 1/2 and two states: the middle frame is halved.
    frames = torch.eye(3).unsqueeze(0)
    got = integrate_and_fire(frames, torch.tensor([[0.5, 1.0, 0.5]]), torch.tensor([2.0]))
    torch.testing.assert_close(got, torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]]))
    weights = torch.rand(4, 9) * torch.tensor([[1.0] * 9, [1.0] * 5 + [0.0] * 4, [1.0] * 9, [1.0] * 2 + [0.0] * 7])
    fired = torch.tensor([3.0, 2.0, 7.0, 5.0])  # more states than frames too
    shares = integrate_and_fire(torch.eye(9).expand(4, 9, 9), weights, fired)
    for row, count in enumerate(fired.int().tolist()):
        torch.testing.assert_close(shares[row].sum(1)[:count], torch.ones(count))
        assert float(shares[row, count:].sum()) < 1e-5
        assert float(shares[row][:, weights[row] == 0].sum()) == 0, "padding is in no state"


def test_quantity_teaches_the_weights_how_many_to_fire(examples):
    adapter = adapter_of("cif").train()
    speech = run(adapter, examples[1:])
    speech.quantity.sum().backward()
    assert adapter.weigh.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("length", [1, 2, 5, 12])
def test_even_pooling_is_adaptive_average_pooling(length):
    values, mask = torch.randn(2, 12, 4), torch.zeros(2, 12, dtype=torch.bool)
    mask[:, :length] = True
    want = torch.nn.functional.adaptive_avg_pool1d(values[:, :length].transpose(1, 2), 5).transpose(1, 2)
    torch.testing.assert_close(pool_evenly(values, mask, 5), want)


def model_of(folder, adapter: AdapterSettings) -> CaptionModel:
    torch.manual_seed(0)
    model = CaptionModel(folder, Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_lora(LORA)
    if adapter.type != "none":
        model.add_adapter(adapter, n_layers=2, dim=8)
    return model.requires_grad_(False).eval()


def saved(model: CaptionModel, adapter: AdapterSettings, folder) -> CheckpointPaths:
    paths = CheckpointPaths.of(folder)
    system = {"lora": LORA.model_dump(mode="json"), "adapter": adapter.model_dump(), "prompts": Prompts().model_dump()}
    save_checkpoint(paths, model, {}, {"w": torch.zeros(1)}, system)
    return paths


@pytest.mark.parametrize("name", [*ADAPTERS, "none"])
def test_a_saved_captioner_says_the_same_whatever_its_adapter(name, tiny_llm, examples, tmp_path):
    settings = ADAPTERS.get(name, AdapterSettings(type="none"))
    model = model_of(model_folder(tiny_llm), settings)
    paths = saved(model, settings, tmp_path)
    again = load_checkpoint(paths, model_folder(tiny_llm), Compute(precision="fp32", device="cpu"))
    for one, other in zip(model.speech_prompts(examples), again.speech_prompts(examples), strict=True):
        assert one.before == other.before and one.after == other.after
        assert (one.speech is None) == (other.speech is None) == (name == "none")
        if one.speech is not None:
            torch.testing.assert_close(one.speech, other.speech)
    responses = [[again.response_ids(e.captions[0])] for e in examples]
    together = again.response_logps(again.pack(again.speech_prompts(examples), responses))
    alone = [
        again.response_logps(again.pack(again.speech_prompts([e]), [r]))
        for e, r in zip(examples, responses, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)
    assert len(generate(again, again.speech_prompts(examples), 3)) == len(examples)


def test_the_cascade_reads_clues_and_transcript_and_hears_nothing(tiny_llm, examples):
    model = model_of(model_folder(tiny_llm), AdapterSettings(type="none"))
    (prompt,) = model.speech_prompts(examples[4:5])
    words = model.decode(prompt.before)
    assert examples[4].predicted_p_act in words and 'Words: "' in words and "Speech:" not in words


def test_an_adapter_of_another_type_is_refused(tiny_llm, tmp_path):
    paths = saved(model_of(model_folder(tiny_llm), ADAPTERS["conv"]), ADAPTERS["conv"], tmp_path)
    system = json.loads(paths.system.read_text())
    system["adapter"]["type"] = "cif"
    paths.system.write_text(json.dumps(system))
    with pytest.raises(ModelError, match="does not fit"):
        load_checkpoint(paths, model_folder(tiny_llm), Compute(precision="fp32", device="cpu"))
    with pytest.raises(ModelError, match=r"adapter\.type: none"):
        build_adapter(AdapterSettings(type="none"), 2, 8, 12)


def test_llm_0_is_under_the_lora_and_switching_it_off_leaves_no_trace(tiny_llm, examples):
    torch.manual_seed(0)
    base = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu"))
    model = model_of(model_folder(tiny_llm), ADAPTERS["qformer"])
    lora = {n: p for n, p in model.llm.named_parameters() if "lora_" in n}
    with torch.no_grad():
        for tensor in lora.values():
            tensor.copy_(torch.randn_like(tensor))

    def logits(of):
        prompts = [of.text_prompt(e.gold_p_act, e.p_sem_ids) for e in examples]
        return of.response_logits(of.pack(prompts, [[of.response_ids("sad")] for _ in examples]))

    for trainable in (False, True):
        for tensor in lora.values():
            tensor.requires_grad_(trainable)
        model.train(trainable)
        before = logits(model).detach()
        with torch.no_grad(), model.without_lora():
            torch.testing.assert_close(logits(model), logits(base))
        assert model.llm.training is trainable and all(p.requires_grad is trainable for p in lora.values())
        torch.testing.assert_close(logits(model).detach(), before)
        assert float((before - logits(base)).abs().max()) > 1e-3


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(tiny_llm, tmp_path):
    model = model_of(model_folder(tiny_llm), ADAPTERS["conv"])
    paths = saved(model, ADAPTERS["conv"], tmp_path)

    def refused(path, data: bytes) -> None:
        whole = path.read_bytes()
        path.write_bytes(data)
        with pytest.raises(ModelError, match="delete it and run the same command again") as caught:
            load_checkpoint(paths, model_folder(tiny_llm), Compute(precision="fp32", device="cpu"))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        path.write_bytes(whole)

    for path in (paths.adapter, paths.lora):
        whole = path.read_bytes()
        for size in (0, 7, len(whole) // 2, len(whole) - 1):
            refused(path, whole[:size])
        for place in np.random.default_rng(0).choice(len(whole), 20, replace=False):
            changed = bytearray(whole)
            changed[place] ^= 1
            refused(path, changed)
    refused(paths.system, paths.system.read_bytes()[:-3])
    system = json.loads(paths.system.read_text())
    paths.system.write_text(json.dumps({key: value for key, value in system.items() if key != "sha256"}))
    load_llm0(paths)  # as checkpoints were before they had digests
    paths.lora.write_bytes(paths.lora.read_bytes()[:-1])
    with pytest.raises(ModelError, match="lora.safetensors: no safetensors file, or damaged"):
        load_llm0(paths)
