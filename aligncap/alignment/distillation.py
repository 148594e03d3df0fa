"""Distillation from the teacher: its divergence to the student, from cached distributions or from a live ``LLM_0``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligncap import artifacts
from aligncap.alignment.losses import TopK, full_divergence, token_kl
from aligncap.alignment.training_items import TrainingItem, teacher_prompts
from aligncap.captioner.model import CaptionModel
from aligncap.errors import ArtifactError


class Distillation(ABC):
    """Base class of the teachers; ``name`` is the name under which the divergence is logged."""

    name: str

    @abstractmethod
    def divergence(self, batch: Sequence[TrainingItem], logits: Tensor) -> Tensor:
        """Return the divergence summed over the batch's N response tokens, in the order of ``logits [N, V]``."""


class CachedResponse:
    """The token ids of a response and the teacher's distributions over them, read from a row of ``teacher_logits``."""

    __slots__ = ("ids", "logprobs", "tail", "tokens")

    def __init__(self, ids: list[int], tokens: np.ndarray, logprobs: np.ndarray, tail: np.ndarray) -> None:
        self.ids, self.tokens, self.logprobs, self.tail = ids, tokens, logprobs, tail


def stack(cached: Sequence[CachedResponse], device: torch.device) -> TopK:
    """Concatenate the distributions of several responses in the token order of a packed batch."""
    return TopK(
        torch.from_numpy(np.concatenate([c.tokens for c in cached])).to(device),
        torch.from_numpy(np.concatenate([c.logprobs for c in cached])).to(device),
        torch.from_numpy(np.concatenate([c.tail for c in cached])).to(device),
    )


def read_teacher_logits(paths: Mapping[str, Path]) -> dict[str, CachedResponse]:
    """Read the cached distributions of each corpus, keyed by ``corpus/response_id``."""
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


class CachedTeacher(Distillation):
    """A teacher with cached distributions: forward KL over its top k tokens and the tail bucket.

    Args:
        cached: Distributions by ``corpus/response_id``.
        items: Training items.
        temperature: Temperature with which the distributions were computed.

    Raises:
        ArtifactError: A response has no distributions, or they belong to other tokens.
    """

    name = "kl"

    def __init__(self, cached: Mapping[str, CachedResponse], items: Sequence[TrainingItem], temperature: float) -> None:
        for item in items:
            if item.key not in cached or tuple(cached[item.key].ids) != item.ids:
                raise ArtifactError(f"teacher_logits: not of the response {item.key}; delete them and run again")
        self.cached, self.temperature = cached, temperature

    def divergence(self, batch: Sequence[TrainingItem], logits: Tensor) -> Tensor:
        """Return ``sum_n KL(p_T || p_S)`` over the top k tokens and the tail bucket."""
        teacher = stack([self.cached[item.key] for item in batch], logits.device)
        return token_kl(logits, teacher, self.temperature)


class LiveTeacher(Distillation):
    """A teacher that runs live: any divergence to the full distributions of ``LLM_0`` given text input.

    ``LLM_0`` is the student without its LoRA, so that no second model is kept in memory.

    Args:
        model: Student.
        clues: Clues of the text input, ``gold`` or ``predicted``.
        kind: Kind of divergence, one of those of ``full_divergences``.
        temperature: Temperature of both distributions.
    """

    def __init__(self, model: CaptionModel, clues: str, kind: str, temperature: float) -> None:
        self.model, self.clues, self.kind, self.temperature = model, clues, kind, temperature
        self.name = {"forward_kl": "kl"}.get(kind, kind)

    def logits(self, batch: Sequence[TrainingItem]) -> Tensor:
        """Compute the teacher's logits ``[N, V]``."""
        prompts = teacher_prompts(self.model, [item.example for item in batch], self.clues)
        with torch.no_grad(), self.model.without_lora():
            return self.model.response_logits(self.model.pack(prompts, [[list(item.ids)] for item in batch]))

    def divergence(self, batch: Sequence[TrainingItem], logits: Tensor) -> Tensor:
        """Return ``sum_n D(p_T, p_S)`` over the whole vocabulary."""
        return full_divergence(logits, self.logits(batch), self.kind, self.temperature)
