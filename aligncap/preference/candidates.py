"""Candidates: what the aligned captioner says, sampled, about training utterances that alignment did not train on."""

from __future__ import annotations

from pathlib import Path

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.generate import Sampling, generate
from aligncap.config import Candidates, Compute
from aligncap.hashes import seed_of
from aligncap.models.sources import model_folder
from aligncap.progress import batches
from aligncap.training.data import TrainingInputs, load_examples

ROWS = 64  # sequences decoded at once


def preference_examples(inputs: TrainingInputs, limit: int) -> list[Example]:
    """The ``preference`` utterances, then ``adapt`` ones (no student trained on their speech), ``limit`` at most."""
    first = load_examples(inputs, ["preference"], may_lack=True)
    return [*first, *load_examples(inputs, ["adapt"], may_lack=bool(first))][:limit]


def sample_candidates(
    candidates: Candidates,
    seed: int,
    compute: Compute,
    max_new_tokens: int,
    inputs: TrainingInputs,
    parent: CheckpointPaths,
    llm_manifest: Path,
    out: Path,
) -> None:
    """Sample K captions an utterance from the aligned captioner, with speech input and predicted clues.

    Args:
        candidates: K, temperature, nucleus, how many utterances.
        seed: of every utterance's generator.
        compute: device and threads.
        max_new_tokens: length limit.
        inputs: artifacts of the training corpora.
        parent: checkpoint of the aligned captioner.
        llm_manifest: the base LLM.
        out: the ``candidates`` artifact.
    """
    import torch

    model = load_checkpoint(parent, model_folder(llm_manifest), compute)
    model.fold_lora()
    examples = preference_examples(inputs, candidates.utterances)
    size = max(1, ROWS // candidates.samples)
    rows = []
    for batch in batches(examples, size, "candidates"):
        seeds = [seed_of(seed, e.key) for e in batch]
        sampling = Sampling(candidates.samples, candidates.temperature, candidates.top_p, seeds)
        with torch.no_grad():
            prompts = model.speech_prompts(batch)
        for example, own_seed, responses in zip(
            batch, seeds, generate(model, prompts, max_new_tokens, sampling), strict=True
        ):
            rows += [
                {
                    "candidate_id": f"{example.key}#{number}",
                    "utterance_id": example.utterance_id,
                    "corpus": example.corpus,
                    "caption": model.decode(response.token_ids),
                    "token_ids": response.token_ids,
                    "sum_logprob": response.sum_logprob,
                    "temperature": candidates.temperature,
                    "seed": own_seed,
                    "finished": response.finished,
                }
                for number, response in enumerate(responses)
            ]
    artifacts.write(rows, out, "candidates", "candidates", {"parent_lora": artifacts.file_digest(parent.lora)})
