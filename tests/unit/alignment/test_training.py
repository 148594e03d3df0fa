"""Warm start, teacher, alignment and preference training on tiny models: what trains, what is written."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from more_inputs import more, write_targets
from safetensors.torch import load_file

from aligncap import artifacts
from aligncap.alignment.distillation import CachedResponses, CachedTeacher, LiveTeacher, stack
from aligncap.alignment.losses import token_kl, top_k_and_tail
from aligncap.alignment.tasks import AlignmentTask
from aligncap.alignment.teacher import (
    AdaptationInputs,
    AdaptationSettings,
    AdaptedTeacher,
    LogitsInputs,
    LogitsSettings,
    adapt_teacher,
    write_teacher_logits,
)
from aligncap.alignment.train import AlignmentInputs, AlignmentSettings, train_alignment
from aligncap.alignment.training_items import caption_items
from aligncap.alignment.warm_start import WarmAdapter, WarmStartInputs, WarmStartSettings, warm_start
from aligncap.captioner.checkpoint import CheckpointPaths, build_model
from aligncap.captioner.model import lora_tensors
from aligncap.config import (
    AdapterSettings,
    Alignment,
    Candidates,
    Compute,
    Lora,
    Optimisation,
    PreferenceTraining,
    Prompts,
    Teacher,
    WarmStart,
)
from aligncap.errors import ArtifactError
from aligncap.models.sources import model_folder
from aligncap.preference.candidates import CandidateSettings, ParentInputs, preference_keys, sample_candidates
from aligncap.preference.train import (
    PairedInputs,
    PreferenceInputs,
    PreferenceSettings,
    train_preference,
    write_reference_logps,
)
from aligncap.training.data import load_examples

pytestmark = pytest.mark.usefixtures("in_tmp")

ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1, noise=0.0, dropout=0.0), Lora(rank=2, alpha=4)
COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
TEACHER = Teacher(top_k=8, adaptation=Optimisation(steps=3, batch_size=2, dev_every=2))


@pytest.fixture
def parents(tmp_path, training_inputs, tiny_llm):
    """Tagger targets, a warm-started adapter and the teacher's LoRA."""
    write_targets(training_inputs, tmp_path / "targets.parquet")
    settings = WarmStart(steps=40, batch_size=8, dev_every=40, learning_rate=3e-3)
    warm_up(settings, training_inputs, tmp_path, "warm")
    adapted = AdaptedTeacher(tmp_path / "llm0.safetensors", tmp_path / "llm0.parquet")
    adapt_teacher(
        AdaptationSettings(TEACHER, LORA, Prompts(), 0, COMPUTE),
        more(AdaptationInputs, training_inputs, descriptions=None),
        adapted,
    )
    return tmp_path


def test_the_teacher_is_adapted_without_reading_sound(tmp_path, training_inputs, tiny_llm, parents, monkeypatch):
    monkeypatch.setattr("aligncap.speech.features.load_features", lambda *_: pytest.fail("it reads features"))
    adapted = AdaptedTeacher(tmp_path / "again.safetensors", tmp_path / "again.parquet")
    inputs = more(AdaptationInputs, training_inputs, descriptions=None)
    adapt_teacher(AdaptationSettings(TEACHER, LORA, Prompts(), 0, COMPUTE), inputs, adapted)
    assert adapted.lora.read_bytes() == (tmp_path / "llm0.safetensors").read_bytes()


def test_a_teacher_learns_from_descriptions_without_sound(tmp_path, training_inputs, tiny_llm, parents):
    row = {"utterance_id": "x#0", "source": "x", "caption": "A low and weary voice.", "clues": [], "p_act": ""}
    artifacts.write([row], tmp_path / "texts.parquet", "descriptions", "test")
    balanced = TEACHER.model_copy(update={"adaptation": TEACHER.adaptation.model_copy(update={"balanced": True})})
    adapted = AdaptedTeacher(tmp_path / "told.safetensors", tmp_path / "told.parquet")
    inputs = more(AdaptationInputs, training_inputs, descriptions=tmp_path / "texts.parquet")
    adapt_teacher(AdaptationSettings(balanced, LORA, Prompts(), 0, COMPUTE), inputs, adapted)
    told, untold = load_file(adapted.lora), load_file(tmp_path / "llm0.safetensors")
    assert any(not torch.equal(told[name], untold[name]) for name in untold)


