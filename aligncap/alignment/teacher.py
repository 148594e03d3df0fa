"""The text side: ``LLM_0`` fitted to the task on text input, and its response distributions, cached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from aligncap import artifacts
from aligncap.alignment.losses import top_k_and_tail
from aligncap.alignment.stages import TextStage
from aligncap.alignment.training_items import caption_items, response_items, teacher_prompts
from aligncap.captioner.checkpoint import build_model, load_lora
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts, Teacher
from aligncap.models.sources import model_folder
from aligncap.progress import batches
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import train

BATCH = 8  # responses scored at once


def adapt_teacher(
    teacher: Teacher,
    lora: Lora,
    prompts: Prompts,
    seed: int,
    compute: Compute,
    inputs: TrainingInputs,
    llm_manifest: Path,
    lora_out: Path,
    log_out: Path,
) -> None:
    """Fit a text-side LoRA on the ``adapt`` utterances; merged, it makes ``LLM_0`` of both sides (ours).

    A small LLM needs this: its own distribution over captions is poor. The teacher scores other speakers than these.

    Args:
        teacher: the ``teacher`` section.
        lora: rank and targets.
        prompts: what the LLM reads.
        seed: of the LoRA's initial weights and of the order.
        compute: device and threads.
        inputs: artifacts of the training corpora.
        llm_manifest: the base LLM.
        lora_out: safetensors of the LoRA.
        log_out: training log.
    """
    torch.manual_seed(seed)
    model = CaptionModel(model_folder(llm_manifest), prompts, compute)
    model.add_lora(lora)
    settings = teacher.adaptation
    train_set = caption_items(load_examples(inputs, ["adapt"]), model.response_ids)
    dev_set = caption_items(load_examples(inputs, ["dev"]), model.response_ids)
    stage = TextStage(model, train_set, dev_set, settings.learning_rate)
    described = {
        "adaptation": settings.model_dump(),
        "lora": lora.model_dump(),
        "prompts": prompts.model_dump(),
        "seed": seed,
    }
    files = [*inputs.files(), llm_manifest]

    def save() -> None:
        with artifacts.atomic_path(lora_out) as temporary:
            save_file({n: t.detach().cpu().contiguous() for n, t in lora_tensors(model.llm).items()}, temporary)

    train(stage, settings, compute, seed, "adapt_teacher", "teacher", described, files, log_out, save)


def write_teacher_logits(
    teacher: Teacher,
    lora: Lora,
    prompts: Prompts,
    compute: Compute,
    corpus: str,
    inputs: TrainingInputs,
    teacher_responses: Mapping[str, Path],
    llm_manifest: Path,
    teacher_lora: Path | None,
    out: Path,
) -> None:
    """Cache ``p_T(. | x_T, y_<n)`` for every response that alignment will train on: the ``align`` role of ``corpus``.

    Args:
        teacher: clues, responses, k and temperature.
        lora: rank and targets of the teacher's LoRA.
        prompts: what the LLM reads.
        compute: device and threads.
        corpus: a training corpus.
        inputs: artifacts of the training corpora.
        teacher_responses: of this corpus; empty where ``teacher.responses`` is ``reference``.
        llm_manifest: the base LLM.
        teacher_lora: what makes ``LLM_0`` of it, or None.
        out: the ``teacher_logits`` artifact.
    """
    model = build_model(model_folder(llm_manifest), prompts, lora, compute, load_lora(teacher_lora))
    examples = [e for e in load_examples(inputs, ["align"]) if e.corpus == corpus]
    items = response_items(examples, teacher.responses, teacher_responses, model.response_ids)
    order = sorted(range(len(items)), key=lambda i: len(items[i].ids) + len(items[i].example.p_sem_ids))
    rows: dict[int, dict] = {}
    for chunk in batches(order, BATCH, f"teacher logits {corpus}"):
        texts = teacher_prompts(model, [items[i].example for i in chunk], teacher.clues)
        packed = model.pack(texts, [[list(items[i].ids)] for i in chunk])
        with torch.no_grad():
            top = top_k_and_tail(model.response_logits(packed), teacher.top_k, teacher.temperature)
        ends = np.cumsum([0, *(len(items[i].ids) for i in chunk)])
        for i, low, high in zip(chunk, ends[:-1], ends[1:], strict=True):
            rows[i] = {
                "utterance_id": items[i].example.utterance_id,
                "response_id": items[i].response_id,
                "response_ids": list(items[i].ids),
                "topk_ids": top.ids[low:high].tolist(),
                "topk_logprobs": top.logprobs[low:high].half().cpu().numpy().tolist(),
                "tail_logprob": top.tail[low:high].tolist(),
                "temperature": teacher.temperature,
            }
    notes = {"llm_manifest": artifacts.file_digest(llm_manifest), "teacher": teacher.model_dump(mode="json")}
    artifacts.write([rows[i] for i in range(len(items))], out, "teacher_logits", "teacher_logits", notes)
