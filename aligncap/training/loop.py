"""The one training loop: every stage (warm start, teacher adaptation, alignment, preference) runs through it.

A stage says what its items are, how much each weighs and what a batch of them costs; the loop does the rest: order,
schedule, accumulation, clipping, dev measurements, resume points, the log, live curves. It runs on accelerate, so the
same code serves one CPU and several GPUs.

Each step seeds torch from (seed, step, process), so a resumed run needs no generator state: it gives the same bytes as
an undisturbed one (on CPU with a fixed number of threads).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import shutil
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from aligncap import artifacts
from aligncap.captioner.model import load_exactly
from aligncap.config import Compute, Optimisation
from aligncap.errors import ModelError
from aligncap.models.device import pick_device
from aligncap.progress import track
from aligncap.tracking import runs as tracking

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

    def begin_step(self, step: int, steps: int) -> None:
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


def _step_seed(seed: int, step: int, process: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}/{process}".encode()).digest()[:4], "big")


class _Resume:
    """The resume point of a run: trainable tensors, optimizer state, step and log in one atomic safetensors file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "resume.safetensors"

    def save(self, step: int, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, log: list) -> None:
        tensors = {f"parameter.{name}": p.detach().cpu().contiguous() for name, p in parameters.items()}
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).cpu().clone()
        with artifacts.atomic_path(self.path) as temporary:
            save_file(tensors, temporary, metadata={"step": str(step), "log": json.dumps(log)})

    def load(self, parameters: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> tuple[int, list]:
        if not self.path.is_file():
            return 0, []
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)
        saved = {}
        with safe_open(self.path, "pt") as file:
            metadata = file.metadata()
            for key in file.keys():
                kind, _, name = key.partition(".")
                if kind == "parameter":
                    saved[name] = file.get_tensor(key)
                else:
                    index, _, field = name.partition(".")
                    state[int(index)][field] = file.get_tensor(key)
        load_exactly(parameters, saved, str(self.path))
        optimizer.load_state_dict({"state": dict(state), "param_groups": optimizer.state_dict()["param_groups"]})
        return int(metadata["step"]), json.loads(metadata["log"])


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


def train(
    stage: Stage,
    settings: Optimisation,
    compute: Compute,
    seed: int,
    rule: str,
    name: str,
    described: Mapping[str, Any],
    inputs: Sequence[Path],
    log_out: Path,
    save: Callable[[], None],
) -> None:
    """Train ``stage`` in place, write its log and save what came of it.

    The resume point lies in ``work/{rule}/…`` under the digest of ``described``, ``compute``, the rule's code and the
    inputs' bytes; it goes once the outputs are whole, so that a forced rerun trains again.

    Args:
        stage: what to train.
        settings: steps, learning rates, batch.
        compute: device and threads; the captioner knows its own precision.
        seed: of the order and of dropout.
        rule: workflow rule, for the resume folder and the tracking run.
        name: system or variant, likewise.
        described: settings that the result depends on; also the tracked parameters.
        inputs: files that the result depends on.
        log_out: the ``training`` artifact.
        save: writes the trained weights.

    Raises:
        ModelError: the loss is not finite.
    """
    device = pick_device(compute)
    accelerator = Accelerator(cpu=device.type == "cpu")
    stage.to(accelerator.device)
    groups = stage.groups()
    parameters = {n: p for _, group in groups for n, p in group.items()}
    stage.requires_grad_(False)  # what is in no group needs no gradient
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [{"params": list(group.values()), "lr": rate, "initial_lr": rate} for rate, group in groups],
        weight_decay=settings.weight_decay,
    )
    work = artifacts.work_directory(rule, {"name": name, "compute": compute.model_dump(), **described}, inputs)
    resume = _Resume(work)
    done, log = resume.load(parameters, optimizer)
    if done:
        logger.info("%s %s: resuming after step %d", rule, name, done)
    model, optimizer = accelerator.prepare(stage, optimizer)
    model.train()
    batches = draw_batches(stage, settings, seed)
    world, process = accelerator.num_processes, accelerator.process_index

    main = accelerator.is_main_process
    with tracking.stage(rule, name, described) if main else nullcontext(tracking.Recorder()) as recorder:

        def record(step: int, split: str, values: Mapping[str, float]) -> None:
            for metric, value in values.items():
                log.append({"step": step, "split": split, "metric": metric, "value": value})
                recorder.metric(step, split, metric, value)

        for step in track(range(done + 1, settings.steps + 1), f"{rule} {name}", settings.steps - done):
            torch.manual_seed(_step_seed(seed, step, process))
            factor = learning_rate_factor(step, settings.steps, settings.warmup)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            stage.begin_step(step, settings.steps)
            batch = batches[step - 1]
            total = sum(stage.weight("train", item) for item in batch)
            sums: dict[str, float] = defaultdict(float)
            own = batch[process::world]
            for start in range(0, len(own), settings.batch_size):
                loss, logged = model("train", own[start : start + settings.batch_size])
                # DDP averages gradients over processes; the mean over the whole batch needs their sum.
                accelerator.backward(loss * world / total)
                for metric, value in {"loss": loss, **logged}.items():
                    sums[metric] += float(value.detach())
            values = _means(sums, total)
            if not math.isfinite(values["loss"]):
                raise ModelError(f"{rule} {name}: the loss is {values['loss']} at step {step}; lower the learning rate")
            norm = accelerator.clip_grad_norm_(list(parameters.values()), settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            record(step, "train", {**values, "grad_norm": float(norm), "learning_rate_factor": factor})
            reason = None
            if stage.items("dev") and (step % settings.dev_every == 0 or step == settings.steps):
                dev = _measure(model, stage, settings)
                record(step, "dev", dev)
                reason = stage.stop(dev)
            if reason is not None:
                logger.info("%s %s: stopped after step %d: %s", rule, name, step, reason)
                break
            if step % settings.save_every == 0 and main:
                resume.save(step, parameters, optimizer, log)
        stage.eval()
        if main:
            artifacts.write(log, log_out, "training", rule, {"name": name})
            save()
            shutil.rmtree(work, ignore_errors=True)
