"""Every alignment system of the tables is a few lines of YAML that resolve, share artifacts, train and caption."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from more_inputs import more, write_targets
from safetensors.torch import load_file, save_file

from aligncap import artifacts
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
from aligncap.alignment.training_items import ResponsesInputs, ResponsesSettings, write_teacher_responses
from aligncap.alignment.warm_start import WarmAdapter, WarmStartInputs, WarmStartSettings, warm_start
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
align_before_mse: {stage: alignment, overrides: {alignment: {kd_weight: 0.0, before: mse, before_weight: 0.5}}}
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
kd_cif: {stage: alignment, overrides: {adapter: {type: cif}}}
kd_mixed: {stage: alignment, overrides: {adapter: {mixup: 0.4}}}
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
        llm0 = self.folder / "llm0.safetensors"
        warm = folder / "warm.safetensors" if own.adapter.type != "none" else None
        if warm is not None:
            inputs = more(WarmStartInputs, self.inputs, targets=self.folder / "targets.parquet")
            settings = WarmStartSettings(own.adapter, own.warm_start, own.seed, own.compute)
            warm_start(settings, inputs, WarmAdapter(warm, folder / "warm.parquet"))
        responses, logits = {}, {}
        if own.teacher.responses != "reference":
            responses = {"tiny": folder / "responses.parquet"}
            asked = ResponsesSettings("tiny", own.teacher, own.lora, own.prompts, own.seed, 6, own.compute)
            inputs = more(ResponsesInputs, self.inputs, teacher_lora=llm0)
            write_teacher_responses(asked, inputs, responses["tiny"])
        if own.alignment.kd_weight > 0 and not own.teacher.live:
            logits = {"tiny": folder / "logits.parquet"}
            self.cache_logits(own, responses.get("tiny"), llm0, logits["tiny"])
        paths = CheckpointPaths.of(folder)
        aligned = AlignmentSettings(
            name, own.alignment, own.adapter, own.lora, own.prompts, own.teacher, own.seed, own.compute, {}
        )
        files = {"teacher_logits": logits, "teacher_responses": responses, "warm_start": warm, "teacher_lora": llm0}
        tagger = self.folder / "tagger.safetensors"
        train_alignment(aligned, more(AlignmentInputs, self.inputs, tagger=tagger, **files), paths)
        return paths, own

    def cache_logits(self, own: AlignCapConfig, responses: Path | None, llm0: Path | None, out: Path) -> None:
        settings = LogitsSettings("tiny", own.teacher, own.lora, own.prompts, own.compute)
        inputs = more(LogitsInputs, self.inputs, teacher_responses=responses, teacher_lora=llm0)
        write_teacher_logits(settings, inputs, out)

    def log(self, paths: CheckpointPaths) -> dict[str, list[float]]:
        log = artifacts.read(paths.log, "training")
        return {name: list(group.value) for name, group in log[log.split == "train"].groupby("metric")}


@pytest.fixture
def bench(tmp_path, monkeypatch, training_inputs, tiny_llm):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_TRACKING_URI", raising=False)
    config = config_of(SYSTEMS)
    write_targets(training_inputs, tmp_path / "targets.parquet")
    save_file({"w": torch.zeros(1)}, tmp_path / "tagger.safetensors")
    settings = AdaptationSettings(config.teacher, config.lora, config.prompts, 0, config.compute)
    adapted = AdaptedTeacher(tmp_path / "llm0.safetensors", tmp_path / "llm0.parquet")
    adapt_teacher(settings, more(AdaptationInputs, training_inputs, descriptions=None), adapted)
    return Bench(tmp_path, training_inputs, tiny_llm, config)


# What each must have logged beside the NLL, and must not.
LOGGED = {
    "cascade": ({"nll"}, {"kl", "before"}),
    "align_before_mse": ({"before"}, {"kl"}),
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
    weights = {"nll": 1.0, "before": own.alignment.before_weight, "quantity": own.adapter.quantity_weight}
    weights |= dict.fromkeys(("kl", "js", "reverse_kl"), own.alignment.kd_weight)
    if name != "secap":  # whose terms have weights of their own
        terms = sum(weight * logged[term][0] for term, weight in weights.items() if term in logged)
        assert logged["loss"][0] == pytest.approx(terms, rel=1e-4)
    model = load_checkpoint(paths, model_folder(bench.llm), Compute(precision="fp32", device="cpu"))
    prompts = model.speech_prompts(load_examples(bench.inputs, ["dev"]))
    assert all((prompt.speech is None) == (name == "cascade") for prompt in prompts)
    assert len(generate(model, prompts, 2)) == len(prompts)
    if name == "cascade":
        assert not any(key.startswith("adapter.") for key in load_file(paths.adapter))
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


def test_responses_of_another_run_are_refused(bench):
    own = resolve_system(bench.config, "kd_generated")
    path = bench.folder / "few.parquet"
    row = {"utterance_id": "u00", "response_id": "u00#g0", "response_ids": [5], "caption": "x", "finished": True}
    artifacts.write([row], path, "teacher_responses", "test")
    with pytest.raises(ArtifactError, match="teacher_responses: none for tiny/"):
        bench.cache_logits(own, path, None, bench.folder / "x.parquet")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"alignment": {"divergence": "reverse_kl"}}, r"reverse_kl needs whole distributions; set teacher\.live: true"),
        ({"alignment": {"divergence": "js"}}, "js needs whole distributions"),
        ({"alignment": {"before": "mse"}, "adapter": {"type": "none"}}, "needs speech embeddings"),
        ({"alignment": {"before": "secap"}, "adapter": {"type": "cif"}}, "secap is a Q-Former's"),
        ({"teacher": {"sampling": {"samples": 3}}}, "greedy decoding gives one"),
    ],
)
def test_contradictions_are_refused_in_one_line(overrides, told):
    with pytest.raises(ConfigError, match=told) as caught:
        config_of({"x": {"stage": "alignment", "overrides": overrides}})
    assert "\n" not in str(caught.value)