def warm_up(settings, inputs, folder, name):
    read = more(WarmStartInputs, inputs, targets=folder / "targets.parquet")
    written = WarmAdapter(folder / f"{name}.safetensors", folder / f"{name}.parquet")
    warm_start(WarmStartSettings(ADAPTER, settings, 0, COMPUTE), read, written)


def cache_logits(teacher, inputs, llm0, out):
    read = more(LogitsInputs, inputs, teacher_responses=None, teacher_lora=llm0)
    write_teacher_logits(LogitsSettings("tiny", teacher, LORA, Prompts(), COMPUTE), read, out)


def sample(utterances, inputs, parent, out):
    settings = CandidateSettings(Candidates(utterances=utterances, samples=2), 0, 6, COMPUTE)
    sample_candidates(settings, more(ParentInputs, inputs, parent=parent), out)


def refer(inputs, parent, pairs, out):
    write_reference_logps(COMPUTE, more(PairedInputs, inputs, parent=parent, pairs=pairs), out)


def prefer(name, training, inputs, parent, pairs, logps, paths):
    read = more(PreferenceInputs, inputs, parent=parent, pairs=pairs, reference_logps=logps)
    train_preference(PreferenceSettings(name, training, 0, COMPUTE), read, paths)


def align(folder, inputs, kd_weight, name, steps=4, adapted=True):
    logits = {"tiny": folder / "teacher.parquet"}
    llm0 = folder / "llm0.safetensors" if adapted else None
    cache_logits(TEACHER, inputs, llm0, logits["tiny"])
    paths = CheckpointPaths.of(folder / name)
    alignment = Alignment(kd_weight=kd_weight, steps=steps, batch_size=4, dev_every=2, dev_limit=2)
    settings = AlignmentSettings(name, alignment, ADAPTER, LORA, Prompts(), TEACHER, 0, COMPUTE, {})
    warm = folder / "warm.safetensors"
    files = {"teacher_responses": {}, "warm_start": warm, "tagger": warm, "teacher_lora": llm0}
    train_alignment(settings, more(AlignmentInputs, inputs, teacher_logits=logits if kd_weight else {}, **files), paths)
    return paths


def test_the_warm_start_learns_what_the_features_say(parents):
    log = artifacts.read(parents / "warm.parquet", "training")
    dev = log[(log.split == "dev") & (log.metric == "accuracy/emotion")]
    assert dev.value.iloc[-1] == 1.0


def test_teacher_logits_are_those_of_the_responses_that_alignment_trains_on(parents, training_inputs, tiny_llm):
    align(parents, training_inputs, 0.0, "sft")
    rows = artifacts.read_rows(parents / "teacher.parquet", "teacher_logits")
    plan = artifacts.read(training_inputs.plan, "plan")
    assert {r["utterance_id"] for r in rows} == set(plan[plan.role == "align"].utterance_id)
    for row in rows:
        assert len(row["topk_ids"]) == len(row["response_ids"]) == len(row["tail_logprob"])
        mass = sum(math.exp(p) for p in row["topk_logprobs"][0]) + math.exp(row["tail_logprob"][0])
        assert mass == pytest.approx(1, abs=2e-3)


def test_kd_and_sft_share_start_and_order_and_log_their_parts(parents, training_inputs, tiny_llm):
    logs = {}
    for name, weight in (("sft", 0.0), ("kd", 1.0)):
        paths = align(parents, training_inputs, weight, name)
        assert {p.name for p in paths.adapter.parent.iterdir()} == {
            "adapter.safetensors", "lora.safetensors", "system.json", "training.parquet"
        }  # fmt: skip
        log = artifacts.read(paths.log, "training")
        logs[name] = log[log.split == "train"].set_index(["metric", "step"]).value
    assert logs["sft"]["nll"][1] == pytest.approx(logs["kd"]["nll"][1], abs=1e-5)
    assert "kl" not in logs["sft"] and logs["kd"]["kl"][1] > 0
    assert logs["kd"]["loss"][1] == pytest.approx(logs["kd"]["nll"][1] + logs["kd"]["kl"][1], rel=1e-4)
    assert not list((parents / "work").rglob("resume.safetensors")), "resume points go once the outputs are whole"


