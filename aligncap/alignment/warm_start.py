"""Warm start of the speech adapter: it learns the clue tags by classification, with no LLM in the loop (ours).

Without it the LLM learns to ignore the speech embeddings and says one caption for every clip (our early trials).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from aligncap import artifacts
from aligncap.alignment.losses import quantity_loss
from aligncap.captioner.adapter import INTO_THE_LLM, SpeechAdapter, build_adapter, masked_mean, pad_features
from aligncap.captioner.example import Example
from aligncap.config import Adapter, Compute, WarmStart
from aligncap.models.sources import model_folder
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import Stage, train
from aligncap.training.recording import Run

# Targets by kind: the label of each utterance, by "corpus/utterance_id".
Targets = Mapping[str, Mapping[str, str]]
ROLES = ("align", "adapt")  # parts of the plan that a warm start learns from


class WarmStartStage(Stage):
    """Mean cross-entropy of one linear head a clue kind on the mean of the adapter's states.

    With an adapter of type ``cif`` its quantity loss joins it.

    Args:
        adapter: what is trained.
        targets: labels by kind and utterance.
        train_set: utterances to train on.
        dev_set: utterances to measure on.
        settings: the ``warm_start`` section.
    """

    def __init__(
        self,
        adapter: SpeechAdapter,
        targets: Targets,
        train_set: list[Example],
        dev_set: list[Example],
        settings: WarmStart,
    ) -> None:
        super().__init__()
        self.adapter, self.targets, self.settings = adapter, targets, settings
        self.sets = {"train": train_set, "dev": dev_set}
        self.labels = {kind: sorted(set(values.values())) for kind, values in sorted(targets.items())}
        width = adapter.config.width
        self.heads = nn.ModuleDict({kind: nn.Linear(width, len(labels)) for kind, labels in self.labels.items()})

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Everything of the adapter but the projection, which only the LLM can train; and the heads."""
        named = {n: p for n, p in self.named_parameters() if not n.startswith(INTO_THE_LLM)}
        adapter = {n: p for n, p in named.items() if n.startswith("adapter.")}
        heads = {n: p for n, p in named.items() if n not in adapter}
        return [(self.settings.adapter_learning_rate, adapter), (self.settings.learning_rate, heads)]

    def items(self, split: str) -> int:
        """Utterances."""
        return len(self.sets[split])

    def length(self, item: int) -> int:
        """Frames."""
        return self.sets["train"][item].features.shape[1]

    def weight(self, split: str, item: int) -> float:
        """Each utterance counts the same."""
        return 1.0

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum over utterances of the mean cross-entropy over kinds (0 where a kind has no target), and hits by kind."""
        examples = [self.sets[split][i] for i in items]
        features, mask = pad_features([e.features for e in examples])
        device = self.adapter.scale.device
        counts = torch.tensor([len(e.p_sem_ids) for e in examples], device=device)
        encoded = self.adapter.states(features.to(device), mask.to(device), counts)
        states = masked_mean(encoded.states, encoded.mask)
        loss = states.new_zeros(())
        logged = {}
        if encoded.quantity is not None:
            logged["quantity"] = quantity_loss(encoded.quantity, counts).sum()
            loss = loss + self.adapter.config.quantity_weight * logged["quantity"]
        for kind, labels in self.labels.items():
            known = [(row, self.targets[kind][e.key]) for row, e in enumerate(examples) if e.key in self.targets[kind]]
            if not known:
                continue
            logits = self.heads[kind](states[[row for row, _ in known]])
            target = torch.tensor([labels.index(label) for _, label in known], device=device)
            loss = loss + nn.functional.cross_entropy(logits, target, reduction="sum") / len(self.labels)
            logged[f"accuracy/{kind}"] = (logits.argmax(-1) == target).float().sum()
            logged[f"share/{kind}"] = logits.new_tensor(len(known))
        return loss, logged


@dataclass(frozen=True)
class WarmStartSettings:
    """What a warm start depends on beside its files: sections of the configuration, and the seed.

    The seed is of initial weights, order and dropout.
    """

    adapter: Adapter
    warm_start: WarmStart
    seed: int
    compute: Compute


@dataclass(frozen=True)
class WarmStartInputs(TrainingInputs):
    """What a warm start reads: of the LLM its width alone, which the projection needs.

    Attributes:
        targets: the tagger's out-of-fold table, whose ``target`` column holds every utterance's tags.
    """

    targets: Path


class WarmAdapter(NamedTuple):
    """What a warm start writes: safetensors of the adapter, and the training log."""

    adapter: Path
    log: Path


def warm_start(settings: WarmStartSettings, inputs: WarmStartInputs, outputs: WarmAdapter) -> None:
    """Train a new adapter on the clue tags of the utterances that align and of those that adapt the teacher."""
    from transformers import AutoConfig

    table: dict[str, dict[str, str]] = {}
    for row in artifacts.read_rows(inputs.targets, "tagger_predictions"):
        if row["target"]:
            table.setdefault(row["kind"], {})[f"{row['corpus']}/{row['utterance_id']}"] = row["target"]
    own = settings.warm_start
    train_set, dev_set = load_examples(inputs, ROLES), load_examples(inputs, ["dev"])
    torch.manual_seed(settings.seed)
    n_layers, _, dim = train_set[0].features.shape
    llm_width = AutoConfig.from_pretrained(model_folder(inputs.llm)).hidden_size
    module = build_adapter(settings.adapter, n_layers, dim, llm_width)
    module.fit_normalisation([example.features for example in train_set])
    stage = WarmStartStage(module, table, train_set, dev_set, own)
    described = {"adapter": settings.adapter.model_dump(), "warm_start": own.model_dump(), "seed": settings.seed}

    def save() -> None:
        with artifacts.atomic_path(outputs.adapter) as temporary:
            save_file({n: t.detach().cpu().contiguous() for n, t in module.state_dict().items()}, temporary)

    run = Run("warm_start", "adapter", described, inputs.files(), outputs.log, save)
    train(stage, own, settings.seed, settings.compute, run)
