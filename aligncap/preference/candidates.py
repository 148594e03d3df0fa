"""Candidates: captions that the aligned captioner samples for training utterances that alignment did not train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncap import artifacts
from aligncap.artifacts import WHOLE, Shard
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.generate import Generated, Sampling, generate
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt
from aligncap.config import Candidates, Compute
from aligncap.hashes import seed_of
from aligncap.models.sources import model_folder
from aligncap.progress import batches
from aligncap.training.data import Key, TrainingInputs, examples_of, planned

ROWS = 64  # sequences decoded at once


def preference_keys(plan: Path, limit: int) -> list[Key]:
    """Return at most ``limit`` utterances: those with role ``preference``, then those with role ``adapt``.

    No LLM stage trained a student on the speech of either role; the adapter's warm start heard that of ``adapt``.

    Raises:
        ArtifactError: The plan has neither.
    """
    first = planned(plan, ["preference"], may_lack=True)
    return [*first, *planned(plan, ["adapt"], may_lack=bool(first))][:limit]


@dataclass(frozen=True)
class CandidateSettings:
    """Settings of the candidates.

    Attributes:
        candidates: Number of samples K, temperature, nucleus, and number of utterances.
        seed: Seed of the random generators, one for each utterance.
        max_new_tokens: Maximum length of a candidate in tokens.
        compute: Device and threads.
    """

    candidates: Candidates
    seed: int
    max_new_tokens: int
    compute: Compute


@dataclass(frozen=True)
class ParentInputs(TrainingInputs):
    """Input files of a stage that starts from a trained captioner, its parent."""

    parent: CheckpointPaths


def sample_candidates(settings: CandidateSettings, inputs: ParentInputs, out: Path, shard: Shard = WHOLE) -> None:
    """Sample K captions for each utterance from the aligned captioner, with speech input and predicted clues.

    Args:
        settings: Number of candidates and sampling.
        inputs: Artifacts of the training corpora, and the aligned captioner.
        out: Artifact ``candidates`` to write.
        shard: Which of the utterances; those of a batch stay together.

    Raises:
        EngineError: The engine is ``vllm``, and its server is missing or fails.
    """
    model = load_checkpoint(inputs.parent, model_folder(inputs.llm), settings.compute)
    candidates = settings.candidates
    keys = preference_keys(inputs.plan, candidates.utterances)
    own = shard.of(len(keys), clips_at_once(candidates))
    examples = examples_of(inputs, keys[own.start : own.stop])
    seeds = [seed_of(settings.seed, e.key) for e in examples]
    engine = _by_vllm if candidates.engine == "vllm" else _by_transformers
    said = zip(examples, seeds, engine(model, examples, seeds, settings, out), strict=True)
    rows = (
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
        for example, own_seed, responses in said
        for number, response in enumerate(responses)
    )
    notes = {"parent_lora": artifacts.file_digest(inputs.parent.lora)}
    artifacts.write_rows(rows, out, "candidates", "candidates", notes)


def clips_at_once(candidates: Candidates) -> int:
    """Return of how many clips transformers samples the candidates together."""
    return max(1, ROWS // candidates.samples)


def _sampling(candidates: Candidates, seeds: Sequence[int]) -> Sampling:
    return Sampling(candidates.samples, candidates.temperature, candidates.top_p, seeds)


def _by_transformers(
    model: CaptionModel, examples: Sequence[Example], seeds: Sequence[int], settings: CandidateSettings, _: Path
) -> Iterator[list[Generated]]:
    """Yield the responses to each example, sampled in this process."""
    import torch

    model.fold_lora()
    candidates = settings.candidates
    for numbers in batches(range(len(examples)), clips_at_once(candidates), "candidates"):
        with torch.no_grad():
            prompts = model.speech_prompts([examples[n] for n in numbers])
        sampling = _sampling(candidates, [seeds[n] for n in numbers])
        yield from generate(model, prompts, settings.max_new_tokens, sampling)


def _by_vllm(
    model: CaptionModel, examples: Sequence[Example], seeds: Sequence[int], settings: CandidateSettings, out: Path
) -> Iterator[list[Generated]]:
    """Yield the responses to each example, sampled by a vLLM server; a shard without examples starts none."""
    import torch

    from aligncap.preference import vllm

    prompts: list[Prompt] = []
    with torch.no_grad():
        for start in range(0, len(examples), ROWS):
            prompts += model.speech_prompts(examples[start : start + ROWS])
    if prompts:
        candidates = settings.candidates
        work = artifacts.work_directory("candidates", {"out": str(out)}, [])
        sampling = _sampling(candidates, seeds)
        yield from vllm.sample(model, prompts, settings.max_new_tokens, sampling, candidates.vllm, work)