def test_a_teacher_that_knows_less_than_its_student_is_named(parents, training_inputs, tiny_llm, caplog):
    align(parents, training_inputs, 1.0, "kd", steps=2)
    assert "distillation pulls" not in caplog.text
    align(parents, training_inputs, 0.1, "long", steps=60)
    (told,) = [record.getMessage() for record in caplog.records if "distillation pulls" in record.getMessage()]
    assert told.startswith("long: on dev clips the teacher's loss is") and "teacher.adaptation.steps" in told
    align(parents, training_inputs, 0.0, "sft", steps=60)
    assert caplog.text.count("distillation pulls") == 1, "plain fine-tuning has no teacher"
    align(parents, training_inputs, 0.1, "bare", steps=60, adapted=False)
    assert caplog.messages[-1].startswith("bare: ") and caplog.messages[-1].endswith("set teacher.adapt: true")


def test_only_lora_and_adapter_move_in_alignment(parents, training_inputs, tiny_llm, monkeypatch):
    seen = {}
    forward = AlignmentTask.forward

    def watch(self, split, items):
        if "base" not in seen:
            seen["stage"] = self
            seen["base"] = {n: p.detach().clone() for n, p in self.named_parameters() if not p.requires_grad}
            seen["trained"] = {n: p.detach().clone() for n, p in self.named_parameters() if p.requires_grad}
        return forward(self, split, items)

    monkeypatch.setattr(AlignmentTask, "forward", watch)
    align(parents, training_inputs, 1.0, "kd", steps=6)
    now = dict(seen["stage"].named_parameters())
    assert seen["base"] and all(torch.equal(now[n], p) for n, p in seen["base"].items())
    still = [n for n, p in seen["trained"].items() if torch.equal(now[n], p)]
    assert not still, f"trainable but unmoved: {still}"
    assert all("lora_" in n or "adapter." in n for n in seen["trained"])


def test_the_cached_teacher_gives_the_kl_of_a_live_one(parents, training_inputs, tiny_llm):
    """Offline and live teacher give the same forward KL, up to the tail bucket and half precision."""
    align(parents, training_inputs, 0.0, "sft")
    whole = parents / "whole.parquet"
    cache_logits(TEACHER.model_copy(update={"top_k": 10_000}), training_inputs, parents / "llm0.safetensors", whole)
    student = build_model(model_folder(tiny_llm), Prompts(), LORA, COMPUTE, load_file(parents / "llm0.safetensors"))
    student.add_lora(LORA)
    with torch.no_grad():  # a student that is not its teacher
        for tensor in lora_tensors(student.llm).values():
            tensor.copy_(torch.randn_like(tensor))
    batch = caption_items(load_examples(training_inputs, ["align"]), student.response_ids)[:4]
    packed = student.pack([student.text_prompt("", i.example.p_sem_ids) for i in batch], [[list(i.ids)] for i in batch])
    logits = student.response_logits(packed)
    live = LiveTeacher(student, "gold", "forward_kl", 1.0)
    want = float(live.divergence(batch, logits))
    assert want > 0.1
    exact = CachedTeacher(CachedResponses({"tiny": whole}), batch, 1.0)
    assert float(exact.divergence(batch, logits)) == pytest.approx(want, rel=1e-3, abs=1e-3)
    cached = CachedResponses({"tiny": parents / "teacher.parquet"})
    kept = float(CachedTeacher(cached, batch, 1.0).divergence(batch, logits))
    bucketed = float(token_kl(logits, top_k_and_tail(live.logits(batch), TEACHER.top_k)))
    assert kept == pytest.approx(bucketed, rel=1e-3, abs=1e-3), "half precision"
    assert kept < 0.9 * want, "the tail error"
    assert float(token_kl(logits, stack([cached[i.key] for i in batch], student.device))) == pytest.approx(kept)
    live.divergence(batch, logits).backward()
    assert any(p.grad is not None and p.grad.any() for p in lora_tensors(student.llm).values()), "the LoRA is on again"


