"""Recording of a training run: its log, its live curves, and the resume points after an interruption."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aligncap import artifacts
from aligncap.captioner.model import load_exactly
from aligncap.config import Compute, Optimisation
from aligncap.errors import ModelError
from aligncap.progress import track
from aligncap.tracking import runs as tracking
from aligncap.training.sharing import equal_everywhere, placed, whole

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A training run: the settings and files that its result depends on, and its outputs.

    Attributes:
        rule: Workflow rule, which names the resume folder and the tracked run.
        name: System or variant, which names the resume folder and the tracked run.
        described: Settings that the result depends on, which are also the tracked parameters.
        inputs: Files that the result depends on.
        log: Artifact ``training`` to write.
        save: Function that writes the trained weights.
    """

    rule: str
    name: str
    described: Mapping[str, Any]
    inputs: Sequence[Path]
    log: Path
    save: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.rule} {self.name}"


class _DamagedError(Exception):
    """Error for a resume point that is not what was written; its message says why."""


def _content(tensors: Mapping[str, Tensor], step: str, log: str) -> str:
    """Return a digest of all that a resume point holds."""
    digest = hashlib.sha256(f"{step}\n{log}".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class _ResumePoint:
    """The resume point of a run: trainable tensors, optimizer state, step and log in one atomic safetensors file.

    It holds a digest of its content, because a file may be cut or altered after it was written. What processes share
    is in it whole: the main process gathers and writes it, and each reads it and takes its part.
    """

    def __init__(self, folder: Path, main: bool) -> None:
        self.path, self.main = folder / "resume.safetensors", main

    def save(self, step: int, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, log: list) -> None:
        tensors = {}
        for name, parameter in parameters.items():
            tensor = whole(parameter.detach())
            if self.main:
                tensors[f"parameter.{name}"] = tensor.cpu().contiguous()
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensor = whole(torch.as_tensor(value))
                if self.main:
                    tensors[f"optimizer.{index}.{key}"] = tensor.cpu().clone()
        if self.main:
            self._write(tensors, step, log)

    def _write(self, tensors: dict[str, Tensor], step: int, log: list) -> None:
        metadata = {"step": str(step), "log": json.dumps(log)}
        metadata["content"] = _content(tensors, metadata["step"], metadata["log"])
        with artifacts.atomic_path(self.path) as temporary:
            # One key: safetensors writes several in an order that differs from process to process.
            save_file(tensors, temporary, metadata={"resume": json.dumps(metadata, sort_keys=True)})

    def load(self, parameters: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> tuple[int, list]:
        """Load the point and return its step and log; 0 and none, with a warning, where it is damaged."""
        if not self.path.is_file():
            return 0, []
        try:
            tensors, metadata = self._read()
        except _DamagedError as problem:
            logger.warning("%s: damaged (%s); it is ignored and training begins anew", self.path, problem)
            return 0, []
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)
        saved, in_order = {}, list(parameters.values())
        for key, tensor in tensors.items():
            kind, _, name = key.partition(".")
            if kind == "parameter":
                saved[name] = placed(tensor, parameters[name]) if name in parameters else tensor
            else:
                index, _, field = name.partition(".")
                state[int(index)][field] = placed(tensor, in_order[int(index)])
        load_exactly(parameters, saved, str(self.path))
        optimizer.load_state_dict({"state": dict(state), "param_groups": optimizer.state_dict()["param_groups"]})
        return int(metadata["step"]), json.loads(metadata["log"])

    def _read(self) -> tuple[dict[str, Tensor], Mapping[str, str]]:
        try:
            with safe_open(self.path, "pt") as file:
                metadata = json.loads((file.metadata() or {}).get("resume", "{}"))
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, OSError, ValueError) as error:
            raise _DamagedError(" ".join(str(error).split())) from error
        if metadata.get("content") != _content(tensors, metadata.get("step", ""), metadata.get("log", "")):
            raise _DamagedError("its content has another digest than was written")
        return tensors, metadata


class Recording:
    """The log of a training, written row by row into the tracked run, and its resume points.

    Args:
        done: Number of steps that an interrupted run has taken.
        log: Log rows of these steps.
        recorder: Recorder of the tracked run.
        total: Number of steps of the whole training.
        keep: Function that writes a resume point of a step, where one is due.
        folder: Folder of the resume point.
        main: Whether this process writes files.
    """

    def __init__(
        self,
        done: int,
        log: list[dict[str, Any]],
        recorder: tracking.Recorder,
        total: int,
        keep: Callable[[int], None],
        folder: Path,
        main: bool,
    ) -> None:
        self.done, self.rows, self.total, self.keep = done, log, total, keep
        self._recorder, self._folder, self._main = recorder, folder, main

    def steps(self, name: str) -> Iterator[int]:
        """Iterate over the remaining steps, counted from 1, with a progress bar."""
        left = range(self.done + 1, self.total + 1)
        return track(left, name, len(left))

    def log(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Log the metrics of a step."""
        for metric, value in values.items():
            self.rows.append({"step": step, "split": split, "metric": metric, "value": value})
            self._recorder.metric(step, split, metric, value)

    def keep_batch(self, step: int, what: Mapping[str, Any]) -> Path:
        """Write what a step was made of beside the resume point, from which it can be replayed; return the file."""
        path = self._folder / f"step_{step}.json"
        if self._main:
            artifacts.write_json({"step": step, **what}, path)
        return path


@contextmanager
def recording(
    run: Run,
    settings: Optimisation,
    compute: Compute,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> Iterator[Recording]:
    """Continue from the resume point of an interrupted run; write log and weights when the loop has finished.

    The resume point is stored in ``work/{rule}/…`` under the digest of the run's settings, ``compute``, the number of
    processes and how they share, the rule's code and the inputs' bytes. It is deleted when the outputs are complete, so
    that a forced rerun trains again. The main process writes files; the others only count steps.

    Args:
        run: Training run to record.
        settings: Number of steps, and how often a resume point is written.
        compute: Device and threads, which the result depends on.
        parameters: Trained parameters by name.
        optimizer: Optimizer of these parameters.
        accelerator: Number of the processes, and which of them this is.

    Raises:
        ModelError: The processes found different resume points.
    """
    main = accelerator.is_main_process
    digested = {"name": run.name, "compute": compute.model_dump(), **run.described}
    if accelerator.num_processes > 1:
        digested["processes"] = [str(accelerator.distributed_type), accelerator.num_processes]
    work = artifacts.work_directory(run.rule, digested, run.inputs)
    point = _ResumePoint(work, main)
    done, log = point.load(dict(parameters), optimizer)
    if not equal_everywhere(accelerator, done):
        raise ModelError(f"{work}: the processes of {run} do not read the same resume point here; delete the folder")
    if done:
        logger.info("%s: resuming after step %d", run, done)

    def keep(step: int) -> None:
        if step % settings.save_every == 0:
            point.save(step, parameters, optimizer, log)

    with tracking.tracked(run.rule, run.name, run.described) if main else nullcontext(tracking.Recorder()) as recorder:
        yield Recording(done, log, recorder, settings.steps, keep, work, main)
        if main:
            artifacts.write(log, run.log, "training", run.rule, {"name": run.name})
            run.save()
            shutil.rmtree(work, ignore_errors=True)
