"""The training loop: resume gives the same bytes, accumulation changes nothing, what is frozen stays."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from aligncap import artifacts
from aligncap.config import Compute, Optimisation
from aligncap.errors import ArtifactError, ModelError
from aligncap.training.loop import TrainingTask, draw_batches, learning_rate_factor, train
from aligncap.training.recording import Run

pytestmark = pytest.mark.usefixtures("in_tmp")


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

    def key(self, item):
        return f"{self.corpus(item)}/{item}"

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


@pytest.mark.parametrize(("items", "size"), [(60, 32), (127, 16), (23, 8), (5, 8)])
def test_no_item_is_left_out_for_its_length(items, size):
    class Few(Line):
        def items(self, split):
            return items

    batches = draw_batches(Few(), SETTINGS.model_copy(update={"steps": 200, "batch_size": size}), 0)
    assert {item for batch in batches for item in batch} == set(range(items))
    assert {len(batch) for batch in batches} == {min(items, size)}


def test_no_steps_train_nothing():
    stage = Line()
    before = stage.line.weight.clone()
    run(stage, SETTINGS.model_copy(update={"steps": 0}), name="none")
    assert torch.equal(stage.line.weight, before) and artifacts.read_rows(Path("none.parquet"), "training") == []


def test_training_on_nothing_is_refused():
    class Empty(Line):
        def items(self, split):
            return 0

    with pytest.raises(ArtifactError, match="no item to train on"):
        draw_batches(Empty(), SETTINGS, 0)


def test_balanced_batches_take_as_many_items_of_each_corpus():
    batches = draw_batches(Line(), SETTINGS.model_copy(update={"balanced": True}), 3)
    drawn = [item for batch in batches[:6] for item in batch]
    assert sorted(item for item in drawn if item < 4) == sorted([*range(4)] * 3)
    assert len({item for item in drawn if item >= 4}) == 12


def test_schedule_rises_then_falls_to_a_tenth():
    factors = [learning_rate_factor(s, 100, 0.1) for s in range(1, 101)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == 1 and factors[-1] == pytest.approx(0.1)
    assert factors[9:] == sorted(factors[9:], reverse=True)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_names_step_items_and_a_file_for_a_replay(factor):
    class Broken(Line):
        def forward(self, split, items):
            loss, logged = super().forward(split, items)
            return loss * (factor if self.calls == 9 else 1), logged

    told = f"rule x: the loss is {factor} .* at step 9, on .*lower the learning rate"
    with pytest.raises(ModelError, match=told) as caught:
        run(Broken())
    assert "\n" not in str(caught.value)
    (path,) = Path("work").rglob("step_9.json")
    assert str(path) in str(caught.value)
    kept, batch = json.loads(path.read_text()), draw_batches(Line(), SETTINGS, 0)[8]
    assert kept["items"] == batch and kept["keys"] == [Line().key(item) for item in batch]
    assert kept["keys"][0] in str(caught.value) and kept["told"]["loss"] == repr(factor)
    assert not Path("x.parquet").exists()


def test_a_gradient_that_is_not_finite_changes_no_weight():
    class Steep(Line):
        def forward(self, split, items):
            loss, logged = super().forward(split, items)
            if self.calls == 9:  # sqrt has an endless slope at 0
                loss = loss + torch.sqrt((self.line.weight * 0).sum())
            return loss, logged

    stage = Steep()
    with pytest.raises(ModelError, match="norm of the gradient nan.* at step 9"):
        run(stage)
    assert all(torch.isfinite(p).all() for p in stage.line.parameters())


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(position):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[position] ^= 0x10
        path.write_bytes(content)

    return damage


DAMAGES = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "other bytes": lambda path: path.write_bytes(b"no state" * 200),
    "a bit of the last tensor": flip(-1),
    "a bit of a tensor": flip(-20),
    "a bit of the header's length": flip(2),
    "a bit of a name or of the log": flip(60),
    "without a digest": lambda path: save_file(
        {"parameter.weight": torch.ones(1, 1)}, path, {"step": "14", "log": "[]"}
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_named_and_training_begins_anew(damage, caplog):
    whole = run(Line(), name="whole")
    with pytest.raises(KeyboardInterrupt):
        run(Line(fail_after=17), name="cut")
    (state,) = Path("work").rglob("resume.safetensors")
    DAMAGES[damage](state)
    again = Line()
    run(again, name="cut")
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(state) in told and "begins anew" in told and "\n" not in told
    assert again.calls == 30
    assert torch.equal(whole.line.weight, again.line.weight) and torch.equal(whole.line.bias, again.line.bias)


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


def test_fewer_items_than_a_batch_that_processes_cannot_share_are_refused(monkeypatch):
    two = SimpleNamespace(num_processes=2, device=torch.device("cpu"))
    monkeypatch.setattr("aligncap.training.loop.accelerator_for", lambda task, compute: two)
    stage = Line()
    stage.items = lambda split: 7
    message = (
        "^rule x: there are 7 items, fewer than the 8 of a step .*, and 2 processes cannot share them evenly; lower"
    )
    with pytest.raises(ModelError, match=message):
        run(stage, SETTINGS.model_copy(update={"batch_size": 2, "accumulate": 4}))