def test_distributions_of_several_corpora_and_groups_are_those_that_were_written(tmp_path):
    generator = np.random.default_rng(0)
    written, count = {}, artifacts.GROUP + 3
    for corpus in "ab":
        rows = []
        for number in range(count):
            n = int(generator.integers(1, 5))
            top = generator.integers(0, 99, (n, 3)).tolist()
            row = {"response_ids": [number] * n, "topk_ids": top, "topk_logprobs": [[-1.0, -2.0, -number % 7]] * n}
            row |= {"utterance_id": f"u{number}", "response_id": f"u{number}#0", "temperature": 1.0}
            rows.append(row | {"tail_logprob": [float(number)] * n})
            written[f"{corpus}/u{number}#0"] = rows[-1]
        artifacts.write(rows, tmp_path / corpus, "teacher_logits", "test")
    found = CachedResponses({corpus: tmp_path / corpus for corpus in "ab"})
    assert list(found) == list(written) and len(found) == 2 * count
    for key, row in written.items():
        own = found[key]
        assert own.ids.tolist() == row["response_ids"] and own.tokens.tolist() == row["topk_ids"]
        assert own.logprobs.tolist() == row["topk_logprobs"] and own.tail.tolist() == row["tail_logprob"]


def test_distributions_of_other_responses_are_refused(parents, training_inputs, tiny_llm):
    align(parents, training_inputs, 0.0, "sft")
    cached = CachedResponses({"tiny": parents / "teacher.parquet"})
    (item, *_) = caption_items(load_examples(training_inputs, ["align"]), lambda caption: [1, 2])
    with pytest.raises(ArtifactError, match=f"not of the response {item.key}"):
        CachedTeacher(cached, [item], 1.0)


@pytest.fixture
def aligned(parents, training_inputs, tiny_llm):
    return align(parents, training_inputs, 1.0, "kd")


def pairs_from(candidates_path, out):
    rows, by_utterance = [], {}
    for row in artifacts.read_rows(candidates_path, "candidates"):
        by_utterance.setdefault(row["utterance_id"], []).append(row)
    for number, (utterance, group) in enumerate(sorted(by_utterance.items())):
        better, worse = group[0], group[1]
        rows.append(
            {
                "pair_id": f"{better['candidate_id']}>{worse['candidate_id']}",
                "utterance_id": utterance,
                "corpus": "tiny",
                "kind": "factuality",
                "chosen_id": better["candidate_id"],
                "rejected_id": worse["candidate_id"],
                "chosen_ids": better["token_ids"],
                "rejected_ids": worse["token_ids"],
                "margin": 1.0,
                "role": "dev" if number == 0 else "train",
            }
        )
    artifacts.write(rows, out, "preference_pairs", "test")


def test_preference_training_starts_at_the_reference_and_prefers_the_chosen(
    parents, training_inputs, tiny_llm, aligned
):
    sample(8, training_inputs, aligned, parents / "candidates.parquet")
    again = parents / "again.parquet"
    sample(3, training_inputs, aligned, again)
    first = {r["candidate_id"]: r["caption"] for r in artifacts.read_rows(parents / "candidates.parquet", "candidates")}
    for row in artifacts.read_rows(again, "candidates"):
        assert first[row["candidate_id"]] == row["caption"], "a sample does not depend on what else is sampled"
    pairs, logps = parents / "pairs.parquet", parents / "logps.parquet"
    pairs_from(parents / "candidates.parquet", pairs)
    refer(training_inputs, aligned, pairs, logps)
    paths = CheckpointPaths.of(parents / "aligncap")
    training = PreferenceTraining(
        steps=12, batch_size=4, learning_rate=1e-2, rpo_alpha=0.0, dev_every=6, stop_below=None
    )
    prefer("aligncap", training, training_inputs, aligned, pairs, logps, paths)
    log = artifacts.read(paths.log, "training")
    log = log[log.split == "train"].set_index(["metric", "step"]).value
    assert log["dpo"][1] == pytest.approx(math.log(2), abs=1e-3)
    assert log["margin"][12] > 0.5 and log["accuracy"][12] == 1.0
    parent, child = load_file(aligned.adapter), load_file(paths.adapter)
    assert all(torch.equal(parent[n], child[n]) for n in parent), "the speech adapter stays"
    before, after = load_file(aligned.lora), load_file(paths.lora)
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith("llm0."))
    assert any(not torch.equal(before[n], after[n]) for n in before if n.startswith("student."))


