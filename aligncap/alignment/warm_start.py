"""The warm start of the speech adapter: it is trained to classify the clue tags, without the LLM (ours).

Without a warm start the LLM learned to ignore the speech embeddings and gave the same caption for every clip (our
early trials).
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
from aligncap.config import AdapterSettings, Compute, WarmStart
from aligncap.models.sources import model_folder
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import TrainingTask, train
from aligncap.training.recording import Run

# For each clue kind, the labels of the utterances, keyed by "corpus/utterance_id".
Targets = Mapping[str, Mapping[str, str]]
ROLES = ("align", "adapt")  # roles of the utterances that a warm start is trained on


class WarmStartTask(TrainingTask):
    """Warm start: a linear head for each clue kind classifies the mean of the adapter's states.

    The loss is the mean cross-entropy over the kinds, plus the quantity loss of an adapter of type ``cif``.

    Args:
        adapter: AdapterSettings to train.
        targets: Labels by kind and utterance.
        train_set: Utterances to train on.
        dev_set: Utterances to measure on.
        settings: Section ``warm_start``.
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
        """Return the parameters of the heads and of the adapter except its projection, which needs the LLM's loss."""
        named = {n: p for n, p in self.named_parameters() if not n.startswith(INTO_THE_LLM)}
        adapter = {n: p for n, p in named.items() if n.startswith("adapter.")}
        heads = {n: p for n, p in named.items() if n not in adapter}
        return [(self.settings.adapter_learning_rate, adapter), (self.settings.learning_rate, heads)]

    def items(self, split: str) -> int:
        """Return the number of utterances of a split."""
        return len(self.sets[split])

    def length(self, item: int) -> int:
        """Return the number of frames of a training utterance."""
        return self.sets["train"][item].features.shape[1]

    def key(self, item: int) -> str:
        """Return corpus and id of a training utterance."""
        return self.sets["train"][item].key

    def corpus(self, item: int) -> str:
        """Return the corpus of a training utterance."""
        return self.sets["train"][item].corpus

    def weight(self, split: str, item: int) -> float:
        """Return 1, because all utterances have the same weight."""
        return 1.0

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss summed over the utterances, and the number of correct tags for each kind.

        A kind without a target adds 0 to the mean cross-entropy of an utterance.
        """
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
    """Settings of a warm start: sections of the configuration and the seed.

    The seed determines the initial weights, the order of the items and dropout.
    """

    adapter: AdapterSettings
    warm_start: WarmStart
    seed: int
    compute: Compute


@dataclass(frozen=True)
class WarmStartInputs(TrainingInputs):
    """Input files of a warm start. Of the LLM only its width is used, which the projection needs.

    Attributes:
        targets: Out-of-fold predictions of the tagger, whose column ``target`` holds the tags of every utterance.
    """

    targets: Path


class WarmAdapter(NamedTuple):
    """Output files of a warm start: safetensors of the adapter, and the training log."""

    adapter: Path
    log: Path


def warm_start(settings: WarmStartSettings, inputs: WarmStartInputs, outputs: WarmAdapter) -> None:
    """Train a new adapter on the clue tags of the utterances with the roles ``align`` and ``adapt``."""
    from transformers import AutoConfig

    table: dict[str, dict[str, str]] = {}
    for row in artifacts.stream_rows(inputs.targets, "tagger_predictions"):
        if row["target"]:
            table.setdefault(row["kind"], {})[f"{row['corpus']}/{row['utterance_id']}"] = row["target"]
    own = settings.warm_start
    train_set, dev_set = load_examples(inputs, ROLES), load_examples(inputs, ["dev"])
    torch.manual_seed(settings.seed)
    n_layers, _, dim = train_set[0].features.shape
    llm_width = AutoConfig.from_pretrained(model_folder(inputs.llm)).hidden_size
    module = build_adapter(settings.adapter, n_layers, dim, llm_width)
    module.fit_normalisation([example.features for example in train_set])
    task = WarmStartTask(module, table, train_set, dev_set, own)
    described = {"adapter": settings.adapter.model_dump(), "warm_start": own.model_dump(), "seed": settings.seed}

    def save() -> None:
        with artifacts.atomic_path(outputs.adapter) as temporary:
            save_file({n: t.detach().cpu().contiguous() for n, t in module.state_dict().items()}, temporary)

    run = Run("warm_start", "adapter", described, inputs.files(), outputs.log, save)
    train(task, own, settings.seed, settings.compute, run)
