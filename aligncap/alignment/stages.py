"""Training stages on response tokens: text input (teacher adaptation) and speech input (alignment)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from aligncap.alignment.distillation import Distillation
from aligncap.alignment.losses import quantity_loss, token_nll
from aligncap.alignment.rivals import BeforeDecoding
from aligncap.alignment.training_items import Item, teacher_prompts
from aligncap.captioner.adapter import Speech
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Alignment
from aligncap.training.loop import Stage


def mix(own: Tensor, others: Tensor, concentration: float) -> Tensor:
    """``l own + (1 - l) others``, one ``l ~ Beta(a, a)`` a clip, at least a half (after mixup, Zhang et al. 2018).

    Args:
        own: ``[B, K, H]``.
        others: ``[B, K, H]``, of utterances that have the same label as the own ones.
        concentration: ``a``; above 0.
    """
    share = torch.distributions.Beta(concentration, concentration).sample((len(own), 1, 1)).to(own)
    share = torch.maximum(share, 1 - share)
    return share * own + (1 - share) * others


class TextStage(Stage):
    """NLL of the captions given text input ``x_T`` with gold clues; trains the LoRA only."""

    def __init__(self, model: CaptionModel, train_set: list[Item], dev_set: list[Item], rate: float) -> None:
        super().__init__()
        self.model, self.rate = model, rate
        self.sets = {"train": train_set, "dev": dev_set}

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """The LoRA."""
        return [(self.rate, lora_tensors(self.model.llm))]

    def items(self, split: str) -> int:
        """Responses."""
        return len(self.sets[split])

    def length(self, item: int) -> int:
        """Tokens of the response and of the transcript."""
        example, _, ids = self.sets["train"][item]
        return len(ids) + len(example.p_sem_ids)

    def weight(self, split: str, item: int) -> float:
        """Response tokens: the loss is their mean."""
        return len(self.sets[split][item].ids)

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the NLL over response tokens."""
        batch = [self.sets[split][i] for i in items]
        prompts = teacher_prompts(self.model, [item.example for item in batch], "gold")
        packed = self.model.pack(prompts, [[list(item.ids)] for item in batch])
        return token_nll(self.model.response_logits(packed), packed.labels), {}


class SpeechStage(TextStage):
    """``NLL + lambda D(teacher, student)`` given speech input ``x_S``; trains the LoRA and the speech adapter.

    Args:
        model: with a LoRA, and an adapter unless the system has none.
        train_set: items to train on.
        dev_set: items to measure NLL on.
        settings: rates and lambda.
        teacher: what the student is pulled to; None for plain fine-tuning.
        before: alignment before LLM decoding, or None.
        seed: of the partners that mix-up draws.
    """

    def __init__(
        self,
        model: CaptionModel,
        train_set: list[Item],
        dev_set: list[Item],
        settings: Alignment,
        teacher: Distillation | None,
        before: BeforeDecoding | None,
        seed: int,
    ) -> None:
        super().__init__(model, train_set, dev_set, settings.learning_rate)
        self.settings, self.teacher, self.before = settings, teacher, before
        self.seed, self.step = seed, 0
        self.alike: dict[str, dict[str, Example]] = defaultdict(dict)
        for item in train_set:
            self.alike[item.example.gold_p_act][item.example.key] = item.example

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """The LoRA, the adapter, and what aligns it before decoding."""
        trained: dict[str, Tensor] = {}
        for name, module in (("adapter", self.model.adapter), ("before", self.before)):
            if module is not None:
                trained |= {f"{name}.{n}": p for n, p in module.named_parameters()}
        own = [(self.settings.adapter_learning_rate, trained)] if trained else []
        return [*super().groups(), *own]

    def begin_step(self, step: int) -> None:
        """Mix-up draws other partners at each step."""
        self.step = step

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums over response tokens; on dev the NLL alone, for which no teacher is needed."""
        batch = [self.sets[split][i] for i in items]
        examples = [item.example for item in batch]
        speech = self.model.speech(examples)
        if speech is not None and split == "train":
            speech = self._mixed(examples, speech)
        packed = self.model.pack(self.model.speech_prompts(examples, speech), [[list(item.ids)] for item in batch])
        logits = self.model.response_logits(packed)
        nll = token_nll(logits, packed.labels)
        if split == "dev":
            return nll, {"nll": nll}
        loss, logged = nll, {"nll": nll}
        if self.teacher is not None:
            divergence = self.teacher.divergence(batch, logits)
            loss = loss + self.settings.kd_weight * divergence
            logged[self.teacher.name] = divergence
        if speech is not None:
            extra, parts = self._of_adapter(batch, speech)
            tokens = torch.tensor([len(item.ids) for item in batch], device=extra.device)
            loss = loss + (tokens * extra).sum()
            logged |= {name: (tokens * value).sum() for name, value in parts.items()}
        return loss, logged

    def _of_adapter(self, batch: Sequence[Item], speech: Speech) -> tuple[Tensor, dict[str, Tensor]]:
        """Losses on the adapter's output: one value an utterance, ``[B]``, and its parts."""
        loss, parts = speech.embeddings.new_zeros(len(batch)), {}
        if speech.quantity is not None:
            assert self.model.adapter is not None
            counts = torch.tensor([len(item.example.p_sem_ids) for item in batch], device=loss.device)
            parts["quantity"] = quantity_loss(speech.quantity, counts)
            loss = loss + self.model.adapter.config.quantity_weight * parts["quantity"]
        if self.before is not None:
            own, logged = self.before(self.model, speech, batch)
            loss, parts = loss + own, {**parts, **logged}
        return loss, parts

    def _mixed(self, examples: Sequence[Example], speech: Speech) -> Speech:
        """Mix-up with the output for another utterance of the same gold clues, where there is one."""
        assert self.model.adapter is not None
        concentration = self.model.adapter.config.mixup
        if concentration == 0:
            return speech
        generator = random.Random(f"{self.seed}/{self.step}/{examples[0].key}")
        partners = [self._partner(example, generator) for example in examples]
        others = self.model.speech(partners)
        assert others is not None
        return speech._replace(embeddings=mix(speech.embeddings, others.embeddings, concentration))

    def _partner(self, example: Example, generator: random.Random) -> Example:
        alike = self.alike[example.gold_p_act] if example.gold_p_act else {}  # no clue is no label
        others = [other for key, other in alike.items() if key != example.key]
        return generator.choice(others) if others else example
