"""PO-Regularization: preference optimisation of the aligned captioner on (better, worse) captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aligncap import artifacts
from aligncap.captioner.checkpoint import (
    CheckpointPaths,
    load_checkpoint,
    load_llm0,
    load_tagger,
    read_system,
    save_checkpoint,
)
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, PreferenceTraining
from aligncap.errors import ArtifactError
from aligncap.models.sources import model_folder
from aligncap.preference import losses
from aligncap.preference.candidates import ParentInputs
from aligncap.progress import batches
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import TrainingTask, train
from aligncap.training.recording import Run

BATCH = 4  # pairs scored at once
Pair = Mapping[str, Any]


def _pair_examples(inputs: TrainingInputs, pairs: Sequence[Pair]) -> dict[str, Example]:
    wanted = {f"{pair['corpus']}/{pair['utterance_id']}" for pair in pairs}
    return {e.key: e for e in load_examples(inputs, ["preference", "adapt"]) if e.key in wanted}


def _logps(
    model: CaptionModel,
    pairs: Sequence[Pair],
    examples: Mapping[str, Example],
    answers: Sequence[Sequence[Sequence[int]]],
) -> Tensor:
    """Compute the log-probabilities ``[B, K]`` of K answers to each pair's speech input, which is encoded once."""
    prompts = model.speech_prompts([examples[f"{pair['corpus']}/{pair['utterance_id']}"] for pair in pairs])
    return model.response_logps(model.pack(prompts, answers)).view(len(pairs), -1)


def _unrelated(pairs: Mapping[str, Sequence[Pair]]) -> dict[str, list[int]]:
    """Map the id of each pair to the chosen caption of the next pair in its split that is of another utterance."""
    found = {}
    for own in pairs.values():
        for start, pair in enumerate(own):
            key = (pair["corpus"], pair["utterance_id"])
            others = (own[(start + step) % len(own)] for step in range(1, len(own)))
            other = next((o for o in others if (o["corpus"], o["utterance_id"]) != key), None)
            if other is not None:
                found[pair["pair_id"]] = other["chosen_ids"]
    return found


def _describe(batch: PairLogps, kinds: Sequence[str], per_token: bool) -> dict[str, Tensor]:
    """Sum the logged metrics over the pairs: ``name/kind`` is over the pairs of a kind, ``share/kind`` their number.

    The metric ``margin`` is the loss's ``h`` in nat (with ``per_token``, nat a token). The metric ``accuracy`` counts
    the pairs whose margin is above 0.
    """
    margin = batch.margin(per_token)
    values = {
        "chosen_logp": batch.chosen,
        "rejected_logp": batch.rejected,
        "margin": margin,
        "accuracy": (margin > 0).float(),
    }
    logged = {name: value.sum() for name, value in values.items()}
    logged["chosen_logp_per_token"] = (batch.chosen / batch.n_chosen).sum()
    logged["rejected_logp_per_token"] = (batch.rejected / batch.n_rejected).sum()
    logged["chosen_gain_per_token"] = ((batch.chosen - batch.reference_chosen) / batch.n_chosen).sum()
    for kind in sorted(set(kinds)):
        own = torch.tensor([k == kind for k in kinds], device=margin.device)
        logged[f"share/{kind}"] = own.float().sum()
        logged |= {f"{name}/{kind}": value[own].sum() for name, value in values.items()}
    return logged


@dataclass(frozen=True)
class PairedInputs(ParentInputs):
    """Input files of preference optimisation: the parent captioner, which is policy and reference, and the pairs."""

    pairs: Path


@dataclass(frozen=True)
class PreferenceInputs(PairedInputs):
    """Input files of preference training, including the log-probabilities of the pairs under the parent."""

    reference_logps: Path


def write_reference_logps(compute: Compute, inputs: PairedInputs, out: Path) -> None:
    """Write the log-probabilities of every pair under the reference policy, the parent captioner.

    Args:
        compute: Device and threads.
        inputs: Artifacts of the training corpora, the reference policy and the pairs.
        out: Artifact ``reference_logps`` to write; its notes hold the digests that training checks.
    """
    model = load_checkpoint(inputs.parent, model_folder(inputs.llm), compute)
    table = artifacts.read_rows(inputs.pairs, "preference_pairs")
    examples = _pair_examples(inputs, table)
    rows = []
    for batch in batches(table, BATCH, "reference log-probs"):
        with torch.no_grad():
            answers = [[pair["chosen_ids"], pair["rejected_ids"]] for pair in batch]
            logps = _logps(model, batch, examples, answers).tolist()
        rows += [
            {
                "pair_id": pair["pair_id"],
                "chosen_logp": chosen,
                "rejected_logp": rejected,
                "n_chosen": len(pair["chosen_ids"]),
                "n_rejected": len(pair["rejected_ids"]),
            }
            for pair, (chosen, rejected) in zip(batch, logps, strict=True)
        ]
    artifacts.write(rows, out, "reference_logps", "reference_logps", _policy_notes(inputs.parent, inputs.llm))


