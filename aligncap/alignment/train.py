"""Speech-text alignment: KD-Regularization, and its rivals by the same code: plain fine-tuning, before decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from aligncap.alignment.distillation import CachedTeacher, Distillation, LiveTeacher, read_teacher_logits
from aligncap.alignment.rivals import BeforeDecoding
from aligncap.alignment.stages import SpeechStage
from aligncap.alignment.training_items import Item, caption_items, response_items
from aligncap.captioner.checkpoint import CheckpointPaths, build_model, load_lora, restore_adapter, save_checkpoint
from aligncap.captioner.model import CaptionModel
from aligncap.config import Adapter, Alignment, Compute, Lora, Prompts, Teacher
from aligncap.errors import ConfigError
from aligncap.models.sources import model_folder
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import train


def train_alignment(
    system: str,
    alignment: Alignment,
    adapter: Adapter,
    lora: Lora,
    prompts: Prompts,
    teacher: Teacher,
    seed: int,
    compute: Compute,
    inputs: TrainingInputs,
    teacher_logits: Mapping[str, Path],
    teacher_responses: Mapping[str, Path],
    warm_start: Path | None,
    tagger_weights: Path,
    llm_manifest: Path,
    teacher_lora: Path | None,
    checkpoint: CheckpointPaths,
    description: dict[str, Any],
) -> None:
    """Train a speech captioner on ``L = NLL + kd_weight * D(teacher, student) + L_before`` (KD: paper; the sum: ours).

    Every system starts from the same ``LLM_0``, warm start, features and batch order, and takes ``alignment.steps``
    caption updates whatever its responses and terms are (docs/method.md, *Fairness*).

    Args:
        system: its name.
        alignment: steps, learning rates, lambda, divergence, alignment before decoding.
        adapter: architecture of the speech adapter, or none.
        lora: rank and targets.
        prompts: what the LLM reads.
        teacher: which responses, and what the teacher reads where it runs live.
        seed: of the LoRA's initial weights, the order and the adapter's noise.
        compute: device and threads.
        inputs: artifacts of the training corpora.
        teacher_logits: cached teacher distributions by corpus; empty where ``kd_weight`` is 0 or the teacher live.
        teacher_responses: the teacher's own responses by corpus; empty where ``teacher.responses`` is ``reference``.
        warm_start: safetensors of the warm-started adapter; None where there is no adapter.
        tagger_weights: the clue tagger, kept in the checkpoint.
        llm_manifest: the base LLM.
        teacher_lora: what makes ``LLM_0`` of it, or None.
        checkpoint: where the result goes.
        description: settings that ``Captioner.load`` needs.

    Raises:
        ConfigError: the adapter has no warm start.
        ArtifactError: distributions or responses are missing, or of other responses.
    """
    torch.manual_seed(seed)
    llm0 = load_lora(teacher_lora)
    model = build_model(model_folder(llm_manifest), prompts, lora, compute, llm0)
    model.add_lora(lora)
    train_set = response_items(
        load_examples(inputs, ["align"]), teacher.responses, teacher_responses, model.response_ids
    )
    dev_set = caption_items(load_examples(inputs, ["dev"]), model.response_ids)
    if adapter.type != "none":
        _add_warm_adapter(model, adapter, train_set, warm_start)
    before = None if alignment.before is None else BeforeDecoding(alignment, adapter.width, model.width)
    distillation = _distillation(model, alignment, teacher, teacher_logits, train_set)
    stage = SpeechStage(model, train_set, dev_set, alignment, distillation, before, seed)
    described = {
        "alignment": alignment.model_dump(),
        "adapter": adapter.model_dump(),
        "lora": lora.model_dump(mode="json"),
        "prompts": prompts.model_dump(),
        "teacher": teacher.model_dump(),
        "seed": seed,
    }
    files = [*inputs.files(), *teacher_logits.values(), *teacher_responses.values(), llm_manifest]
    files += [path for path in (warm_start, teacher_lora) if path is not None]
    everything = {**description, **described, "system": system}

    def save() -> None:
        save_checkpoint(checkpoint, model, llm0, load_file(tagger_weights), everything)

    train(stage, alignment, compute, seed, "train_alignment", system, described, files, checkpoint.log, save)


def _add_warm_adapter(
    model: CaptionModel, adapter: Adapter, train_set: Sequence[Item], warm_start: Path | None
) -> None:
    if warm_start is None:
        raise ConfigError(f"adapter.type: {adapter.type} starts warm; run rule warm_start, or set type none")
    n_layers, _, dim = train_set[0].example.features.shape
    module = model.add_adapter(adapter, n_layers, dim)
    # The warm start never saw the LLM: how loud its embeddings are is this stage's to set.
    restore_adapter(module, {**load_file(warm_start), "scale": module.scale.detach().clone()}, str(warm_start))


def _distillation(
    model: CaptionModel,
    alignment: Alignment,
    teacher: Teacher,
    teacher_logits: Mapping[str, Path],
    train_set: Sequence[Item],
) -> Distillation | None:
    """The teacher that the settings name; None where ``kd_weight`` is 0."""
    if alignment.kd_weight == 0:
        return None
    if teacher.live:
        return LiveTeacher(model, teacher.clues, alignment.divergence, teacher.temperature)
    return CachedTeacher(read_teacher_logits(teacher_logits), train_set, teacher.temperature)
