"""What is collected of speech and text input, on a tiny random model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from more_inputs import more

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, save_checkpoint
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import AdapterSettings, Compute, Lora, Prompts, Representations
from aligncap.errors import ArtifactError
from aligncap.evaluation.figures.representations import RepresentationInputs, collect_representations
from aligncap.models.sources import model_folder

ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1), Lora(rank=2, alpha=4)


def checkpoint(folder, llm, seed) -> CheckpointPaths:
    """A system whose LoRA and adapter are random."""
    torch.manual_seed(seed)
    model = CaptionModel(model_folder(llm), Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_lora(LORA)
    with torch.no_grad():
        for tensor in lora_tensors(model.llm).values():
            tensor.copy_(torch.randn_like(tensor) * 0.3)
    model.add_adapter(ADAPTER, n_layers=2, dim=8)
    system = {"lora": LORA.model_dump(mode="json"), "prompts": Prompts().model_dump(), "adapter": ADAPTER.model_dump()}
    paths = CheckpointPaths.of(folder)
    save_checkpoint(paths, model, {}, {}, system)
    return paths


def test_one_dev_clip_is_too_few_to_compare(tmp_path, training_inputs, tiny_llm):
    rows = artifacts.read_rows(training_inputs.plan, "plan")
    dev = [row for row in rows if row["role"] == "dev"]
    artifacts.write([row for row in rows if row not in dev[1:]], tmp_path / "plan", "plan", "test")
    paths = checkpoint(tmp_path / "system", tiny_llm, 1)
    inputs = more(RepresentationInputs, replace(training_inputs, plan=tmp_path / "plan"), checkpoint=paths)
    compute = Compute(precision="fp32", device="cpu", threads=1)
    with pytest.raises(ArtifactError, match=r"there are 1; raise splits\.dev"):
        collect_representations(Representations(probe="The speaker"), compute, inputs, tmp_path / "out.parquet")


@pytest.fixture
def collected(tmp_path, training_inputs, tiny_llm):
    found = []
    for seed in (1, 2):
        paths, out = checkpoint(tmp_path / f"system{seed}", tiny_llm, seed), tmp_path / f"{seed}.parquet"
        settings = Representations(utterances=3, probe="The speaker")
        inputs = more(RepresentationInputs, training_inputs, checkpoint=paths)
        collect_representations(settings, Compute(precision="fp32", device="cpu", threads=1), inputs, out)
        found.append(artifacts.read_rows(out, "representations"))
    return found


def vectors(rows, stage, modality):
    return np.asarray([row["vector"] for row in rows if (row["stage"], row["modality"]) == (stage, modality)])


def test_both_sides_of_each_utterance_at_three_stages(collected, training_inputs):
    rows = collected[0]
    assert len(rows) == 3 * 2 * 3
    dev = {row["utterance_id"] for row in artifacts.read_rows(training_inputs.plan, "plan") if row["role"] == "dev"}
    assert {row["utterance_id"] for row in rows} <= dev
    assert vectors(rows, "before", "speech").shape == vectors(rows, "after", "text").shape
    np.testing.assert_allclose(np.linalg.norm(vectors(rows, "response", "speech"), axis=1), 1, atol=1e-3)
    kl = [row["kl"] for row in rows if row["kl"] is not None]
    assert len(kl) == 3 and min(kl) > 0


def test_the_text_side_is_the_same_llm_for_every_system(collected):
    one, two = collected
    for stage in ("before", "after"):
        np.testing.assert_allclose(vectors(one, stage, "text"), vectors(two, stage, "text"), atol=1e-5)
        assert np.abs(vectors(one, stage, "speech") - vectors(two, stage, "speech")).max() > 1e-3
