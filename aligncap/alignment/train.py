"""Training of speech-text alignment: KD-Regularization, plain fine-tuning, and alignment before LLM decoding."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aligncap import artifacts
from aligncap.alignment.distillation import CachedResponses, CachedTeacher, Distillation, LiveTeacher
from aligncap.alignment.rivals import BeforeDecoding
from aligncap.alignment.tasks import AlignmentTask
from aligncap.alignment.teacher import teacher_loss
from aligncap.alignment.training_items import TrainingItem, caption_items, response_items
from aligncap.captioner.checkpoint import (
    CheckpointPaths,
    build_model,
    load_lora,
    load_weights,
    restore_adapter,
    save_checkpoint,
)
from aligncap.captioner.model import CaptionModel
from aligncap.config import AdapterSettings, Alignment, Compute, Lora, Prompts, Teacher
from aligncap.errors import ConfigError
from aligncap.job import ByCorpus
from aligncap.models.sources import model_folder
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import train
from aligncap.training.recording import Run

logger = logging.getLogger(__name__)
MARGIN = 0.02  # nat a token by which a teacher may be behind without a word


@dataclass(frozen=True)
class AlignmentSettings:
    """Settings of the alignment of a system.

    Attributes:
        system: Name of the system.
        alignment: Steps, learning rates, lambda, divergence, and alignment before LLM decoding.
        adapter: Architecture of the speech adapter, or type ``none``.
        lora: Rank and target modules of the LoRA.
        prompts: Instruction and parts of the prompt.
        teacher: Kind of responses, and clues of the teacher's text input where it runs live.
        seed: Seed of the LoRA's initial weights, of the order of the items and of the adapter's noise.
        compute: Device and threads.
        description: Further settings that ``Captioner.load`` needs.
    """

    system: str
    alignment: Alignment
    adapter: AdapterSettings
    lora: Lora
    prompts: Prompts
    teacher: Teacher
    seed: int
    compute: Compute
    description: dict[str, Any]

    def described(self) -> dict[str, Any]:
        """Return the settings that the weights depend on; of ``teacher`` only the keys that the rule was given."""
        return {
            "alignment": self.alignment.model_dump(),
            "adapter": self.adapter.model_dump(),
            "lora": self.lora.model_dump(mode="json"),
            "prompts": self.prompts.model_dump(),
            "teacher": self.teacher.model_dump(exclude_unset=True),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class AlignmentInputs(TrainingInputs):
    """Input files of alignment.

    Attributes:
        teacher_logits: Cached distributions of the teacher; empty where ``kd_weight`` is 0 or the teacher runs live.
        teacher_responses: Responses of the teacher; empty where ``teacher.responses`` is ``reference``.
        warm_start: Safetensors of the warm-started adapter; None where there is no adapter.
        tagger: Clue tagger, which is saved in the checkpoint.
        teacher_lora: LoRA of the teacher's adaptation; None where ``LLM_0`` is the base LLM.
    """

    teacher_logits: ByCorpus
    teacher_responses: ByCorpus
    warm_start: Path | None
    tagger: Path
    teacher_lora: Path | None


def train_alignment(settings: AlignmentSettings, inputs: AlignmentInputs, checkpoint: CheckpointPaths) -> None:
    """Train a speech captioner on ``L = NLL + kd_weight * D(teacher, student) + L_before`` (KD: paper; the sum: ours).

    Every system starts from the same ``LLM_0``, warm start, features and batch order, and takes ``alignment.steps``
    caption updates whatever its responses and loss terms are (docs/method.md, *Fairness*).

    Raises:
        ConfigError: The adapter has no warm start.
        ArtifactError: Responses or distributions are missing, or the distributions belong to other responses.
    """
    alignment, adapter = settings.alignment, settings.adapter
    torch.manual_seed(settings.seed)
    llm0 = load_lora(inputs.teacher_lora)
    model = build_model(model_folder(inputs.llm), settings.prompts, settings.lora, settings.compute, llm0)
    model.add_lora(settings.lora)
    train_set = response_items(
        load_examples(inputs, ["align"]), settings.teacher.responses, inputs.teacher_responses, model.response_ids
    )
    dev_set = caption_items(load_examples(inputs, ["dev"]), model.response_ids)
    if adapter.type != "none":
        _add_warm_adapter(model, adapter, train_set, inputs.warm_start)
    before = None if alignment.before is None else BeforeDecoding(alignment, adapter.width, model.width)
    distillation = _distillation(model, alignment, settings.teacher, inputs.teacher_logits, train_set)
    task = AlignmentTask(model, train_set, dev_set, alignment, distillation, before, settings.seed)
    described = settings.described()
    everything = {**settings.description, **described, "system": settings.system}

    known = None
    if distillation is not None:
        known = teacher_loss(model, dev_set[: alignment.dev_limit], settings.teacher.clues)

    def save() -> None:
        save_checkpoint(checkpoint, model, llm0, load_weights(inputs.tagger), everything)
        if known is not None:
            remedy = "set teacher.adapt: true" if inputs.teacher_lora is None else "raise teacher.adaptation.steps"
            _warn_of_teacher(settings.system, known, checkpoint.log, remedy)

    run = Run("train_alignment", settings.system, described, inputs.files(), checkpoint.log, save)
    train(task, alignment, settings.seed, settings.compute, run)


def _warn_of_teacher(system: str, known: float, log: Path, remedy: str) -> None:
    """Warn where the teacher knew less of the dev clips than its student does and so pulled to the worse (ours)."""
    reached = [r["value"] for r in artifacts.read_rows(log, "training") if (r["split"], r["metric"]) == ("dev", "nll")]
    if reached and known > reached[-1] + MARGIN:
        logger.warning(
            "%s: on dev clips the teacher's loss is %.3f nat a token and its student's %.3f, so distillation pulls "
            "towards the worse of the two; %s",
            system,
            known,
            reached[-1],
            remedy,
        )


def _add_warm_adapter(
    model: CaptionModel, adapter: AdapterSettings, train_set: Sequence[TrainingItem], warm_start: Path | None
) -> None:
    if warm_start is None:
        raise ConfigError(f"adapter.type: {adapter.type} starts warm; run rule warm_start, or set type none")
    n_layers, _, dim = train_set[0].example.features.shape
    module = model.add_adapter(adapter, n_layers, dim)
    # The warm start does not use the LLM, so the scale of the embeddings is trained from its initial value here.
    restore_adapter(module, {**load_weights(warm_start), "scale": module.scale.detach().clone()}, str(warm_start))


def _distillation(
    model: CaptionModel,
    alignment: Alignment,
    teacher: Teacher,
    teacher_logits: Mapping[str, Path],
    train_set: Sequence[TrainingItem],
) -> Distillation | None:
    """Make the teacher that the settings name; None where ``kd_weight`` is 0."""
    if alignment.kd_weight == 0:
        return None
    if teacher.live:
        return LiveTeacher(model, teacher.clues, alignment.divergence, teacher.temperature)
    return CachedTeacher(CachedResponses(teacher_logits), train_set, teacher.temperature)
