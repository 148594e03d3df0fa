"""Speech-text alignment: KD-Regularization, and plain fine-tuning as its rival, by the same code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from aligncap.alignment.stages import SpeechStage, caption_items
from aligncap.alignment.teacher import load_lora, read_teacher_logits
from aligncap.captioner.checkpoint import CheckpointPaths, build_model, restore_adapter, save_checkpoint
from aligncap.captioner.sources import model_folder
from aligncap.config import Adapter, Alignment, Compute, Lora, Prompts
from aligncap.device import pick_device
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import train


def train_alignment(
    system: str,
    alignment: Alignment,
    adapter: Adapter,
    lora: Lora,
    prompts: Prompts,
    seed: int,
    compute: Compute,
    inputs: TrainingInputs,
    teacher_logits: Mapping[str, Path],
    temperature: float,
    warm_start: Path,
    tagger_weights: Path,
    llm_manifest: Path,
    teacher_lora: Path | None,
    checkpoint: CheckpointPaths,
    description: dict[str, Any],
) -> None:
    """Train a speech captioner on ``L = NLL + kd_weight * KL(teacher || student)`` (paper: KD-Regularization).

    Every system starts from the same ``LLM_0``, warm start, features and batch order (DESIGN section 2, fairness).

    Args:
        system: its name.
        alignment: steps, learning rates and lambda.
        adapter: architecture of the speech adapter.
        lora: rank and targets.
        prompts: what the LLM reads.
        seed: of the LoRA's initial weights, the order and the adapter's noise.
        compute: device and threads.
        inputs: artifacts of the training corpora.
        teacher_logits: cached teacher distributions by corpus; empty where ``kd_weight`` is 0.
        temperature: that they were made with.
        warm_start: safetensors of the warm-started adapter.
        tagger_weights: the clue tagger, kept in the checkpoint.
        llm_manifest: the base LLM.
        teacher_lora: what makes ``LLM_0`` of it, or None.
        checkpoint: where the result goes.
        description: settings that ``Captioner.load`` needs.
    """
    torch.manual_seed(seed)
    device = pick_device(compute)
    llm0 = load_lora(teacher_lora)
    model = build_model(model_folder(llm_manifest), prompts, lora, device, llm0)
    model.add_lora(lora)
    train_set, dev_set = (caption_items(load_examples(inputs, [role])) for role in ("align", "dev"))
    n_layers, _, dim = train_set[0][0].features.shape
    tensors = load_file(warm_start)
    module = model.add_adapter(adapter, n_layers, dim)
    # The warm start never saw the LLM: how loud its embeddings are is this stage's to set.
    restore_adapter(module, {**tensors, "scale": module.scale.detach().clone()}, str(warm_start))
    stage = SpeechStage(
        model,
        train_set,
        dev_set,
        alignment.learning_rate,
        alignment.adapter_learning_rate,
        alignment.kd_weight,
        read_teacher_logits(teacher_logits),
        temperature,
    )
    described = {
        "alignment": alignment.model_dump(),
        "adapter": adapter.model_dump(),
        "lora": lora.model_dump(mode="json"),
        "prompts": prompts.model_dump(),
        "seed": seed,
    }
    files = [*inputs.files(), *teacher_logits.values(), warm_start, llm_manifest]
    files += [] if teacher_lora is None else [teacher_lora]
    everything = {**description, **described, "system": system}

    def save() -> None:
        save_checkpoint(checkpoint, model, llm0, load_file(tagger_weights), everything)

    train(stage, alignment, compute, seed, "train_alignment", system, described, files, checkpoint.log, save)
