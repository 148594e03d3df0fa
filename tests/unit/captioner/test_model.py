"""The captioner: batches, packed sequences, decoding and checkpoints do not change what a clip gets."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint, save_checkpoint
from aligncap.captioner.generate import Sampling, generate
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.captioner.packing import Prompt
from aligncap.config import AdapterSettings, Compute, Lora, Prompts
from aligncap.errors import ConfigError, ModelError
from aligncap.models.sources import model_folder

ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1), Lora(rank=2, alpha=4)


@pytest.fixture
def model(tiny_llm: Path) -> CaptionModel:
    torch.manual_seed(0)
    model = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_lora(LORA)
    with torch.no_grad():
        for tensor in lora_tensors(model.llm).values():
            tensor.copy_(torch.randn_like(tensor) * 0.1)
    model.add_adapter(ADAPTER, n_layers=2, dim=8)
    return model.requires_grad_(False).eval()


def test_one_clip_alone_equals_the_same_clip_in_a_padded_batch(model, examples):
    responses = [[model.response_ids(e.captions[0])] for e in examples]
    together = model.response_logps(model.pack(model.speech_prompts(examples), responses))
    alone = [
        model.response_logps(model.pack(model.speech_prompts([e]), [r]))
        for e, r in zip(examples, responses, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)


def test_responses_packed_behind_one_prompt_do_not_see_each_other(model, examples):
    answers = [model.response_ids(text) for text in ("calm", "very angry indeed", "sad")]
    prompts = model.speech_prompts(examples[:2])
    packed = model.response_logps(model.pack(prompts, [answers, answers[::-1]])).view(2, 3)
    for row, prompt in enumerate(prompts):
        for column, answer in enumerate(answers if row == 0 else answers[::-1]):
            alone = model.response_logps(model.pack([prompt], [[answer]]))
            torch.testing.assert_close(packed[row, column], alone[0], atol=1e-4, rtol=0)


def test_prompts_of_a_row_share_their_head_and_see_nothing_else_of_each_other(model, examples):
    kinds = [("Emotion: sad.", "hello"), ("Emotion: angry.", ""), ("", "good morning to you"), ("", "")]
    prompts = [model.text_prompt(act, model.encode(said)) for act, said in kinds] + model.speech_prompts(examples[:2])
    prompts.append(Prompt((prompts[0].before[0],), None, ()))  # nothing of its own but one token
    responses = [[model.response_ids("calm"), model.response_ids("very sad")]] * len(prompts)
    packed = model.pack(prompts, responses)
    assert len(packed.embeddings) == 2 and packed.embeddings.shape[1] < 4 * max(map(len, prompts))
    assert packed.owners.unique().tolist() == list(range(2 * len(prompts)))
    together = model.response_logps(packed)
    alone = [model.response_logps(model.pack([p], [r])) for p, r in zip(prompts, responses, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)


def test_text_and_speech_prompts_hold_their_parts(model, examples):
    text = model.text_prompt("Emotion: sad.", model.encode("hello"))
    words = model.decode(text.before + text.after)
    assert Prompts().instruction in words and "Emotion: sad." in words and "hello" in words
    (speech,) = model.speech_prompts(examples[:1])
    assert speech.speech is not None and speech.speech.shape == (2, model.width)


def test_prompt_parts_can_be_left_out(tiny_llm):
    bare = CaptionModel(
        model_folder(tiny_llm), Prompts(acoustic=False, semantic=False), Compute(precision="fp32", device="cpu")
    )
    words = bare.decode(bare.text_prompt("Emotion: sad.", bare.encode("hello")).before)
    assert "Emotion" not in words and "hello" not in words


def test_decoding_does_not_depend_on_neighbours_and_sums_its_own_log_probabilities(model, examples):
    prompts = model.speech_prompts(examples)
    greedy = generate(model, prompts, 8)
    assert [g[0].token_ids for g in greedy] == [generate(model, [p], 8)[0][0].token_ids for p in prompts]
    sampled = generate(model, prompts, 8, Sampling(3, 1.0, 0.9, list(range(len(prompts)))))
    alone = generate(model, prompts[2:3], 8, Sampling(3, 1.0, 0.9, [2]))
    assert [s.token_ids for s in sampled[2]] == [s.token_ids for s in alone[0]]
    scored = model.response_logps(model.pack(prompts, [[s.token_ids for s in group] for group in sampled]))
    sums = torch.tensor([s.sum_logprob for group in sampled for s in group])
    torch.testing.assert_close(scored, sums, atol=1e-3, rtol=0)


def test_a_row_that_ends_leaves_the_others_as_they_are(model, examples, monkeypatch):
    prompts = model.speech_prompts(examples)
    sampling = Sampling(6, 1.5, 1.0, list(range(len(prompts))))
    unended = [s.token_ids for group in generate(model, prompts, 12, sampling) for s in group]
    seen = Counter(token for ids in unended for token in set(ids[:6]))
    monkeypatch.setattr(model, "end_id", seen.most_common(1)[0][0])  # now responses end at different steps
    together = generate(model, prompts, 12, sampling)
    lengths = {len(s.token_ids) for group in together for s in group}
    assert len(lengths) > 3, "rows leave at several steps"
    for number, (prompt, group) in enumerate(zip(prompts, together, strict=True)):
        (alone,) = generate(model, [prompt], 12, Sampling(6, 1.5, 1.0, [number]))
        assert [s.token_ids for s in group] == [s.token_ids for s in alone]
        assert all(s.finished == (s.token_ids[-1] == model.end_id) for s in group)
    scored = model.response_logps(model.pack(prompts, [[s.token_ids for s in group] for group in together]))
    sums = torch.tensor([s.sum_logprob for group in together for s in group])
    torch.testing.assert_close(scored, sums, atol=1e-3, rtol=0)


def test_a_narrow_nucleus_samples_the_greedy_caption(model, examples):
    prompts = model.speech_prompts(examples[:2])
    narrow = generate(model, prompts, 6, Sampling(2, 1.0, 1e-6, [0, 1]))
    for greedy, samples in zip(generate(model, prompts, 6), narrow, strict=True):
        assert all(sample.token_ids == greedy[0].token_ids for sample in samples)


def test_a_nucleus_of_the_likeliest_tokens_is_that_of_the_whole_vocabulary(model, examples, monkeypatch):
    prompts = model.speech_prompts(examples[:3])
    for top_p in (0.2, 0.9, 1.0):
        sampling, said = Sampling(4, 1.0, top_p, [0, 1, 2]), []
        for likely in (1, 3, 40, 10**6):
            monkeypatch.setattr("aligncap.captioner.generate.LIKELY", likely)
            said.append([s.token_ids for group in generate(model, prompts, 8, sampling) for s in group])
        assert all(own == said[0] for own in said)


@pytest.mark.parametrize("wrap", ["add_lora", "merge_lora"])
def test_targets_that_the_llm_lacks_are_named_with_those_that_it_has(tiny_llm, wrap):
    made = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu"))
    with pytest.raises(ConfigError, match=r"lora\.targets: \['q_prj'\]: .* linear ones are .*q_proj"):
        getattr(made, wrap)(LORA.model_copy(update={"targets": ("q_prj",)}), {})


def test_merging_the_teacher_lora_equals_running_with_it(tiny_llm, model):
    text = [model.text_prompt("Emotion: sad.", [40, 41])]
    answer = [[model.response_ids("sad")]]
    merged = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu"))
    merged.merge_lora(LORA, {n: t.clone() for n, t in lora_tensors(model.llm).items()})
    torch.testing.assert_close(
        merged.response_logps(merged.pack(text, answer)),
        model.response_logps(model.pack(text, answer)),
        atol=1e-4,
        rtol=0,
    )


def test_a_bf16_llm_scores_nearly_as_fp32_does_and_trains_fp32_weights(tiny_llm, model, examples):
    rounded = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(device="cpu", precision="bf16"))
    rounded.add_lora(LORA, {n: t.clone() for n, t in lora_tensors(model.llm).items()})
    rounded.add_adapter(ADAPTER, n_layers=2, dim=8).load_state_dict(model.adapter.state_dict())
    answers = [[rounded.response_ids(e.captions[0])] for e in examples]
    own = rounded.response_logps(rounded.pack(rounded.speech_prompts(examples), answers))
    want = model.response_logps(model.pack(model.speech_prompts(examples), answers))
    torch.testing.assert_close(own, want, rtol=0.02, atol=0.1)
    assert not torch.equal(own, want)
    (-own.sum()).backward()
    trained = {**lora_tensors(rounded.llm), **dict(rounded.adapter.named_parameters())}
    assert {t.dtype for t in trained.values()} == {torch.float32}
    assert all(t.grad is not None and t.grad.dtype == torch.float32 for n, t in lora_tensors(rounded.llm).items())
    greedy = generate(rounded, rounded.speech_prompts(examples), 8)
    scored = rounded.response_logps(
        rounded.pack(rounded.speech_prompts(examples), [[g.token_ids for g in group] for group in greedy])
    )
    torch.testing.assert_close(scored, torch.tensor([g.sum_logprob for (g,) in greedy]), rtol=0.02, atol=0.1)


def checkpoint_of(model: CaptionModel, folder: Path) -> CheckpointPaths:
    paths = CheckpointPaths.of(folder)
    settings = {
        "lora": LORA.model_dump(mode="json"),
        "adapter": ADAPTER.model_dump(),
        "prompts": Prompts().model_dump(),
    }
    save_checkpoint(paths, model, {}, {"w": torch.zeros(1)}, settings)
    return paths


def test_saved_and_reloaded_in_a_fresh_process_gives_the_same_logits(tiny_llm, model, tmp_path):
    paths = checkpoint_of(model, tmp_path)
    prompt, answer = model.text_prompt("Emotion: sad.", [40, 41]), model.response_ids("sad")
    here = model.response_logits(model.pack([prompt], [[answer]]))
    script = (
        "import sys, json, torch; from pathlib import Path\n"
        "from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint\n"
        "from aligncap.config import Compute\n"
        "m = load_checkpoint(CheckpointPaths.of(Path(sys.argv[1])), Path(sys.argv[2]), Compute(precision='fp32'))\n"
        "p = m.text_prompt('Emotion: sad.', [40, 41]); a = m.response_ids('sad')\n"
        "print(json.dumps(m.response_logits(m.pack([p], [[a]])).tolist()))\n"
    )
    command = [sys.executable, "-c", script, str(paths.adapter.parent), str(model_folder(tiny_llm))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    there = torch.tensor(json.loads(done.stdout.splitlines()[-1]))
    torch.testing.assert_close(here, there, atol=1e-5, rtol=0)


def test_a_checkpoint_that_does_not_fit_is_refused(tiny_llm, model, tmp_path):
    paths = checkpoint_of(model, tmp_path)
    system = json.loads(paths.system.read_text())
    system["adapter"]["queries"] = 3
    paths.system.write_text(json.dumps(system))
    with pytest.raises(ModelError, match="queries has shape"):
        load_checkpoint(paths, model_folder(tiny_llm), Compute(precision="fp32", device="cpu"))
    paths.lora.unlink()
    with pytest.raises(ModelError, match="lora.safetensors: missing"):
        load_checkpoint(paths, model_folder(tiny_llm), Compute(precision="fp32", device="cpu"))