def _policy_notes(parent: CheckpointPaths, llm_manifest: Path) -> dict[str, str]:
    return {
        "adapter": artifacts.file_digest(parent.adapter),
        "lora": artifacts.file_digest(parent.lora),
        "llm": artifacts.file_digest(llm_manifest),
    }


@dataclass(frozen=True)
class PairLogps:
    """The log-probabilities of a batch of pairs, each ``[B]`` in nat, and their numbers of response tokens ``[B]``."""

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    n_chosen: Tensor
    n_rejected: Tensor

    def margin(self, per_token: bool) -> Tensor:
        """Compute the batch's ``losses.implicit_margin``, ``[B]``, in nat or (``per_token``) in nat a token."""
        lengths = (self.n_chosen, self.n_rejected) if per_token else ()
        return losses.implicit_margin(
            self.chosen, self.rejected, self.reference_chosen, self.reference_rejected, *lengths
        )


def preference_loss(settings: PreferenceTraining, batch: PairLogps, baseline: Tensor | None = None) -> Tensor:
    """Compute the loss that the settings name for each pair, ``[B]``, without the RPO term.

    Args:
        settings: Name of the loss and its constants.
        batch: Log-probabilities of the pairs.
        baseline: Baseline ``z0`` of ``kto``; None for the other losses.
    """
    lengths = (batch.n_chosen, batch.n_rejected)
    policy, reference = (batch.chosen, batch.rejected), (batch.reference_chosen, batch.reference_rejected)
    match settings.loss:
        case "dpo" | "ipo":
            margin = batch.margin(settings.length_normalised)
            if settings.loss == "ipo":
                return losses.ipo_loss(margin, settings.beta)
            return losses.dpo_loss(margin, settings.beta, settings.label_smoothing)
        case "simpo":
            return losses.simpo_loss(*policy, *lengths, settings.simpo_beta, settings.simpo_gamma)
        case "orpo":
            return losses.orpo_loss(*policy, *lengths, settings.beta)
        case "kto":
            assert baseline is not None
            gains = torch.cat(policy) - torch.cat(reference)
            desirable = torch.arange(len(gains), device=gains.device) < len(batch.chosen)
            values = losses.kto_loss(gains, desirable, baseline, settings.beta, settings.kto_weights)
            return values.view(2, -1).mean(0)
        case "nll":
            return losses.nll_loss(batch.chosen, batch.n_chosen)
        case own:
            loss: Tensor = import_module(f"aligncap.extensions.losses.{own}").loss(settings, batch)
            return loss


