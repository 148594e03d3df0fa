"""What tests of the candidate engines share: a checkpoint of random weights, and candidates of it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, build_model, load_checkpoint, save_checkpoint
from aligncap.captioner.model import lora_tensors
from aligncap.config import AdapterSettings, Candidates, Compute, Lora, Prompts, VllmServer
from aligncap.models.sources import model_folder
from aligncap.preference.candidates import CandidateSettings, ParentInputs, preference_keys, sample_candidates
from aligncap.training.data import Example, examples_of

ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1), Lora(rank=2, alpha=4)
COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
UTTERANCES, SAMPLES, TOKENS, SEED = 5, 3, 50, 5
SAME = ("candidate_id", "utterance_id", "corpus", "temperature", "seed")  # columns that no engine decides


def with_lora(folder: Path, llm0: dict, seed: int):
    """``LLM_0`` with a LoRA that says something else than it."""
    model = build_model(folder, Prompts(), LORA, COMPUTE, llm0)
    model.add_lora(LORA)
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in lora_tensors(model.llm).values():
            tensor.copy_(torch.randn_like(tensor) * 0.5)
    return model


def write_parent(paths: CheckpointPaths, llm: Path) -> None:
    """Write a checkpoint of random weights, whose ``LLM_0`` is an adapted one."""
    folder = model_folder(llm)
    llm0 = {name: tensor.clone() for name, tensor in lora_tensors(with_lora(folder, {}, 1).llm).items()}
    model = with_lora(folder, llm0, 2)
    model.add_adapter(ADAPTER, 2, 8)
    settings = {"lora": LORA.model_dump(), "prompts": Prompts().model_dump(), "adapter": ADAPTER.model_dump()}
    save_checkpoint(paths, model, llm0, {}, settings)


def settings_of(**changed) -> CandidateSettings:
    return CandidateSettings(Candidates(utterances=UTTERANCES, samples=SAMPLES, **changed), SEED, TOKENS, COMPUTE)


def sampled(inputs: ParentInputs, **changed) -> list[dict]:
    sample_candidates(settings_of(**changed), inputs, Path("candidates.parquet"))
    return artifacts.read_rows("candidates.parquet", "candidates")


def by_vllm(inputs: ParentInputs, program: str, *arguments: str, **changed) -> list[dict]:
    return sampled(inputs, engine="vllm", vllm=VllmServer(command=program, arguments=arguments), **changed)


def preferred(inputs: ParentInputs) -> Sequence[Example]:
    """The utterances that the tests sample captions for."""
    return examples_of(inputs, preference_keys(inputs.plan, UTTERANCES))


def rows_are_ours(rows: list[dict], inputs: ParentInputs) -> None:
    """Check that the rows of another engine say what those of ours say, and have the log-probabilities of our model."""
    own = sampled(inputs)
    assert [[row[name] for name in SAME] for row in rows] == [[row[name] for name in SAME] for row in own]
    model = load_checkpoint(inputs.parent, model_folder(inputs.llm), COMPUTE)
    for number, prompt in enumerate(model.speech_prompts(preferred(inputs))):
        theirs = rows[number * SAMPLES : (number + 1) * SAMPLES]
        with torch.no_grad():
            ours = model.response_logps(model.pack([prompt], [[row["token_ids"] for row in theirs]]))
        torch.testing.assert_close(ours.tolist(), [row["sum_logprob"] for row in theirs], atol=1e-3, rtol=0)
    for row in rows:
        assert row["caption"] == model.decode(row["token_ids"]) and 1 <= len(row["token_ids"]) <= TOKENS
        assert row["finished"] == (row["token_ids"][-1] == model.end_id)
        assert model.end_id not in row["token_ids"][:-1]
    assert {row["finished"] for row in rows} == {True, False}, "the test should see both"
    assert not Path("work/candidates").exists() or not any(Path("work/candidates").iterdir())
