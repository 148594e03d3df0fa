"""Training stages on response tokens: text input (teacher adaptation) and speech input (alignment)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from aligncap.alignment.distillation import Distillation
from aligncap.alignment.losses import quantity_loss, token_nll
from aligncap.alignment.rivals import BeforeDecoding
from aligncap.alignment.training_items import TrainingItem, teacher_prompts
from aligncap.captioner.adapter import Speech
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Alignment
from aligncap.training.loop import TrainingTask


def mix(own: Tensor, others: Tensor, concentration: float) -> Tensor:
    """Mix the embeddings of two clips, ``l own + (1 - l) others`` (after mixup, Zhang et al. 2018).

    Each clip has its own ``l ~ Beta(a, a)``, replaced by ``1 - l`` where it is below a half.

    Args:
        own: Embeddings of the clips, ``[B, K, H]``.
        others: Embeddings of clips with the same labels, ``[B, K, H]``.
        concentration: Parameter ``a``, above 0.
    """
    share = torch.distributions.Beta(concentration, concentration).sample((len(own), 1, 1)).to(own)
    share = torch.maximum(share, 1 - share)
    return share * own + (1 - share) * others


class AdaptationTask(TrainingTask):
    """Teacher adaptation: the NLL of captions given text input ``x_T`` with gold clues. Only the LoRA is trained."""

    def __init__(
        self, model: CaptionModel, train_set: list[TrainingItem], dev_set: list[TrainingItem], rate: float
    ) -> None:
        super().__init__()
        self.model, self.rate = model, rate
        self.sets = {"train": train_set, "dev": dev_set}

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Return the LoRA's parameters."""
        return [(self.rate, lora_tensors(self.model.llm))]

    def items(self, split: str) -> int:
        """Return the number of responses of a split."""
        return len(self.sets[split])

    def length(self, item: int) -> int:
        """Return the number of tokens of a training item's response and transcript."""
        example, _, ids = self.sets["train"][item]
        return len(ids) + len(example.p_sem_ids)

    def key(self, item: int) -> str:
        """Return corpus and id of a training item's utterance."""
        return self.sets["train"][item].example.key

    def corpus(self, item: int) -> str:
        """Return the corpus of a training item's utterance."""
        return self.sets["train"][item].example.corpus

    def weight(self, split: str, item: int) -> float:
        """Return the number of response tokens, over which the loss is averaged."""
        return len(self.sets[split][item].ids)

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the NLL summed over the response tokens."""
        batch = [self.sets[split][i] for i in items]
        prompts = teacher_prompts(self.model, [item.example for item in batch], "gold")
        packed = self.model.pack(prompts, [[list(item.ids)] for item in batch])
        return token_nll(self.model.response_logits(packed), packed.labels), {}


class AlignmentTask(AdaptationTask):
    """Alignment: ``NLL + lambda D(teacher, student)`` given speech input ``x_S``. LoRA and speech adapter are trained.

    Args:
        model: Student with a LoRA, and with an adapter unless the system has none.
        train_set: Items to train on.
        dev_set: Items to measure the NLL on.
        settings: Section ``alignment`` with the learning rates and lambda.
        teacher: Teacher of KD-Regularization; None for plain fine-tuning.
        before: Loss of alignment before LLM decoding, or None.
        seed: Seed of the partners that mix-up draws, and of the clips whose clues are withheld.
    """

    def __init__(
        self,
        model: CaptionModel,
        train_set: list[TrainingItem],
        dev_set: list[TrainingItem],
        settings: Alignment,
        teacher: Distillation | None,
        before: BeforeDecoding | None,
        seed: int,
    ) -> None:
        super().__init__(model, train_set, dev_set, settings.learning_rate)
        self.settings, self.teacher, self.before = settings, teacher, before
        self.seed, self.step = seed, 0
        self.alike: dict[str, dict[str, Example]] = defaultdict(dict)
        if model.adapter is not None and model.adapter.config.mixup:
            for item in train_set:
                self.alike[item.example.gold_p_act][item.example.key] = item.example

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Return the parameters of the LoRA, of the adapter, and of the loss before LLM decoding."""
        trained: dict[str, Tensor] = {}
        for name, module in (("adapter", self.model.adapter), ("before", self.before)):
            if module is not None:
                trained |= {f"{name}.{n}": p for n, p in module.named_parameters()}
        own = [(self.settings.adapter_learning_rate, trained)] if trained else []
        return [*super().groups(), *own]

    def begin_step(self, step: int) -> None:
        """Store the step, so that other partners and other clips are drawn at each step."""
        self.step = step

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its terms summed over the response tokens; on dev only the NLL, without the teacher."""
        batch = [self.sets[split][i] for i in items]
        examples = [item.example for item in batch]
        speech = self.model.speech(examples)
        if split == "train":
            speech = None if speech is None else self._mixed(examples, speech)
            examples = [self._asked(example) for example in examples]
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

    def _of_adapter(self, batch: Sequence[TrainingItem], speech: Speech) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the losses on the adapter's output: their sum for each utterance, ``[B]``, and the terms ``[B]``."""
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

    def _asked(self, example: Example) -> Example:
        """Withhold the clues of a share of the clips from the student; the teacher reads them all the same (ours)."""
        drawn = random.Random(f"{self.seed}/{self.step}/{example.key}/withheld").random()
        return replace(example, predicted_p_act="") if drawn < self.settings.withheld else example

    def _mixed(self, examples: Sequence[Example], speech: Speech) -> Speech:
        """Mix the adapter's output with that for another utterance with the same gold clues, where there is one."""
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
        alike = self.alike[example.gold_p_act] if example.gold_p_act else {}  # utterances without clues share no label
        others = [other for key, other in alike.items() if key != example.key]
        return generator.choice(others) if others else example
