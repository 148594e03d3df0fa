"""PO-Regularization: preference optimisation of the aligned captioner on (better, worse) captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from aligncap.captioner.sources import model_folder
from aligncap.config import Compute, PreferenceTraining
from aligncap.device import pick_device
from aligncap.errors import ArtifactError
from aligncap.preference.losses import dpo_loss
from aligncap.progress import track
from aligncap.training.data import TrainingInputs, load_examples
from aligncap.training.loop import Stage, train

BATCH = 4  # pairs scored at once
Pair = Mapping[str, Any]


def _pair_examples(inputs: TrainingInputs, pairs: Sequence[Pair]) -> dict[str, Example]:
    wanted = {f"{pair['corpus']}/{pair['utterance_id']}" for pair in pairs}
    return {e.key: e for e in load_examples(inputs, ["preference", "adapt"]) if e.key in wanted}


def _pair_logps(model: CaptionModel, pairs: Sequence[Pair], examples: Mapping[str, Example]) -> Tensor:
    """Log-probabilities ``[B, 2]`` of chosen and rejected given speech input; the prompt is computed once a pair."""
    prompts = model.speech_prompts([examples[f"{pair['corpus']}/{pair['utterance_id']}"] for pair in pairs])
    packed = model.pack(prompts, [[pair["chosen_ids"], pair["rejected_ids"]] for pair in pairs])
    return model.response_logps(packed).view(len(pairs), 2)


def write_reference_logps(
    compute: Compute, inputs: TrainingInputs, parent: CheckpointPaths, llm_manifest: Path, pairs: Path, out: Path
) -> None:
    """Log-probabilities of every pair under the reference policy, the aligned captioner.

    Args:
        compute: device and threads.
        inputs: artifacts of the training corpora.
        parent: checkpoint of the reference policy.
        llm_manifest: the base LLM.
        pairs: the ``preference_pairs`` artifact.
        out: the ``reference_logps`` artifact; its notes hold the digests that training checks.
    """
    model = load_checkpoint(parent, model_folder(llm_manifest), pick_device(compute))
    table = artifacts.read_rows(pairs, "preference_pairs")
    examples = _pair_examples(inputs, table)
    rows = []
    starts = range(0, len(table), BATCH)
    for start in track(starts, "reference log-probs", len(starts)):
        batch = table[start : start + BATCH]
        with torch.no_grad():
            logps = _pair_logps(model, batch, examples).tolist()
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
    artifacts.write(rows, out, "reference_logps", "reference_logps", _policy_notes(parent, llm_manifest))


def _policy_notes(parent: CheckpointPaths, llm_manifest: Path) -> dict[str, str]:
    return {
        "adapter": artifacts.file_digest(parent.adapter),
        "lora": artifacts.file_digest(parent.lora),
        "llm": artifacts.file_digest(llm_manifest),
    }


class PreferenceStage(Stage):
    """DPO with the RPO term: ``-log sigmoid(beta [Delta_w - Delta_l]) + alpha NLL(chosen) / tokens``, mean over pairs.

    The LoRA trains; the speech adapter stays and nothing drops out, so that at step 1 the policy is the reference.
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

    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """The LoRA."""
        return [(self.settings.learning_rate, lora_tensors(self.model.llm))]

    def items(self, split: str) -> int:
        """Pairs."""
        return len(self.pairs[split])

    def length(self, item: int) -> int:
        """Tokens of both responses."""
        pair = self.pairs["train"][item]
        return len(pair["chosen_ids"]) + len(pair["rejected_ids"])

    def weight(self, split: str, item: int) -> float:
        """Each pair counts the same."""
        return 1.0

    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum over pairs; logs chosen and rejected apart, because both may fall while the margin grows."""
        self.model.eval()
        pairs = [self.pairs[split][i] for i in items]
        chosen, rejected = _pair_logps(self.model, pairs, self.examples).unbind(1)
        rows = [self.reference[pair["pair_id"]] for pair in pairs]
        reference = torch.tensor([[r["chosen_logp"], r["rejected_logp"]] for r in rows], device=chosen.device)
        n_chosen = torch.tensor([r["n_chosen"] for r in rows], device=chosen.device)
        preference = dpo_loss(chosen, rejected, reference[:, 0], reference[:, 1], self.settings.beta)
        nll = -chosen / n_chosen
        gain_chosen, gain_rejected = chosen - reference[:, 0], rejected - reference[:, 1]
        logged = {
            "dpo": preference.sum(),
            "chosen_logp": chosen.sum(),
            "rejected_logp": rejected.sum(),
            "margin": (gain_chosen - gain_rejected).sum(),
            "accuracy": (gain_chosen > gain_rejected).float().sum(),
            "chosen_gain_per_token": (gain_chosen / n_chosen).sum(),
        }
        return preference.sum() + self.settings.rpo_alpha * nll.sum(), logged

    def stop(self, dev: Mapping[str, float]) -> str | None:
        """Stop once the chosen captions have become too unlikely."""
        gain, limit = dev["chosen_gain_per_token"], self.settings.stop_below
        if limit is not None and gain < limit:
            return f"the chosen captions lost {-gain:.2f} nat a token on dev (preference.stop_below: {limit})"
        return None


def train_preference(
    system: str,
    training: PreferenceTraining,
    seed: int,
    compute: Compute,
    inputs: TrainingInputs,
    parent: CheckpointPaths,
    llm_manifest: Path,
    pairs: Path,
    reference_logps: Path,
    checkpoint: CheckpointPaths,
) -> None:
    """Continue the parent's LoRA on preference pairs (paper: PO-Regularization).

    Args:
        system: its name.
        training: loss, beta, steps.
        seed: of the order.
        compute: device and threads.
        inputs: artifacts of the training corpora.
        parent: the aligned captioner: policy and reference.
        llm_manifest: the base LLM.
        pairs: the ``preference_pairs`` artifact.
        reference_logps: the ``reference_logps`` artifact of these pairs under this parent.
        checkpoint: where the result goes.

    Raises:
        ArtifactError: the reference log-probs are of another policy, or of other pairs.
    """
    notes = artifacts.read_notes(reference_logps, "reference_logps")
    if notes != _policy_notes(parent, llm_manifest):
        raise ArtifactError(f"{reference_logps}: made with another reference policy; delete it and run again")
    table = artifacts.read_rows(pairs, "preference_pairs")
    reference = {row["pair_id"]: row for row in artifacts.read_rows(reference_logps, "reference_logps")}
    if set(reference) != {pair["pair_id"] for pair in table}:
        raise ArtifactError(f"{reference_logps}: not of the pairs in {pairs}; delete it and run again")
    model = load_checkpoint(parent, model_folder(llm_manifest), pick_device(compute))
    split: dict[str, list[Pair]] = {role: [pair for pair in table if pair["role"] == role] for role in ("train", "dev")}
    stage = PreferenceStage(model, training, split, _pair_examples(inputs, table), reference)
    described = {"preference": training.model_dump(), "seed": seed}
    files = [*inputs.files(), *parent[:3], llm_manifest, pairs, reference_logps]
    settings = {**read_system(parent), **described, "system": system, "parent": parent.system.parent.name}

    def save() -> None:
        save_checkpoint(checkpoint, model, load_llm0(parent), load_tagger(parent), settings)

    train(stage, training, compute, seed, "train_preference", system, described, files, checkpoint.log, save)
