"""The training loop: resume gives the same bytes, accumulation changes nothing, what is frozen stays."""

from pathlib import Path

import pytest
import torch
from torch import nn

from aligncap import artifacts
from aligncap.config import Compute, Optimisation
from aligncap.errors import ModelError
from aligncap.training.loop import TrainingTask, draw_batches, learning_rate_factor, train
from aligncap.training.recording import Run


class Line(TrainingTask):
    """Fits y = 2x + 1 with dropout on the input; one frozen parameter."""

    def __init__(self, fail_after: int | None = None):
        super().__init__()
        torch.manual_seed(0)
        self.line, self.frozen = nn.Linear(1, 1), nn.Linear(1, 1).requires_grad_(False)
        self.x = torch.linspace(-1, 1, 24)[:, None]
        self.calls, self.fail_after = 0, fail_after

    def groups(self):
        return [(0.3, dict(self.line.named_parameters()))]

    def items(self, split):
        return 24 if split == "train" else 4

    def length(self, item):
        return item

    def corpus(self, item):
        return "small" if item < 4 else "large"

    def weight(self, split, item):
        return 1.0

    def forward(self, split, items):
        if split == "train":
            self.calls += 1
            if self.fail_after is not None and self.calls > self.fail_after:
                raise KeyboardInterrupt
        x = self.x[list(items)]
        noisy = x + 0.01 * torch.randn_like(x) if self.training else x
        loss = ((self.line(noisy) + 0 * self.frozen(x) - 2 * x - 1) ** 2).sum()
        return loss, {"error": loss}


SETTINGS = Optimisation(steps=30, batch_size=4, dev_every=10, save_every=7, learning_rate=0.1, weight_decay=0.0)


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_TRACKING_URI", raising=False)


def run(stage, settings=SETTINGS, name="x", threads=1):
    kept = Run("rule", name, {"s": 1}, [], Path(f"{name}.parquet"), lambda: None)
    train(stage, settings, 0, Compute(precision="fp32", threads=threads), kept)
    return stage


def test_it_learns_and_logs_and_leaves_the_frozen_alone():
    stage = Line()
    frozen = {n: p.clone() for n, p in stage.frozen.named_parameters()}
    before = {n: p.clone() for n, p in stage.line.named_parameters()}
    run(stage)
    assert float(stage.line.weight) == pytest.approx(2, abs=0.3)
    assert all(torch.equal(frozen[n], p) for n, p in stage.frozen.named_parameters())
    assert all(not torch.equal(before[n], p) for n, p in stage.line.named_parameters())
    log = artifacts.read("x.parquet", "training")
    assert log[(log.split == "train") & (log.metric == "loss")].step.tolist() == list(range(1, 31))
    assert log[(log.split == "dev") & (log.metric == "loss")].step.tolist() == [10, 20, 30]


def test_a_killed_run_resumes_to_the_same_bytes():
    whole = run(Line(), name="whole")
    with pytest.raises(KeyboardInterrupt):
        run(Line(fail_after=17), name="cut")
    resumed = Line()
    run(resumed, name="cut")
    assert resumed.calls == 30 - 14, "it went on from step 14, the last resume point"
    assert torch.equal(whole.line.weight, resumed.line.weight) and torch.equal(whole.line.bias, resumed.line.bias)
    strip = lambda name: artifacts.read(f"{name}.parquet", "training")  # noqa: E731
    assert strip("whole").equals(strip("cut"))


@pytest.mark.parametrize("changed", ["code", "compute"])
def test_a_killed_run_of_other_code_or_arithmetic_starts_afresh(monkeypatch, changed):
    with pytest.raises(KeyboardInterrupt):
        run(Line(fail_after=17))
    if changed == "code":
        monkeypatch.setenv(artifacts.CODE_VARIABLE, "another")
    again = Line()
    run(again, threads=2 if changed == "compute" else 1)
    assert again.calls == 30


def test_a_finished_run_trains_again():
    run(Line())
    again = Line()
    run(again)
    assert again.calls == 30


def test_eight_at_once_equals_one_at_a_time_accumulated():
    class Quiet(Line):
        def train(self, mode=True):  # no noise, so that only the arithmetic differs
            return super().train(False)

    once = run(Quiet(), Optimisation(steps=5, batch_size=8, weight_decay=0.0), "once")
    piecewise = run(Quiet(), Optimisation(steps=5, batch_size=1, accumulate=8, weight_decay=0.0), "piecewise")
    torch.testing.assert_close(once.line.weight, piecewise.line.weight)


def test_batches_are_drawn_before_training_and_hold_like_lengths():
    stage = Line()
    batches = draw_batches(stage, SETTINGS, 3)
    assert batches == draw_batches(stage, SETTINGS, 3) != draw_batches(stage, SETTINGS, 4)
    assert len(batches) == 30 and sorted(i for b in batches[:6] for i in b) == list(range(24))
    assert all(max(b) - min(b) <= 4 for b in batches)


def test_balanced_batches_take_as_many_items_of_each_corpus():
    batches = draw_batches(Line(), SETTINGS.model_copy(update={"balanced": True}), 3)
    drawn = [item for batch in batches[:6] for item in batch]
    assert sorted(item for item in drawn if item < 4) == sorted([*range(4)] * 3)
    assert len({item for item in drawn if item >= 4}) == 12


def test_schedule_rises_then_falls_to_a_tenth():
    factors = [learning_rate_factor(s, 100, 0.1) for s in range(1, 101)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1 and factors[-1] == pytest.approx(0.1)
    assert factors[9:] == sorted(factors[9:], reverse=True)


def test_a_loss_that_is_not_finite_is_an_error():
    class Broken(Line):
        def forward(self, split, items):
            loss, logged = super().forward(split, items)
            return loss * float("nan"), logged

    with pytest.raises(ModelError, match="lower the learning rate"):
        run(Broken())


def test_a_stage_can_stop_itself():
    class Impatient(Line):
        def stop(self, dev):
            return "enough"

    run(Impatient())
    assert artifacts.read("x.parquet", "training").step.max() == 10


def test_tracking_failures_do_not_reach_training(monkeypatch):
    monkeypatch.setenv("ALIGNCAP_TRACKING_URI", "sqlite:////nowhere/at/all.db")
    monkeypatch.setenv("ALIGNCAP_EXPERIMENT", "test")
    run(Line())
    assert artifacts.read("x.parquet", "training").step.max() == 30