def test_candidates_are_sampled_of_the_role_that_there_is(tmp_path, training_inputs):
    def without(*roles):
        rows = artifacts.read_rows(training_inputs.plan, "plan")
        plan = tmp_path / "plan.parquet"
        artifacts.write([r | {"role": "align"} if r["role"] in roles else r for r in rows], plan, "plan", "test")
        return plan

    both = set(preference_keys(training_inputs.plan, 99))
    one = set(preference_keys(without("adapt"), 99))
    other = set(preference_keys(without("preference"), 99))
    assert one and other and one | other == both and not one & other
    with pytest.raises(ArtifactError, match="no utterance has a role"):
        preference_keys(without("adapt", "preference"), 99)


def test_reference_log_probs_of_another_policy_are_refused(parents, training_inputs, tiny_llm, aligned):
    sample(8, training_inputs, aligned, parents / "candidates.parquet")
    pairs, logps = parents / "pairs.parquet", parents / "logps.parquet"
    pairs_from(parents / "candidates.parquet", pairs)
    refer(training_inputs, aligned, pairs, logps)
    other = align(parents, training_inputs, 0.0, "sft")
    with pytest.raises(ArtifactError, match="another reference policy"):
        paths = CheckpointPaths.of(parents / "x")
        prefer("x", PreferenceTraining(steps=1), training_inputs, other, pairs, logps, paths)


def test_clues_are_withheld_from_the_student_alone_and_in_training_alone(training_inputs, tiny_llm):
    student = build_model(model_folder(tiny_llm), Prompts(), LORA, COMPUTE, {})
    student.add_lora(LORA)
    items = caption_items(load_examples(training_inputs, ["align"]), student.response_ids)[:1]
    silent = [item._replace(example=replace(item.example, predicted_p_act="")) for item in items]

    def losses(own, split, withheld):
        task = AlignmentTask(student, own, own, Alignment(withheld=withheld, kd_weight=0.0), None, None, 0)
        found = []
        with torch.no_grad():
            for step in range(40):
                task.begin_step(step)
                found.append(round(float(task.forward(split, [0])[0]), 3))
        return found

    (told,), (untold,) = set(losses(items, "train", 0.0)), set(losses(silent, "train", 0.0))
    drawn = losses(items, "train", 0.3)
    assert set(drawn) == {told, untold} and told != untold
    assert 4 <= drawn.count(untold) <= 20, "a share of 0.3 of 40 steps"
    assert set(losses(items, "dev", 0.3)) == {told}


def test_the_teacher_reads_the_clues_that_the_config_names(tmp_path, training_inputs, tiny_llm):
    rows = artifacts.read_rows(training_inputs.gold["tiny"], "clues")
    other = tmp_path / "other.parquet"
    artifacts.write([row | {"p_act": "Emotion: neutral."} for row in rows], other, "clues", "test")
    changed = replace(training_inputs, predicted={"tiny": other})

    def logits(clues, inputs):
        cache_logits(TEACHER.model_copy(update={"clues": clues}), inputs, None, tmp_path / "out.parquet")
        return artifacts.read_rows(tmp_path / "out.parquet", "teacher_logits")

    assert logits("gold", changed) == logits("gold", training_inputs) != logits("predicted", changed)


def test_mixup_hears_another_clip_of_the_same_gold_clues_in_training_alone(training_inputs, tiny_llm, monkeypatch):
    torch.manual_seed(0)
    model = build_model(model_folder(tiny_llm), Prompts(), LORA, COMPUTE, {})
    model.add_lora(LORA)
    model.add_adapter(ADAPTER.model_copy(update={"mixup": 0.4}), 2, 8)
    examples = load_examples(training_inputs, ["align"])
    draw = np.random.default_rng(0).normal
    examples = [replace(e, features=draw(size=e.features.shape).astype(np.float16)) for e in examples]
    items = caption_items(examples, model.response_ids)
    heard, plain = [], model.speech
    monkeypatch.setattr(model, "speech", lambda examples: heard.append(examples) or plain(examples))
    task = AlignmentTask(model, items, items, Alignment(kd_weight=0.0), None, None, 0)
    with torch.no_grad():
        mixed, bare = (float(task.forward(split, range(len(items)))[0]) for split in ("train", "dev"))
    own, others, _ = heard  # dev hears once
    assert [e.gold_p_act for e in others] == [e.gold_p_act for e in own]
    assert all(one.key != other.key for one, other in zip(own, others, strict=True))
    assert mixed != bare, "what it hears of two clips is mixed"
