"""The teacher: ``LLM_0``, adapted to the task on text input, and its cached response distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file

from aligncap import artifacts
from aligncap.alignment.descriptions import read_descriptions
from aligncap.alignment.losses import token_nll, top_k_and_tail
from aligncap.alignment.tasks import AdaptationTask
from aligncap.alignment.training_items import TrainingItem, caption_items, response_items, teacher_prompts
from aligncap.artifacts import WHOLE, Shard
from aligncap.captioner.checkpoint import build_model, load_lora
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts, Teacher
from aligncap.models.sources import model_folder
from aligncap.progress import batches, track
from aligncap.training.data import TrainingInputs, examples_of, load_examples, planned
from aligncap.training.loop import train
from aligncap.training.recording import Run

BATCH = 8  # responses scored at once


@dataclass(frozen=True)
class AdaptationSettings:
    """Settings of the teacher's adaptation: sections of the configuration and the seed.

    The seed determines the LoRA's initial weights and the order of the items.
    """

    teacher: Teacher
    lora: Lora
    prompts: Prompts
    seed: int
    compute: Compute


@dataclass(frozen=True)
class AdaptationInputs(TrainingInputs):
    """Input files of the teacher's adaptation; ``descriptions`` is None where it reads captions of clips alone."""

    descriptions: Path | None


class AdaptedTeacher(NamedTuple):
    """Output files of the teacher's adaptation: safetensors of the LoRA, and the training log."""

    lora: Path
    log: Path


def adapt_teacher(settings: AdaptationSettings, inputs: AdaptationInputs, outputs: AdaptedTeacher) -> None:
    """Train a LoRA on the text input of the ``adapt`` utterances; merged into the base LLM it gives ``LLM_0`` (ours).

    A small LLM needs this because its distribution over captions is poor. Teacher and student both start from
    ``LLM_0``. The teacher scores the ``align`` utterances, whose speakers are not among those of ``adapt``. With
    ``teacher.descriptions`` it learns from descriptions of voices without sound, too.
    """
    torch.manual_seed(settings.seed)
    model = CaptionModel(model_folder(inputs.llm), settings.prompts, settings.compute)
    model.add_lora(settings.lora)
    adaptation = settings.teacher.adaptation
    clips = load_examples(inputs, ["adapt"], heard=False)  # LLM_0 reads text alone
    texts = read_descriptions(inputs.descriptions, clips, settings.seed) if inputs.descriptions else []
    train_set = caption_items([*clips, *texts], model.response_ids)
    dev_set = caption_items(load_examples(inputs, ["dev"], heard=False), model.response_ids)
    task = AdaptationTask(model, train_set, dev_set, adaptation.learning_rate)
    described = {
        "adaptation": adaptation.model_dump(),
        "lora": settings.lora.model_dump(),
        "prompts": settings.prompts.model_dump(),
        "seed": settings.seed,
    }

    def save() -> None:
        with artifacts.atomic_path(outputs.lora) as temporary:
            save_file({n: t.detach().cpu().contiguous() for n, t in lora_tensors(model.llm).items()}, temporary)

    run = Run("adapt_teacher", "teacher", described, inputs.files(), outputs.log, save)
    train(task, adaptation, settings.seed, settings.compute, run)


def teacher_loss(model: CaptionModel, items: Sequence[TrainingItem], clues: str) -> float:
    """Return the teacher's NLL of responses, given the text input: nat a token.

    Args:
        model: ``LLM_0``, with or without a LoRA that is not trained yet.
        items: Utterances with a response each.
        clues: ``gold`` or ``predicted``, as ``teacher.clues``.
    """
    total = 0.0
    for chunk in batches(list(items), BATCH, "the teacher on dev"):
        packed = model.pack(teacher_prompts(model, [i.example for i in chunk], clues), [[list(i.ids)] for i in chunk])
        with torch.no_grad():
            total += float(token_nll(model.response_logits(packed), packed.labels))
    return total / sum(len(item.ids) for item in items)


