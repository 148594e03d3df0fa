"""Every alignment system of the tables is a few lines of YAML that resolve, share artifacts, train and caption."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from aligncap import artifacts
from aligncap.alignment.teacher import adapt_teacher, write_teacher_logits
from aligncap.alignment.train import train_alignment
from aligncap.alignment.training_items import write_teacher_responses
from aligncap.alignment.truncation import write_kl_truncation
from aligncap.alignment.warm_start import warm_start
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.generate import generate
from aligncap.config import AlignCapConfig, Compute
from aligncap.errors import ArtifactError, ConfigError
from aligncap.models.sources import model_folder
from aligncap.systems import merge, parse, resolve_system
from aligncap.training.data import TrainingInputs, load_examples

ROOT = Path(__file__).resolve().parents[3]
SYSTEMS = yaml.safe_load("""
cascade: {stage: alignment, overrides: {adapter: {type: none}, alignment: {kd_weight: 0.0}}}
align_before_mse: {stage: alignment, overrides: {alignment: {kd_weight: 0.0, before: mse, before_weight: 1.0}}}
align_before_attention: {extends: align_before_mse, overrides: {alignment: {before_pool: attention}}}
align_before_contrastive: {extends: align_before_mse, overrides: {alignment: {before: contrastive}}}
secap: {extends: align_before_mse, overrides: {alignment: {before: secap}}}
kd_generated: {stage: alignment, overrides: {teacher: {responses: generated}}}
kd_both: {stage: alignment, overrides: {teacher: {responses: both, sampling: {samples: 2, temperature: 1.0}}}}
kd_same_clues: {stage: alignment, overrides: {teacher: {clues: predicted}}}
kd_no_pact: {stage: alignment, overrides: {prompts: {acoustic: false}}}
kd_no_psem: {stage: alignment, overrides: {prompts: {semantic: false}}}
kd_reverse: {stage: alignment, overrides: {teacher: {live: true}, alignment: {divergence: reverse_kl}}}
kd_js: {stage: alignment, overrides: {teacher: {live: true, temperature: 2.0}, alignment: {divergence: js}}}
kd_conv: {stage: alignment, overrides: {adapter: {type: conv}}}
kd_conv_frames: {stage: alignment, overrides: {adapter: {type: conv, length: frames}}}
kd_cif: {stage: alignment, overrides: {adapter: {type: cif}}}
kd_schedule: {stage: alignment, overrides: {alignment: {kd_schedule: linear_down}}}
kd_regular: {stage: alignment, overrides: {adapter: {time_mask: 0.3, feature_mask: 0.1, mixup: 0.4}}}
kd_adversary: {stage: alignment, overrides: {warm_start: {adversary: speaker}}}
""")
TINY = {"alignment": {"steps": 2, "batch_size": 4, "dev_every": 2, "dev_limit": 2}, "warm_start": {"steps": 3}}


def config_of(systems: dict) -> AlignCapConfig:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    smoke = yaml.safe_load((ROOT / "experiments" / "smoke.yaml").read_text(encoding="utf-8"))
    return parse(merge(merge(merge(raw, smoke), TINY), {"systems": systems}))


@dataclass
class Bench:
    """What systems share: inputs, targets of the warm start, ``LLM_0``."""

    folder: Path
    inputs: TrainingInputs
    llm: Path
    config: AlignCapConfig

    def train(self, name: str) -> tuple[CheckpointPaths, AlignCapConfig]:
        """Everything that the rules would run for one system."""
        own, folder = resolve_system(self.config, name), self.folder / name
        shared = own.compute, self.inputs
        lora, llm0 = own.lora, self.folder / "llm0.safetensors"
        warm = folder / "warm.safetensors" if own.adapter.type != "none" else None
        if warm is not None:
            warm_start(own.adapter, own.warm_start, own.seed, *shared, self.folder / "targets.parquet", self.llm, warm,
                       folder / "warm.parquet")  # fmt: skip
        responses, logits = {}, {}
        if own.teacher.responses != "reference":
            responses = {"tiny": folder / "responses.parquet"}
            write_teacher_responses(own.teacher, lora, own.prompts, own.seed, own.compute, 6, "tiny", self.inputs,
                                    self.llm, llm0, responses["tiny"])  # fmt: skip
        if own.alignment.kd_weight > 0 and not own.teacher.live:
            logits = {"tiny": folder / "logits.parquet"}
            write_teacher_logits(own.teacher, lora, own.prompts, own.compute, "tiny", self.inputs, responses, self.llm,
                                 llm0, logits["tiny"])  # fmt: skip
        paths = CheckpointPaths.of(folder)
        train_alignment(name, own.alignment, own.adapter, lora, own.prompts, own.teacher, own.seed, *shared, logits,
                        responses, warm, self.folder / "tagger.safetensors", self.llm, llm0, paths, {})  # fmt: skip
        return paths, own

    def log(self, paths: CheckpointPaths) -> dict[str, list[float]]:
        log = artifacts.read(paths.log, "training")
        return {name: list(group.value) for name, group in log[log.split == "train"].groupby("metric")}


@pytest.fixture
def bench(tmp_path, monkeypatch, training_inputs, tiny_llm):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_TRACKING_URI", raising=False)
    config = config_of(SYSTEMS)
    rows = [
        {"utterance_id": r["utterance_id"], "corpus": "tiny", "kind": "emotion", "target": r["emotion"],
         "labels": ["angry", "sad"], "probabilities": [0.5, 0.5]}
        for r in artifacts.read_rows(training_inputs.references["tiny"], "labels")
    ]  # fmt: skip
    artifacts.write(rows, tmp_path / "targets.parquet", "tagger_predictions", "test")
    save_file({"w": torch.zeros(1)}, tmp_path / "tagger.safetensors")
    adapt_teacher(config.teacher, config.lora, config.prompts, 0, config.compute, training_inputs, tiny_llm,
                  tmp_path / "llm0.safetensors", tmp_path / "llm0.parquet")  # fmt: skip
    return Bench(tmp_path, training_inputs, tiny_llm, config)


# What each must have logged beside the NLL, and must not.
LOGGED = {
    "cascade": ({"nll"}, {"kl", "before"}),
    "align_before_mse": ({"before"}, {"kl"}),
    "align_before_attention": ({"before"}, {"kl"}),
    "align_before_contrastive": ({"before"}, {"kl"}),
    "secap": ({"before", "information", "club_nll"}, {"kl"}),
    "kd_reverse": ({"reverse_kl"}, {"kl", "js"}),
    "kd_js": ({"js"}, {"kl", "reverse_kl"}),
    "kd_cif": ({"kl", "quantity"}, {"before"}),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_trains_two_steps_and_captions(name, bench):
    paths, own = bench.train(name)
    logged = bench.log(paths)
    wanted, unwanted = LOGGED.get(name, ({"kl"}, {"before", "quantity"}))
    assert wanted | {"nll", "loss"} <= set(logged) and not unwanted & set(logged)
    assert all(len(values) == own.alignment.steps for values in logged.values()), "the same updates for every system"
    model = load_checkpoint(paths, model_folder(bench.llm), Compute(precision="fp32", device="cpu"))
    prompts = model.speech_prompts(load_examples(bench.inputs, ["dev"]))
    assert all((prompt.speech is None) == (name == "cascade") for prompt in prompts)
    assert len(generate(model, prompts, 2)) == len(prompts)
    if name == "cascade":
        assert not any(key.startswith("adapter.") for key in load_file(paths.adapter))
    if name == "kd_schedule":
        loss, nll, kl = logged["loss"], logged["nll"], logged["kl"]
        assert loss[0] == pytest.approx(nll[0] + kl[0], rel=1e-4) and loss[1] == pytest.approx(nll[1], rel=1e-4)
    if name == "kd_generated":
        check_generated(bench, paths.adapter.parent, own)


def check_generated(bench: Bench, folder: Path, own: AlignCapConfig) -> None:
    said = artifacts.read_rows(folder / "responses.parquet", "teacher_responses")
    scored = artifacts.read_rows(folder / "logits.parquet", "teacher_logits")
    align = [e.utterance_id for e in load_examples(bench.inputs, ["align"])]
    assert sorted(r["utterance_id"] for r in said) == sorted(align)
    assert {r["response_id"]: r["response_ids"] for r in said} == {r["response_id"]: r["response_ids"] for r in scored}
    for row in scored:  # greedy: each token is the teacher's likeliest
        assert row["response_ids"] == [ids[0] for ids in row["topk_ids"]]


def test_the_truncated_kl_is_measured_against_the_whole(bench):
    paths, own = bench.train("kd_conv")
    # Two steps move a tiny student less than float sums do on some machines; this one is far from its teacher.
    moved = {k: tensor * (100 if "lora_B" in k else 1) for k, tensor in load_file(paths.lora).items()}
    save_file(moved, paths.lora)
    out = bench.folder / "kl.parquet"
    write_kl_truncation("kd_conv", own.teacher, 3, own.compute, bench.inputs, paths, bench.llm, out,
                        bench.folder / "kl.md")  # fmt: skip
    table = artifacts.read(out, "kl_truncation")
    vocabulary = len(load_checkpoint(paths, model_folder(bench.llm), Compute(precision="fp32", device="cpu")).tokenizer)
    assert list(table.k) == [k for k in (8, 16, 32, 64, 128, 256) if k < vocabulary] + [vocabulary]
    assert table.error.is_monotonic_decreasing and table.error.iloc[0] > 0
    assert abs(table.error.iloc[-1]) < 2e-3 * max(1.0, table.full_kl.iloc[0])
    assert table.full_kl.nunique() == 1 and table.teacher_tail.iloc[-1] == 0
    text = (bench.folder / "kl.md").read_text()
    assert text.count("\n| tiny |") == len(table) and "`kd_conv`" in text


def test_responses_of_another_run_are_refused(bench):
    own = resolve_system(bench.config, "kd_generated")
    path = bench.folder / "few.parquet"
    row = {"utterance_id": "u00", "response_id": "u00#g0", "response_ids": [5], "caption": "x", "finished": True}
    artifacts.write([row], path, "teacher_responses", "test")
    with pytest.raises(ArtifactError, match="teacher_responses: none for tiny/"):
        write_teacher_logits(own.teacher, own.lora, own.prompts, own.compute, "tiny", bench.inputs, {"tiny": path},
                             bench.llm, None, bench.folder / "x.parquet")  # fmt: skip


def test_an_adversary_with_one_corpus_is_refused(bench):
    own = resolve_system(bench.config, "kd_adversary")
    settings = own.warm_start.model_copy(update={"adversary": "corpus"})
    with pytest.raises(ConfigError, match="only one corpus"):
        warm_start(own.adapter, settings, 0, own.compute, bench.inputs, bench.folder / "targets.parquet", bench.llm,
                   bench.folder / "w", bench.folder / "l")  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"alignment": {"divergence": "reverse_kl"}}, r"reverse_kl needs whole distributions; set teacher\.live: true"),
        ({"alignment": {"divergence": "js"}}, "js needs whole distributions"),
        ({"alignment": {"before": "mse"}, "adapter": {"type": "none"}}, "needs speech embeddings"),
        ({"alignment": {"before": "secap"}, "adapter": {"type": "cif"}}, "secap is a Q-Former's"),
        ({"alignment": {"before": "contrastive", "before_pool": "attention"}}, "attention is for before: mse"),
        ({"teacher": {"sampling": {"samples": 3}}}, "greedy decoding gives one"),
    ],
)
def test_contradictions_are_refused_in_one_line(overrides, told):
    with pytest.raises(ConfigError, match=told) as caught:
        config_of({"x": {"stage": "alignment", "overrides": overrides}})
    assert "\n" not in str(caught.value)
