"""Distillation from the teacher: its divergence to the student, from cached distributions or from a live ``LLM_0``."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncap import artifacts
from aligncap.alignment.losses import TopK, full_divergence, token_kl
from aligncap.alignment.training_items import TrainingItem, teacher_prompts
from aligncap.captioner.model import CaptionModel
from aligncap.errors import ArtifactError

COLUMNS = ("response_ids", "topk_ids", "topk_logprobs", "tail_logprob")  # those of CachedResponse, in its order


class Distillation(ABC):
    """Base class of the teachers; ``name`` is the name under which the divergence is logged."""

    name: str

    @abstractmethod
    def divergence(self, batch: Sequence[TrainingItem], logits: Tensor) -> Tensor:
        """Return the divergence summed over the batch's N response tokens, in the order of ``logits [N, V]``."""


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response of N tokens and the teacher's distributions over them: a row of ``teacher_logits``."""

    ids: NDArray[np.int32]  # [N]
    tokens: NDArray[np.int32]  # [N, k]
    logprobs: NDArray[np.float16]  # [N, k], nat
    tail: NDArray[np.float32]  # [N], nat


def stack(cached: Sequence[CachedResponse], device: torch.device) -> TopK:
    """Concatenate the distributions of several responses in the token order of a packed batch."""
    return TopK(
        torch.from_numpy(np.concatenate([c.tokens for c in cached])).to(device).long(),
        torch.from_numpy(np.concatenate([c.logprobs for c in cached])).to(device).float(),
        torch.from_numpy(np.concatenate([c.tail for c in cached])).to(device),
    )


class CachedResponses(Mapping[str, CachedResponse]):
    """The cached distributions of corpora, keyed by ``corpus/response_id``; they stay on the disk.

    Args:
        paths: Artifact ``teacher_logits`` of each corpus.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        keys: list[str] = []

        def arrays() -> Iterator[NDArray[Any]]:
            for corpus, path in paths.items():
                for table in artifacts.read_groups(path, "teacher_logits"):
                    keys.extend(f"{corpus}/{name}" for name in table.column("response_id").to_pylist())
                    for row in zip(*(_cells(table.column(name)) for name in COLUMNS), strict=True):
                        yield from row

        self._kept = artifacts.OnDisk(arrays())
        self._numbers = {key: number for number, key in enumerate(keys)}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __getitem__(self, key: str) -> CachedResponse:
        first = len(COLUMNS) * self._numbers[key]
        return CachedResponse(*(self._kept[first + n] for n in range(len(COLUMNS))))


def _cells(column: pa.ChunkedArray) -> Iterator[NDArray[Any]]:
    """Yield the numbers ``[N]`` of each cell that is a list, or ``[N, k]`` of one that is a list of equal lists."""
    cells = column.combine_chunks()
    bounds = cells.offsets.to_numpy()
    lists = pa.types.is_list(cells.values.type)
    inner = cells.values.offsets.to_numpy() if lists else None
    values = (cells.values.values if lists else cells.values).to_numpy(zero_copy_only=False)
    for start, stop in itertools.pairwise(bounds):
        if inner is None:
            yield values[start:stop]
        else:
            yield values[inner[start] : inner[stop]].reshape(stop - start, -1)


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
            if item.key not in cached or tuple(cached[item.key].ids.tolist()) != item.ids:
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