@dataclass(frozen=True)
class LogitsSettings:
    """Settings of the cached distributions: the training corpus and sections of the configuration.

    Of the section ``teacher``, only clues, responses, k and temperature are used.
    """

    corpus: str
    teacher: Teacher
    lora: Lora
    prompts: Prompts
    compute: Compute


@dataclass(frozen=True)
class LogitsInputs(TrainingInputs):
    """Input files of the cached distributions.

    Attributes:
        teacher_responses: Artifact ``teacher_responses`` of this corpus; None where ``teacher.responses`` is
            ``reference``.
        teacher_lora: LoRA of the teacher's adaptation; None where ``LLM_0`` is the base LLM.
    """

    teacher_responses: Path | None
    teacher_lora: Path | None


def write_teacher_logits(settings: LogitsSettings, inputs: LogitsInputs, out: Path, shard: Shard = WHOLE) -> None:
    """Cache the teacher's distributions ``p_T(. | x_T, y_<n)`` for the responses to a corpus's ``align`` utterances.

    Args:
        settings: Corpus and teacher.
        inputs: Artifacts of the training corpora.
        out: Artifact ``teacher_logits`` to write.
        shard: Which of the utterances; those of a block stay together.
    """
    teacher = settings.teacher
    generated = {} if inputs.teacher_responses is None else {settings.corpus: inputs.teacher_responses}
    llm0 = load_lora(inputs.teacher_lora)
    model = build_model(model_folder(inputs.llm), settings.prompts, settings.lora, settings.compute, llm0)
    keys = [key for key in planned(inputs.plan, ["align"]) if key[0] == settings.corpus]
    own = shard.of(len(keys), artifacts.BLOCK)
    examples = examples_of(inputs, keys[own.start : own.stop], heard=False)
    items = response_items(examples, teacher.responses, generated, model.response_ids)
    place = {example.utterance_id: number // artifacts.BLOCK for number, example in enumerate(examples)}
    blocks: dict[int, list[TrainingItem]] = {}
    for item in items:
        blocks.setdefault(place[item.example.utterance_id], []).append(item)
    rows = (row for number in sorted(blocks) for row in _distributions(model, teacher, blocks[number]))
    notes = {
        "llm_manifest": artifacts.file_digest(inputs.llm),
        "teacher": teacher.model_dump(mode="json", exclude_unset=True),
    }
    found = track(rows, f"teacher logits {settings.corpus}", len(items))
    artifacts.write_rows(found, out, "teacher_logits", "teacher_logits", notes)


def _distributions(model: CaptionModel, teacher: Teacher, items: Sequence[TrainingItem]) -> list[dict[str, Any]]:
    """Return the rows of a block's items, in their order; those of like length share a batch."""

    def length(number: int) -> int:
        return len(items[number].ids) + len(items[number].example.p_sem_ids)

    rows: list[dict[str, Any]] = [{}] * len(items)
    for chunk in artifacts.of_like_length(range(len(items)), length, BATCH):
        texts = teacher_prompts(model, [items[i].example for i in chunk], teacher.clues)
        packed = model.pack(texts, [[list(items[i].ids)] for i in chunk])
        with torch.no_grad():
            top = top_k_and_tail(model.response_logits(packed), teacher.top_k, teacher.temperature)
        parts = (top.ids.int(), top.logprobs.half(), top.tail)
        of_items = zip(*(part.cpu().split([len(items[i].ids) for i in chunk]) for part in parts), strict=True)
        for i, (ids, logprobs, tail) in zip(chunk, of_items, strict=True):
            rows[i] = {
                "utterance_id": items[i].example.utterance_id,
                "response_id": items[i].response_id,
                "response_ids": list(items[i].ids),
                "topk_ids": ids.tolist(),
                "topk_logprobs": logprobs.tolist(),
                "tail_logprob": tail.tolist(),
                "temperature": teacher.temperature,
            }
    return rows
