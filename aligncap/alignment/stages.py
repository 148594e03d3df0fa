"""Training stages on response tokens: text input (teacher adaptation) and speech input (alignment)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from aligncap.alignment.losses import TopK, token_kl, token_nll
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.captioner.packing import Prompt
from aligncap.training.loop import Stage

# A training item: an utterance and which of its captions is the response.
Item = tuple[Example, int]


def caption_items(examples: Sequence[Example]) -> list[Item]:
    """Every utterance with each of its captions."""
    return [(example, number) for example in examples for number in range(len(example.captions))]


class TextStage(Stage):
    """NLL of the captions given text input ``x_T`` with gold clues; trains the LoRA only."""

    def __init__(self, model: CaptionModel, train_set: list[Item], dev_set: list[Item], rate: float) -> None:
        super().__init__()
        self.model, self.rate = model, rate
        self.sets = {"train": train_set, "dev": dev_set}
        self.responses = {
            split: [model.response_ids(e.captions[n]) for e, n in pairs] for split, pairs in self.sets.items()
        }

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """The LoRA."""
        return [(self.rate, lora_tensors(self.model.llm))]

    def items(self, split: str) -> int:
        """Captions."""
        return len(self.sets[split])

    def length(self, item: int) -> int:
        """Tokens of the response and of the transcript."""
        example, _ = self.sets["train"][item]
        return len(self.responses["train"][item]) + len(example.p_sem_ids)

    def weight(self, split: str, item: int) -> float:
        """Response tokens: the loss is their mean."""
        return len(self.responses[split][item])

    def prompts_of(self, examples: Sequence[Example]) -> list[Prompt]:
        """Text input."""
        return [self.model.text_prompt(e.gold_p_act, e.p_sem_ids) for e in examples]

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the NLL over response tokens."""
        prompts = self.prompts_of([self.sets[split][i][0] for i in items])
        packed = self.model.pack(prompts, [[self.responses[split][i]] for i in items])
        nll = token_nll(self.model.response_logits(packed), packed.labels)
        return nll, {}


class SpeechStage(TextStage):
    """``NLL + lambda KL`` of the captions given speech input ``x_S``; trains the LoRA and the speech adapter.

    Args:
        model: with adapter and LoRA.
        train_set: items to train on.
        dev_set: items to measure NLL on.
        rate: learning rate of the LoRA.
        adapter_rate: learning rate of the adapter.
        kd_weight: lambda; 0 is plain fine-tuning.
        teacher: cached distributions by response id; empty where kd_weight is 0.
        temperature: that the cached distributions were made with.
    """

    def __init__(
        self,
        model: CaptionModel,
        train_set: list[Item],
        dev_set: list[Item],
        rate: float,
        adapter_rate: float,
        kd_weight: float,
        teacher: Mapping[str, CachedResponse],
        temperature: float,
    ) -> None:
        super().__init__(model, train_set, dev_set, rate)
        self.adapter_rate, self.kd_weight, self.temperature = adapter_rate, kd_weight, temperature
        self.teacher = teacher
        if kd_weight > 0:
            self.responses["train"] = [list(teacher[response_key(e, n)].ids) for e, n in train_set]

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """The LoRA and the adapter."""
        assert self.model.adapter is not None
        adapter = {f"adapter.{n}": p for n, p in self.model.adapter.named_parameters()}
        return [*super().groups(), (self.adapter_rate, adapter)]

    def prompts_of(self, examples: Sequence[Example]) -> list[Prompt]:
        """Speech input with predicted clues."""
        return self.model.speech_prompts(examples)

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums over response tokens; on dev the NLL alone, for which no teacher is needed."""
        prompts = self.prompts_of([self.sets[split][i][0] for i in items])
        packed = self.model.pack(prompts, [[self.responses[split][i]] for i in items])
        logits = self.model.response_logits(packed)
        nll = token_nll(logits, packed.labels)
        if split == "dev" or self.kd_weight == 0:
            return nll, {"nll": nll}
        cached = [self.teacher[response_key(*self.sets[split][i])] for i in items]
        kl = token_kl(logits, stack(cached, logits.device), self.temperature)
        return nll + self.kd_weight * kl, {"nll": nll, "kl": kl}


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


def response_key(example: Example, number: int) -> str:
    """``corpus/utterance_id#n``: a response over all corpora."""
    return f"{example.key}#{number}"
