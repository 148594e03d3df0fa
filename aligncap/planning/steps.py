"""Steps of the trainings, and batches of what only computes: clips, positions of the LLM, FLOPs and seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from aligncap.alignment.teacher import BATCH
from aligncap.config import AlignCapConfig, Optimisation
from aligncap.planning import costs
from aligncap.planning.costs import Batch
from aligncap.planning.setting import Setting
from aligncap.systems import reads_cached_logits


class Step(NamedTuple):
    """A step of a training, all its accumulated batches together, or a batch of a rule that only computes."""

    stage: str
    clips: int
    positions: float  # of the LLM
    flops: float
    seconds: float


def settings_of(stage: str, config: AlignCapConfig) -> Optimisation:
    """Return the section of a training."""
    sections: dict[str, Optimisation] = {
        "warm_start": config.warm_start,
        "adapt_teacher": config.teacher.adaptation,
        "train_alignment": config.alignment,
        "train_preference": config.preference,
    }
    return sections[stage]


def batch_of(setting: Setting, stage: str, config: AlignCapConfig) -> Batch:
    """Return a batch of a training that goes through the LLM."""
    size = settings_of(stage, config).batch_size
    if stage == "train_preference":
        return setting.batch(config, size, 2, setting.assumed.candidate_tokens, speech=True)
    return setting.batch(config, size, 1, setting.assumed.caption_tokens, speech=stage == "train_alignment")


def training(setting: Setting, stage: str, config: AlignCapConfig) -> Step:
    """Return a step of a training of the LoRA: ``adapt_teacher``, ``train_alignment`` or ``train_preference``."""
    own, batch = settings_of(stage, config), batch_of(setting, stage, config)
    trained = stage == "train_alignment" and config.adapter.type != "none"
    forward = costs.forward_flops(setting.llm, setting.lora.parameters, batch)
    flops = forward + costs.backward_flops(setting.llm, setting.lora, batch, trained)
    if stage == "train_alignment" and config.alignment.kd_weight > 0 and config.teacher.live:
        flops += costs.forward_flops(setting.llm, 0, replace(batch, own=batch.own - setting.states(config)))
    if stage == "train_preference" and config.preference.loss == "kto":
        flops += costs.forward_flops(setting.llm, setting.lora.parameters, replace(batch, responses=1))
    adapter = 0.0 if stage == "adapt_teacher" else own.batch_size * setting.adapting(config, setting.llm.width)
    if trained:
        adapter *= 6 if config.adapter.mixup > 0 else 3
    distilled = stage == "train_alignment" and config.alignment.kd_weight > 0
    moved = 3 * setting.moved(batch, distilled)
    seconds = setting.seconds(flops, moved, 3 * setting.llm.layers, adapter)
    each = own.accumulate
    return Step(stage, each * own.batch_size, each * batch.positions, each * (flops + adapter), each * seconds)


def warming(setting: Setting, config: AlignCapConfig) -> Step:
    """Return a step of ``warm_start``, which trains the adapter without the LLM."""
    own = config.warm_start
    flops = 3 * own.batch_size * setting.adapting(config, 0)
    seconds = setting.seconds(0.0, 0.0, 3 * config.adapter.layers, flops)
    each = own.accumulate
    return Step("warm_start", each * own.batch_size, 0.0, each * flops, each * seconds)


def scoring(setting: Setting, stage: str, config: AlignCapConfig, prompts: int, responses: int) -> Step:
    """Return a batch that is only scored: ``teacher_logits`` or ``reference_logps``."""
    speech = stage == "reference_logps"
    tokens = setting.assumed.candidate_tokens if speech else setting.assumed.caption_tokens
    batch = setting.batch(config, prompts, responses, tokens, speech)
    flops = costs.forward_flops(setting.llm, setting.lora.parameters if speech else 0, batch)
    adapter = prompts * setting.adapting(config, setting.llm.width) if speech else 0.0
    moved = setting.moved(batch, distilled=False)
    seconds = setting.seconds(flops, moved, setting.llm.layers, adapter)
    return Step(stage, prompts, batch.positions, flops + adapter, seconds)


def steps(setting: Setting) -> list[Step]:
    """Return a step or a batch of each stage that the experiment has."""
    config, found = setting.config, []
    aligned = [setting.resolved(system) for system in setting.of_stage("alignment")]
    if any(own.adapter.type != "none" for own in aligned):
        found.append(warming(setting, config))
    if config.teacher.adapt and aligned:
        found.append(training(setting, "adapt_teacher", config))
    if any(reads_cached_logits(own) for own in aligned):
        found.append(scoring(setting, "teacher_logits", config, BATCH, 1))
    if aligned:
        found.append(training(setting, "train_alignment", config))
    if setting.of_stage("preference"):
        found.append(training(setting, "train_preference", config))
    return found
