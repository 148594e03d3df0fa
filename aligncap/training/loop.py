"""The one training loop: every stage (warm start, teacher adaptation, alignment, preference) runs through it.

A stage says what its items are, how much each weighs and what a batch of them costs; the loop does the rest: order,
schedule, accumulation, clipping, dev measurements. ``recording`` keeps its log, its live curves and its resume points.
It runs on accelerate, so the same code serves one CPU and several GPUs.

Each step seeds torch from (seed, step, process), so a resumed run needs no generator state: it gives the same bytes as
an undisturbed one (on CPU with a fixed number of threads).
"""

from __future__ import annotations

import logging
import math
import random
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from aligncap.config import Compute, Optimisation
from aligncap.errors import ModelError
from aligncap.hashes import seed_of
from aligncap.models.device import pick_device
from aligncap.training.recording import Run, recording

logger = logging.getLogger(__name__)


class Stage(nn.Module):
    """What a training stage must say. ``forward`` is the loss, so that DDP sees it."""

    @abstractmethod
    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Parameters that train, by name, with the learning rate of each group."""

    @abstractmethod
    def items(self, split: str) -> int:
        """Number of items of a split, ``train`` or ``dev``."""

    @abstractmethod
    def length(self, item: int) -> int:
        """Rough length of a train item; items of like length share a batch."""

    @abstractmethod
    def weight(self, split: str, item: int) -> float:
        """What the item counts for in the mean: its response tokens, or 1."""

    @abstractmethod
    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the loss over the items, and weighted sums of whatever is to be logged.

        A value of some items only is logged as ``name/part`` beside ``share/part``, the sum of their weights.
        """

    def begin_step(self, step: int) -> None:
        """Told before each step, counted from 1, for what changes over a run."""

    def stop(self, dev: Mapping[str, float]) -> str | None:
        """A reason to stop after a dev measurement, or None."""
        return None


def draw_batches(stage: Stage, settings: Optimisation, seed: int) -> list[list[int]]:
    """The items of every step, drawn before training starts: epoch by epoch, like lengths together."""
    generator = random.Random(seed)
    size = settings.batch_size * settings.accumulate
    batches: list[list[int]] = []
    while len(batches) < settings.steps:
        order = list(range(stage.items("train")))
        generator.shuffle(order)
        epoch = []
        for start in range(0, len(order), 8 * size):
            pool = sorted(order[start : start + 8 * size], key=stage.length)
            epoch += [pool[i : i + size] for i in range(0, len(pool), size)]
        generator.shuffle(epoch)
        # A short batch at the end of an epoch would count its items more; it is left for the next epoch's shuffle.
        full = [batch for batch in epoch if len(batch) == size]
        batches += full or epoch
    return batches[: settings.steps]


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over ``warmup`` of the steps, then a cosine from 1 to 0.1; ``step`` counts from 1."""
    rise = max(1, round(warmup * steps))
    if step <= rise:
        return step / rise
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _means(sums: Mapping[str, float], total: float) -> dict[str, float]:
    """Means over the items' weights; ``name/part`` is over the items of that part, which ``share/part`` counts."""
    means = {}
    for name, value in sums.items():
        measure, _, part = name.partition("/")
        means[name] = value / (sums[f"share/{part}"] if part and measure != "share" else total)
    return means


def _measure(model: nn.Module, stage: Stage, settings: Optimisation) -> dict[str, float]:
    """Weighted means over the dev items."""
    stage.eval()
    items = list(range(min(stage.items("dev"), settings.dev_limit)))
    sums: dict[str, float] = defaultdict(float)
    with torch.no_grad():
        for start in range(0, len(items), settings.batch_size):
            loss, logged = stage("dev", items[start : start + settings.batch_size])
            for name, value in {"loss": loss, **logged}.items():
                sums[name] += float(value)
    total = sum(stage.weight("dev", item) for item in items)
    model.train()
    return _means(sums, total)


def _optimizer(stage: Stage, settings: Optimisation) -> tuple[dict[str, nn.Parameter], torch.optim.Optimizer]:
    """What trains, by name, and AdamW over it; everything else is frozen."""
    groups = stage.groups()
    parameters: dict[str, Any] = {name: p for _, group in groups for name, p in group.items()}
    stage.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [{"params": list(group.values()), "lr": rate, "initial_lr": rate} for rate, group in groups],
        weight_decay=settings.weight_decay,
    )
    return parameters, optimizer


def _backward(
    model: nn.Module, stage: Stage, batch: Sequence[int], size: int, accelerator: Accelerator
) -> dict[str, float]:
    """Gradients of the mean loss over a step's items, ``size`` of them at a time; means of what is logged."""
    world, process = accelerator.num_processes, accelerator.process_index
    total = sum(stage.weight("train", item) for item in batch)
    sums: dict[str, float] = defaultdict(float)
    own = batch[process::world]
    for start in range(0, len(own), size):
        loss, logged = model("train", own[start : start + size])
        # DDP averages gradients over processes; the mean over the whole batch needs their sum.
        accelerator.backward(loss * world / total)
        for metric, value in {"loss": loss, **logged}.items():
            sums[metric] += float(value.detach())
    return _means(sums, total)


def train(stage: Stage, settings: Optimisation, seed: int, compute: Compute, run: Run) -> None:
    """Train ``stage`` in place, write its log and save what came of it.

    Args:
        stage: what to train.
        settings: steps, learning rates, batch.
        seed: of the order and of dropout.
        compute: device and threads; the captioner knows its own precision.
        run: what the result depends on, and where it goes.

    Raises:
        ModelError: the loss is not finite.
    """
    accelerator = Accelerator(cpu=pick_device(compute).type == "cpu")
    parameters, optimizer = _optimizer(stage.to(accelerator.device), settings)
    batches = draw_batches(stage, settings, seed)
    with recording(run, settings, compute, parameters, optimizer, accelerator.is_main_process) as kept:
        model, optimizer = accelerator.prepare(stage, optimizer)
        model.train()
        for step in kept.steps(str(run)):
            torch.manual_seed(seed_of(seed, step, accelerator.process_index))
            factor = learning_rate_factor(step, settings.steps, settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            stage.begin_step(step)
            means = _backward(model, stage, batches[step - 1], settings.batch_size, accelerator)
            if not math.isfinite(means["loss"]):
                raise ModelError(f"{run}: the loss is {means['loss']} at step {step}; lower the learning rate")
            norm = accelerator.clip_grad_norm_(list(parameters.values()), settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            kept.log(step, "train", {**means, "grad_norm": float(norm), "learning_rate_factor": factor})
            if stage.items("dev") and (step % settings.dev_every == 0 or step == settings.steps):
                dev = _measure(model, stage, settings)
                kept.log(step, "dev", dev)
                if reason := stage.stop(dev):
                    logger.info("%s: stopped after step %d: %s", run, step, reason)
                    break
            kept.keep(step)
        stage.eval()
