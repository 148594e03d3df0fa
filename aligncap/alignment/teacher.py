"""The text side: ``LLM_0`` fitted to the task on text input, and its response distributions, cached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from aligncap import artifacts
from aligncap.alignment.losses import top_k_and_tail
from aligncap.alignment.stages import CachedResponse, TextStage, caption_items
from aligncap.captioner.checkpoint import build_model
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.captioner.sources import model_folder
from aligncap.config import Compute, Lora, Prompts, Teacher
from aligncap.device import pick_device
from aligncap.progress import track
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
    model = CaptionModel(model_folder(llm_manifest), prompts, pick_device(compute))
    model.add_lora(lora)
    settings = teacher.adaptation
    train_set = caption_items(load_examples(inputs, ["adapt"]))
    dev_set = caption_items(load_examples(inputs, ["dev"]))
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


def load_lora(path: Path | None) -> dict[str, torch.Tensor]:
    """The teacher's LoRA, or nothing where ``LLM_0`` is the base model."""
    return {} if path is None else load_file(path)


def write_teacher_logits(
    teacher: Teacher,
    lora: Lora,
    prompts: Prompts,
    compute: Compute,
    corpus: str,
    inputs: TrainingInputs,
    llm_manifest: Path,
    teacher_lora: Path | None,
    out: Path,
) -> None:
    """Cache ``p_T(. | x_T, y_<n)`` for every response that alignment will train on: the ``align`` role of ``corpus``.

    Args:
        teacher: clues, k and temperature.
        lora: rank and targets of the teacher's LoRA.
        prompts: what the LLM reads.
        compute: device and threads.
        corpus: a training corpus.
        inputs: artifacts of the training corpora.
        llm_manifest: the base LLM.
        teacher_lora: what makes ``LLM_0`` of it, or None.
        out: the ``teacher_logits`` artifact.
    """
    model = build_model(model_folder(llm_manifest), prompts, lora, pick_device(compute), load_lora(teacher_lora))
    pairs = caption_items([e for e in load_examples(inputs, ["align"]) if e.corpus == corpus])
    responses = [model.response_ids(e.captions[n]) for e, n in pairs]
    order = sorted(range(len(pairs)), key=lambda i: len(responses[i]) + len(pairs[i][0].p_sem_ids))
    rows: dict[int, dict] = {}
    starts = range(0, len(order), BATCH)
    for start in track(starts, f"teacher logits {corpus}", len(starts)):
        chunk = order[start : start + BATCH]
        texts = [
            model.text_prompt(e.gold_p_act if teacher.clues == "gold" else e.predicted_p_act, e.p_sem_ids)
            for e, _ in (pairs[i] for i in chunk)
        ]
        packed = model.pack(texts, [[responses[i]] for i in chunk])
        with torch.no_grad():
            top = top_k_and_tail(model.response_logits(packed), teacher.top_k, teacher.temperature)
        ends = np.cumsum([0, *(len(responses[i]) for i in chunk)])
        for i, low, high in zip(chunk, ends[:-1], ends[1:], strict=True):
            example, number = pairs[i]
            rows[i] = {
                "utterance_id": example.utterance_id,
                "response_id": f"{example.utterance_id}#{number}",
                "response_ids": responses[i],
                "topk_ids": top.ids[low:high].tolist(),
                "topk_logprobs": top.logprobs[low:high].half().cpu().numpy().tolist(),
                "tail_logprob": top.tail[low:high].tolist(),
                "temperature": teacher.temperature,
            }
    notes = {"llm_manifest": artifacts.file_digest(llm_manifest), "teacher": teacher.model_dump(mode="json")}
    artifacts.write([rows[i] for i in range(len(pairs))], out, "teacher_logits", "teacher_logits", notes)


def read_teacher_logits(paths: Mapping[str, Path]) -> dict[str, CachedResponse]:
    """Cached distributions by ``corpus/utterance_id#n``."""
    cached = {}
    for corpus, path in paths.items():
        for row in artifacts.read_rows(path, "teacher_logits"):
            cached[f"{corpus}/{row['response_id']}"] = CachedResponse(
                row["response_ids"],
                np.asarray(row["topk_ids"], dtype=np.int64),
                np.asarray(row["topk_logprobs"], dtype=np.float32),
                np.asarray(row["tail_logprob"], dtype=np.float32),
            )
    return cached
