"""Preference training on a tiny model: every loss on the same batches, logs by kind, a second round."""

import math

import pytest
import torch
from more_inputs import more

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, build_model, save_checkpoint
from aligncap.config import AdapterSettings, Compute, Lora, PreferenceTraining, Prompts
from aligncap.models.sources import model_folder
from aligncap.preference.train import (
    PairedInputs,
    PreferenceInputs,
    PreferenceSettings,
    train_preference,
    write_reference_logps,
)

pytestmark = pytest.mark.usefixtures("in_tmp")

ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1, noise=0.0, dropout=0.0), Lora(rank=2, alpha=4)
COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
STEPS = 6
UTTERANCES = [f"u{number}" for number in range(12, 20)]  # those of roles adapt and preference


@pytest.fixture
def parent(tmp_path, tiny_llm):
    """A checkpoint of random weights."""
    torch.manual_seed(0)
    model = build_model(model_folder(tiny_llm), Prompts(), LORA, Compute(precision="fp32", device="cpu"), {})
    model.add_lora(LORA)
    model.add_adapter(ADAPTER, 2, 8)
    paths = CheckpointPaths.of(tmp_path / "kd")
    settings = {"lora": LORA.model_dump(), "prompts": Prompts().model_dump(), "adapter": ADAPTER.model_dump()}
    save_checkpoint(paths, model, {}, {}, settings)
    artifacts.write([], paths.log, "training", "test")
    return paths


@pytest.fixture
def pairs(tmp_path):
    rows = []
    for number, utterance in enumerate(UTTERANCES):
        chosen, rejected = [40 + number, 50, 2], [60, 61 + number, 62, 2][number % 2 :]
        rows.append(
            {
                "pair_id": f"tiny/{utterance}#0>tiny/{utterance}#1",
                "utterance_id": utterance,
                "corpus": "tiny",
                "kind": "factuality" if number % 4 else "faithfulness",
                "chosen_id": f"tiny/{utterance}#0",
                "rejected_id": f"tiny/{utterance}#1",
                "chosen_ids": chosen,
                "rejected_ids": rejected,
                "margin": 1.0,
                "role": "dev" if number < 2 else "train",
            }
        )
    artifacts.write(rows, tmp_path / "pairs.parquet", "preference_pairs", "test")
    return tmp_path / "pairs.parquet"


@pytest.fixture
def optimise(tmp_path, training_inputs, tiny_llm, pairs):
    def run(name, parent, **settings):
        """The log as (split, metric, step) -> value, and the checkpoint."""
        logps = tmp_path / f"{name}.logps"
        read = more(PairedInputs, training_inputs, parent=parent, pairs=pairs)
        write_reference_logps(COMPUTE, read, logps)
        fixed = {"steps": STEPS, "batch_size": 3, "learning_rate": 1e-2, "dev_every": 3, "stop_below": None}
        training = PreferenceTraining(**(fixed | settings))
        paths = CheckpointPaths.of(tmp_path / name)
        inputs = more(PreferenceInputs, read, reference_logps=logps)
        train_preference(PreferenceSettings(name, training, 0, COMPUTE), inputs, paths)
        rows = artifacts.read_rows(paths.log, "training")
        return {(row["split"], row["metric"], row["step"]): row["value"] for row in rows}, paths

    return run


def test_training_stops_where_chosen_captions_fall_below_the_limit(optimise, parent):
    stopped, _ = optimise("stopped", parent, stop_below=10.0)  # any gain is below it
    whole, _ = optimise("whole", parent, stop_below=-99.0)
    assert (max(step for _, _, step in stopped), max(step for _, _, step in whole)) == (3, STEPS)


def test_every_loss_takes_the_same_steps_on_the_same_batches(optimise, parent):
    first = set()
    for name in ("dpo", "ipo", "simpo", "orpo", "kto", "nll"):
        log, _ = optimise(name, parent, loss=name, rpo_alpha=0.0)
        assert max(step for _, _, step in log) == STEPS
        first.add((round(log["train", "chosen_logp", 1], 4), round(log["train", "rejected_logp", 1], 4)))
        assert log["train", name, 1] == pytest.approx(log["train", "loss", 1])
        assert (
            log["dev", "loss", STEPS] < log["dev", "loss", 3] or log["train", "loss", STEPS] < log["train", "loss", 1]
        )
    assert len(first) == 1, "the control and every loss start on the same pairs under the same policy"


def test_dpo_starts_at_log_two_and_logs_by_kind(optimise, parent):
    log, _ = optimise("dpo", parent)
    assert log["train", "dpo", 1] == pytest.approx(math.log(2), abs=1e-3)
    assert log["train", "loss", 1] == pytest.approx(
        math.log(2) - 0.2 * log["train", "chosen_logp_per_token", 1], abs=1e-3
    )
    for metric in ("chosen_logp", "rejected_logp", "margin", "accuracy"):
        parts = [
            log["dev", f"share/{kind}", STEPS] * log["dev", f"{metric}/{kind}", STEPS]
            for kind in ("factuality", "faithfulness")
        ]
        assert sum(parts) == pytest.approx(log["dev", metric, STEPS], rel=1e-4, abs=1e-6)
    assert log["train", "margin", STEPS] > 0


@pytest.mark.parametrize("length_normalised", [False, True])
def test_the_logged_margin_is_the_one_in_the_loss(optimise, parent, length_normalised):
    """The two dev pairs are of one kind each, so the log has the margin of each; the responses differ in length."""
    log, _ = optimise("ipo", parent, loss="ipo", rpo_alpha=0.0, length_normalised=length_normalised)
    target = 1 / (2 * PreferenceTraining().beta)
    margins = [log["dev", f"margin/{kind}", STEPS] for kind in ("factuality", "faithfulness")]
    assert abs(margins[0] - margins[1]) > 1e-3
    squares = [(margin - target) ** 2 for margin in margins]
    assert log["dev", "ipo", STEPS] == pytest.approx(sum(squares) / 2, rel=1e-4)


def test_kto_starts_at_a_half_with_an_empty_baseline(optimise, parent):
    log, _ = optimise("kto", parent, loss="kto", rpo_alpha=0.0)
    assert log["train", "kto", 1] == pytest.approx(0.5, abs=1e-4)
    assert log["train", "kto_z0", 1] == pytest.approx(0, abs=1e-5)
    assert max(value for (_, metric, _), value in log.items() if metric == "kto_z0") > 0


def test_a_second_round_takes_the_first_as_its_reference(optimise, parent):
    first, paths = optimise("aligncap", parent)
    second, _ = optimise("round2", paths)
    assert second["train", "dpo", 1] == pytest.approx(math.log(2), abs=1e-3)
    assert second["train", "margin", 1] == pytest.approx(0, abs=1e-4)
    start, later = first["train", "chosen_logp", 1], second["train", "chosen_logp", 1]
    assert abs(start - later) > 1e-2, "the second round starts where the first ended"
