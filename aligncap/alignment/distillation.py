"""Where the student's divergence from the teacher comes from: cached distributions, or ``LLM_0`` run beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligncap import artifacts
from aligncap.alignment.losses import TopK, full_divergence, token_kl
from aligncap.alignment.training_items import Item, teacher_prompts
from aligncap.captioner.model import CaptionModel
from aligncap.errors import ArtifactError


class Distillation(ABC):
    """A teacher for batches of items; ``name`` is what its divergence is logged as."""

    name: str

    @abstractmethod
    def divergence(self, batch: Sequence[Item], logits: Tensor) -> Tensor:
        """Sum over the batch's response tokens, token after token as ``logits [N, V]`` has them."""


class CachedResponse:
    """One response and the teacher's distributions over it, as read from a ``teacher_logits`` row."""

    __slots__ = ("ids", "logprobs", "tail", "tokens")

    def __init__(self, ids: list[int], tokens: np.ndarray, logprobs: np.ndarray, tail: np.ndarray) -> None:
        self.ids, self.tokens, self.logprobs, self.tail = ids, tokens, logprobs, tail


def stack(cached: Sequence[CachedResponse], device: torch.device) -> TopK:
    """Distributions of several responses, token after token, as the packed batch has them."""
    return TopK(
        torch.from_numpy(np.concatenate([c.tokens for c in cached])).to(device),
        torch.from_numpy(np.concatenate([c.logprobs for c in cached])).to(device),
        torch.from_numpy(np.concatenate([c.tail for c in cached])).to(device),
    )


def read_teacher_logits(paths: Mapping[str, Path]) -> dict[str, CachedResponse]:
    """Cached distributions by ``corpus/response_id``."""
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
    """Forward KL to the teacher's stored top k and tail.

    Args:
        cached: distributions by ``corpus/response_id``.
        items: what will be trained on.
        temperature: that the distributions were made with.

    Raises:
        ArtifactError: a response has no distributions, or those of other tokens.
    """

    name = "kl"

    def __init__(self, cached: Mapping[str, CachedResponse], items: Sequence[Item], temperature: float) -> None:
        for item in items:
            if item.key not in cached or tuple(cached[item.key].ids) != item.ids:
                raise ArtifactError(f"teacher_logits: not of the response {item.key}; delete them and run again")
        self.cached, self.temperature = cached, temperature

    def divergence(self, batch: Sequence[Item], logits: Tensor) -> Tensor:
        """``sum_n KL(p_T || p_S)`` over top k and tail."""
        teacher = stack([self.cached[item.key] for item in batch], logits.device)
        return token_kl(logits, teacher, self.temperature)


class LiveTeacher(Distillation):
    """Any divergence to the whole distributions of ``LLM_0`` reading text input.

    ``LLM_0`` is the student without its LoRA: no second model is held.

    Args:
        model: the student.
        clues: gold or predicted.
        kind: of the divergence, as ``full_divergences`` takes it.
        temperature: of both sides.
    """

    def __init__(self, model: CaptionModel, clues: str, kind: str, temperature: float) -> None:
        self.model, self.clues, self.kind, self.temperature = model, clues, kind, temperature
        self.name = {"forward_kl": "kl"}.get(kind, kind)

    def logits(self, batch: Sequence[Item]) -> Tensor:
        """The teacher's logits ``[N, V]``."""
        prompts = teacher_prompts(self.model, [item.example for item in batch], self.clues)
        with torch.no_grad(), self.model.without_lora():
            return self.model.response_logits(self.model.pack(prompts, [[list(item.ids)] for item in batch]))

    def divergence(self, batch: Sequence[Item], logits: Tensor) -> Tensor:
        """``sum_n D(p_T, p_S)`` over the vocabulary."""
        return full_divergence(logits, self.logits(batch), self.kind, self.temperature)
