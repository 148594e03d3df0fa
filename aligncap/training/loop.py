"""The training loop of all stages: warm start, teacher adaptation, alignment and preference optimisation.

A task defines its items, the weight of each item and the loss of a batch. The loop does the rest: order of the
batches, learning rate schedule, gradient accumulation, clipping and dev measurements. The module ``recording`` writes
the log, the live curves and the resume points.

A step takes ``batch_size * accumulate`` items in however many processes: each gets an equal, contiguous part of them.
Where ``accumulate`` is a multiple of the number of processes, these are the very batches that one process takes one
after another, so that the losses that compare clips of a batch are the same, too.

Each step seeds torch from (seed, step, process), so a resumed run needs no generator state, and processes drop and add
noise each on its own. A resumed run gives the same bytes as an uninterrupted one (on CPU with fixed numbers of threads
and processes).
"""

from __future__ import annotations

import itertools
import logging
import math
import random
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from aligncap.config import Compute, Optimisation
from aligncap.errors import ArtifactError, ModelError
from aligncap.hashes import seed_of
from aligncap.training.recording import Recording, Run, recording
from aligncap.training.sharing import accelerator_for, add_gradients, add_sums, collect, held_here, of_the_main, share

logger = logging.getLogger(__name__)


class TrainingTask(nn.Module):
    """Base class of the training stages. The loss is computed in ``forward``, so that DDP can hook into it."""

    @abstractmethod
    def groups(self) -> list[tuple[float, Mapping[str, Tensor]]]:
        """Return the parameter groups to train: for each, its learning rate and its parameters by name."""

    @abstractmethod
    def items(self, split: str) -> int:
        """Return the number of items of a split, ``train`` or ``dev``."""

    @abstractmethod
    def length(self, item: int) -> int:
        """Return the approximate length of a training item; items of similar length share a batch."""

    @abstractmethod
    def corpus(self, item: int) -> str:
        """Return the corpus of a training item."""

    @abstractmethod
    def key(self, item: int) -> str:
        """Return the name of a training item, by which a person finds it: corpus and utterance, or the pair's id."""

    @abstractmethod
    def weight(self, split: str, item: int) -> float:
        """Return the weight of an item in the mean loss: its number of response tokens, or 1."""

    @abstractmethod
    def forward(self, split: str, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the loss over the items, and weighted sums of the logged metrics.

        A metric of only some items is logged as ``name/part`` together with ``share/part``, the sum of their weights.
        """

    def begin_step(self, step: int) -> None:
        """Prepare the task for a step, counted from 1; called by the loop before each step."""

    def stop(self, dev: Mapping[str, float]) -> str | None:
        """Return a reason to stop training after a dev measurement, or None to continue."""
        return None


def draw_batches(task: TrainingTask, settings: Optimisation, seed: int) -> list[list[int]]:
    """Draw the items of all steps before training starts, epoch by epoch, with similar lengths in one batch.

    Raises:
        ArtifactError: The task has no item to train on.
    """
    if not task.items("train"):
        raise ArtifactError("no item to train on; give more training clips, or lower splits.dev and splits.preference")
    generator = random.Random(seed)
    size = settings.batch_size * settings.accumulate
    batches: list[list[int]] = []
    while len(batches) < settings.steps:
        order = list(range(task.items("train")))
        generator.shuffle(order)
        if settings.balanced:
            order = _corpora_in_turn(task, order)
        # In a batch that is not full each item would count more, so what fills none is left to the next epoch. It is
        # left out before lengths are sorted, for the longest items would be left out each time.
        order = order[: len(order) // size * size] or order
        epoch = []
        for start in range(0, len(order), 8 * size):
            pool = sorted(order[start : start + 8 * size], key=task.length)
            epoch += [pool[i : i + size] for i in range(0, len(pool), size)]
        generator.shuffle(epoch)
        batches += epoch
    return batches[: settings.steps]


def _corpora_in_turn(task: TrainingTask, order: Sequence[int]) -> list[int]:
    """Return as many items as ``order`` has, of each corpus in turn; those of a small corpus come again."""
    corpora = defaultdict(list)
    for item in order:
        corpora[task.corpus(item)].append(item)
    turns = zip(*(itertools.cycle(own) for own in corpora.values()), strict=True)
    return list(itertools.islice(itertools.chain.from_iterable(turns), len(order)))


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate at a step: linear warm-up, then a cosine from 1 to 0.1.

    Args:
        step: Step, counted from 1.
        steps: Number of steps of the training.
        warmup: Share of the steps that the warm-up takes.
    """
    rise = max(1, round(warmup * steps))
    if step <= rise:
        return step / rise
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _means(sums: Mapping[str, float], total: float) -> dict[str, float]:
    """Divide sums by the total weight; a metric ``name/part`` is divided by the weight of its part, ``share/part``."""
    means = {}
    for name, value in sums.items():
        measure, _, part = name.partition("/")
        means[name] = value / (sums[f"share/{part}"] if part and measure != "share" else total)
    return means


def _measure(model: nn.Module, task: TrainingTask, settings: Optimisation) -> dict[str, float]:
    """Return the weighted means of the loss and the logged metrics over the dev items, all of them in each process."""
    task.eval()
    items = list(range(min(task.items("dev"), settings.dev_limit)))
    sums: dict[str, float] = defaultdict(float)
    with torch.no_grad():
        for start in range(0, len(items), settings.batch_size):
            loss, logged = model("dev", items[start : start + settings.batch_size])
            for name, value in {"loss": loss, **logged}.items():
                sums[name] += float(value)
    total = sum(task.weight("dev", item) for item in items)
    model.train()
    return _means(sums, total)


def _optimizer(task: TrainingTask, settings: Optimisation) -> torch.optim.Optimizer:
    """Freeze all parameters but those to train; return an AdamW optimizer of them."""
    task.requires_grad_(False)
    groups = task.groups()
    for _, group in groups:
        for parameter in group.values():
            parameter.requires_grad_(True)
    return torch.optim.AdamW(
        [{"params": list(group.values()), "lr": rate, "initial_lr": rate} for rate, group in groups],
        weight_decay=settings.weight_decay,
    )


def _backward(
    model: nn.Module, task: TrainingTask, batch: Sequence[int], size: int, accelerator: Accelerator
) -> dict[str, float]:
    """Accumulate the gradients of a step's mean loss, ``size`` items at a time, and return the means of its metrics."""
    world, share_of_it = accelerator.num_processes, len(batch) // accelerator.num_processes
    total = sum(task.weight("train", item) for item in batch)
    sums: dict[str, float] = defaultdict(float)
    own = batch[accelerator.process_index * share_of_it :][:share_of_it]
    for start in range(0, len(own), size):
        last = start + size >= len(own)
        with nullcontext() if last else accelerator.no_sync(model):
            loss, logged = model("train", own[start : start + size])
            # Gradients are averaged over processes; the mean over the whole batch needs their sum.
            accelerator.backward(loss * world / total)
        for metric, value in {"loss": loss, **logged}.items():
            sums[metric] += float(value.detach())
    return _means(add_sums(accelerator, sums), total)


def _not_finite(
    run: Run, kept: Recording, step: int, batch: Sequence[int], task: TrainingTask, told: Mapping[str, float]
) -> ModelError:
    """Return the error of a step whose loss or gradient is not finite; a file keeps the step's items for a replay."""
    keys = [task.key(item) for item in batch]
    numbers = {name: repr(value) for name, value in told.items()}  # JSON has no NaN
    path = kept.keep_batch(step, {"items": list(batch), "keys": keys, "told": numbers})
    shown = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    return ModelError(
        f"{run}: the loss is {told['loss']} (norm of the gradient {told['grad_norm']}) at step {step}, on {shown}; "
        f"{path} names all {len(keys)} items; lower the learning rate, or mend or leave out a clip that is broken"
    )


def train(task: TrainingTask, settings: Optimisation, seed: int, compute: Compute, run: Run) -> None:
    """Train ``task`` in place, write its log and save its weights.

    Args:
        task: TrainingTask to train.
        settings: Steps, schedule, batch size, accumulation and measurement on dev.
        seed: Seed of the order of the items and of dropout.
        compute: Device and threads; the precision is set in the captioner.
        run: Dependencies of the result, and its output files.

    Raises:
        ModelError: A loss or gradient is not finite; the message names the step, and a file that keeps its items.
    """
    accelerator = accelerator_for(task, compute)
    optimizer = _optimizer(task.to(accelerator.device), settings)
    batches = draw_batches(task, settings, seed)
    if batches and len(batches[0]) % accelerator.num_processes:
        raise ModelError(
            f"{run}: there are {task.items('train')} items, fewer than the {settings.batch_size * settings.accumulate} "
            f"of a step (batch_size times accumulate), and {accelerator.num_processes} processes cannot share them "
            "evenly; lower one of the two, or set launch.processes to 1"
        )
    model, optimizer = share(accelerator, task, optimizer)
    parameters = {name: parameter for _, group in task.groups() for name, parameter in group.items()}
    if accelerator.num_processes > 1:
        held = f"{held_here(parameters.values())} of {sum(p.numel() for p in parameters.values())}"
        logger.info("%s: %d processes; this one holds %s trained weights", run, accelerator.num_processes, held)
    with recording(run, settings, compute, parameters, optimizer, accelerator) as kept:
        model.train()
        for step in kept.steps(str(run)):
            torch.manual_seed(seed_of(seed, step, accelerator.process_index))
            factor = learning_rate_factor(step, settings.steps, settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            task.begin_step(step)
            means = _backward(model, task, batches[step - 1], settings.batch_size, accelerator)
            add_gradients(accelerator, parameters.values())
            norm = float(accelerator.clip_grad_norm_(list(parameters.values()), settings.max_grad_norm))
            if not math.isfinite(means["loss"]) or not math.isfinite(norm):
                raise _not_finite(run, kept, step, batches[step - 1], task, {**means, "grad_norm": norm})
            optimizer.step()
            optimizer.zero_grad()
            kept.log(step, "train", {**means, "grad_norm": norm, "learning_rate_factor": factor})
            if task.items("dev") and (step % settings.dev_every == 0 or step == settings.steps):
                dev = of_the_main(accelerator, _measure(model, task, settings))
                kept.log(step, "dev", dev)
                if reason := task.stop(dev):
                    logger.info("%s: stopped after step %d: %s", run, step, reason)
                    break
            kept.keep(step)
        task.eval()
        collect(task)