class PreferenceTask(TrainingTask):
    """Preference optimisation: a preference loss plus the RPO term ``alpha NLL(chosen) / tokens``, mean over pairs.

    Only the LoRA is trained, without dropout, so that at step 1 the policy is the reference. Every loss, including the
    control ``nll``, is trained on the same pairs in the same order.

    KTO takes each chosen caption as desirable and each rejected one as undesirable, without pairing them. Its baseline
    ``z0`` comes from ``unrelated`` captions: the input of pair i with the chosen caption of the next pair that is of
    another utterance. ``reference_unrelated`` holds their log-probabilities under the reference policy.
    """

    def __init__(
        self,
        model: CaptionModel,
        settings: PreferenceTraining,
        pairs: Mapping[str, list[Pair]],
        examples: Mapping[str, Example],
        reference: Mapping[str, Pair],
    ) -> None:
        super().__init__()
        self.model, self.settings, self.pairs = model, settings, pairs
        self.examples, self.reference = examples, reference
        self.unrelated = _unrelated(pairs) if settings.loss == "kto" else {}
        self.reference_unrelated = self._reference_unrelated()

    def _reference_unrelated(self) -> dict[str, float]:
        """Compute the log-probabilities of the unrelated captions under the reference policy.

        It is called before the loop loads a resume point, while the model still is the reference policy.
        """
        rows = [pair for own in self.pairs.values() for pair in own if pair["pair_id"] in self.unrelated]
        found: dict[str, float] = {}
        self.model.eval()
        for batch in batches(rows, BATCH, "KTO baseline"):
            with torch.no_grad():
                logps = self._unrelated_logps(batch).tolist()
            found |= dict(zip((pair["pair_id"] for pair in batch), logps, strict=True))
        return found

    def _unrelated_logps(self, pairs: Sequence[Pair]) -> Tensor:
        return _logps(self.model, pairs, self.examples, [[self.unrelated[pair["pair_id"]]] for pair in pairs])[:, 0]

    def _baseline(self, pairs: Sequence[Pair]) -> Tensor | None:
        if self.settings.loss != "kto":
            return None
        known = [pair for pair in pairs if pair["pair_id"] in self.unrelated]
        if not known:  # all pairs of the split are of the same utterance
            return torch.zeros((), device=self.model.device)
        with torch.no_grad():
            policy = self._unrelated_logps(known)
        reference = [self.reference_unrelated[pair["pair_id"]] for pair in known]
        return losses.kl_baseline(policy, torch.tensor(reference, device=policy.device))

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Return the LoRA's parameters."""
        return [(self.settings.learning_rate, lora_tensors(self.model.llm))]

    def items(self, split: str) -> int:
        """Return the number of pairs of a split."""
        return len(self.pairs[split])

    def length(self, item: int) -> int:
        """Return the number of tokens of a training pair's two responses."""
        pair = self.pairs["train"][item]
        return len(pair["chosen_ids"]) + len(pair["rejected_ids"])

    def key(self, item: int) -> str:
        """Return the id of a training pair, which begins with the corpus of its utterance."""
        return str(self.pairs["train"][item]["pair_id"])

    def corpus(self, item: int) -> str:
        """Return the corpus of a training pair's utterance."""
        return str(self.pairs["train"][item]["corpus"])

    def weight(self, split: str, item: int) -> float:
        """Return 1, because all pairs have the same weight."""
        return 1.0

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the metrics summed over the pairs.

        Chosen and rejected captions are logged separately, because both may become less likely while the margin grows.
        """
        self.model.eval()
        pairs = [self.pairs[split][i] for i in items]
        answers = [[pair["chosen_ids"], pair["rejected_ids"]] for pair in pairs]
        chosen, rejected = _logps(self.model, pairs, self.examples, answers).unbind(1)
        rows = [self.reference[pair["pair_id"]] for pair in pairs]
        names = ("chosen_logp", "rejected_logp", "n_chosen", "n_rejected")
        batch = PairLogps(chosen, rejected, *(torch.tensor([r[n] for r in rows], device=chosen.device) for n in names))
        baseline = self._baseline(pairs)
        preference = preference_loss(self.settings, batch, baseline)
        # These losses contain the NLL already.
        alpha = 0.0 if self.settings.loss in ("orpo", "nll") else self.settings.rpo_alpha
        loss = preference.sum() + alpha * losses.nll_loss(chosen, batch.n_chosen).sum()
        described = _describe(batch, [pair["kind"] for pair in pairs], self.settings.length_normalised)
        logged = {self.settings.loss: preference.sum(), **described}
        if baseline is not None:
            logged["kto_z0"] = baseline * len(pairs)
        return loss, logged

    def stop(self, dev: Mapping[str, float]) -> str | None:
        """Return a reason to stop when the chosen captions have become too unlikely on dev."""
        gain, limit = dev["chosen_gain_per_token"], self.settings.stop_below
        if limit is not None and gain < limit:
            return f"the chosen captions lost {-gain:.2f} nat a token on dev (preference.stop_below: {limit})"
        return None


@dataclass(frozen=True)
class PreferenceSettings:
    """Settings of a preference system.

    Attributes:
        system: Name of the system.
        training: Loss, beta and steps.
        seed: Seed of the order of the pairs.
        compute: Device and threads.
    """

    system: str
    training: PreferenceTraining
    seed: int
    compute: Compute


def train_preference(settings: PreferenceSettings, inputs: PreferenceInputs, checkpoint: CheckpointPaths) -> None:
    """Train the LoRA of the parent further on preference pairs (paper: PO-Regularization).

    The parent is an aligned captioner, or a captioner of an earlier preference round.

    Raises:
        ArtifactError: The reference log-probabilities belong to another policy or to other pairs.
    """
    training, parent = settings.training, inputs.parent
    notes = artifacts.read_notes(inputs.reference_logps, "reference_logps")
    if notes != _policy_notes(parent, inputs.llm):
        raise ArtifactError(f"{inputs.reference_logps}: made with another reference policy; delete it and run again")
    table = artifacts.read_rows(inputs.pairs, "preference_pairs")
    reference = {row["pair_id"]: row for row in artifacts.read_rows(inputs.reference_logps, "reference_logps")}
    if set(reference) != {pair["pair_id"] for pair in table}:
        raise ArtifactError(f"{inputs.reference_logps}: not of the pairs in {inputs.pairs}; delete it and run again")
    model = load_checkpoint(parent, model_folder(inputs.llm), settings.compute)
    split: dict[str, list[Pair]] = {role: [pair for pair in table if pair["role"] == role] for role in ("train", "dev")}
    task = PreferenceTask(model, training, split, _pair_examples(inputs, table), reference)
    described = {"preference": training.model_dump(), "seed": settings.seed}
    everything = {
        **read_system(parent),
        **described,
        "system": settings.system,
        "parent": parent.system.parent.name,
    }

    def save() -> None:
        save_checkpoint(checkpoint, model, load_llm0(parent), load_tagger(parent), everything)

    run = Run("train_preference", settings.system, described, inputs.files(), checkpoint.log, save)
    train(task, training, settings.seed, settings.compute, run)
