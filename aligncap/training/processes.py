"""One training in several processes: the script hands its job over, accelerate starts them, and each does its part.

What is handed over lies in ``work/processes/…`` until the job has succeeded: ``job.json``, from which each process
makes the same objects and calls the same function; ``launch.log``, all that is printed; and ``failed-N.json`` of
process N.

The processes end with the script, however that ends: they wait for a lock that it holds. A signal to the script's group
does not reach them, because `accelerate launch` puts each of them into a session of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from aligncap.config import Compute
from aligncap.errors import ConfigError, ProcessError
from aligncap.job import Given, line_of, log_to, reported
from aligncap.storage import MAKING, claim, storing, write_json

SHARED_BY = ("MULTI_GPU", "FSDP")  # values of accelerate's distributed_type that the training loop knows
# The first failure in torchrun's report: its process, and its exit code, which is negative after a signal.
REPORTED = re.compile(r"Root Cause.*?\brank\s*: (\d+).*?\bexitcode\s*: (-?\d+)", re.DOTALL)


def call(given: Given, function: Callable[..., None], *filled: Any) -> None:
    """Call a training function with objects of the rule, in as many processes as ``launch.processes`` says.

    Args:
        given: The rule's files and parameters.
        function: Function of a module.
        filled: Its arguments: what ``given.settings``, ``given.inputs`` and ``given.outputs`` gave.

    Raises:
        ConfigError: accelerate's file cannot be used.
        ProcessError: A process has failed by something that the user can mend, or by a signal.
        RuntimeError: A process has failed by a bug, which the notes of the error show.
    """
    if given.processes == 1:
        function(*filled)
        return
    file = Path(given.launch["accelerate"])
    check_file(file)
    folder = Path("work") / "processes" / given.log.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    job = {**given.handed(), "function": _name(function), "kinds": [_name(type(value)) for value in filled]}
    write_json(job, folder / "job.json")
    held = claim(folder / "job.json")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(file), "--gpu_ids", "all"]
    command += ["--num_processes", str(given.processes), "--num_machines", "1", "--main_process_port", "0"]
    command += ["-m", __name__ if __name__ != "__main__" else "aligncap.training.processes", str(folder / "job.json")]
    with storing(folder, MAKING):
        printed = (folder / "launch.log").open("w", encoding="utf-8")
    with printed:
        code = subprocess.run(command, stdout=printed, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise _failure(folder, code, given.processes)
    if held is not None:
        os.close(held)
    shutil.rmtree(folder, ignore_errors=True)


def check_file(path: Path) -> None:
    """Refuse a file of accelerate that would train otherwise than the configuration says.

    Raises:
        ConfigError: It cannot be read, or asks for what the training loop does not know.
    """
    try:
        told = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(f"launch.accelerate: {path}: no configuration of accelerate ({error})") from None
    kind, precision = told.get("distributed_type"), told.get("mixed_precision", "no")
    if kind not in SHARED_BY:
        raise ConfigError(
            f"launch.accelerate: {path}: distributed_type: {kind} is not known to the training loop; want MULTI_GPU "
            "(also on a CPU) or FSDP"
        )
    if kind == "FSDP" and int((told.get("fsdp_config") or {}).get("fsdp_version", 1)) != 2:
        raise ConfigError(f"launch.accelerate: {path}: fsdp_config.fsdp_version: want 2")
    if told.get("num_machines", 1) != 1:
        raise ConfigError(f"launch.accelerate: {path}: num_machines: {told['num_machines']}; a job runs on one machine")
    if precision not in ("no", False):
        raise ConfigError(
            f"launch.accelerate: {path}: mixed_precision: {precision}; write 'no', as compute.precision rules"
        )


def _name(thing: Any) -> str:
    return f"{thing.__module__}:{thing.__qualname__}"


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _failure(folder: Path, code: int, processes: int) -> Exception:
    """Return the error of a job whose first process to fail has told why, or was ended by a signal."""
    printed = (folder / "launch.log").read_text(encoding="utf-8", errors="replace")
    reported = REPORTED.search(printed)
    if reported and int(reported[2]) < 0:
        number = -int(reported[2])
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        return ProcessError(
            f"process {reported[1]} of {processes} was ended by {name}; a system that lacks memory does that; the same "
            f"command goes on from the last resume point ({folder / 'launch.log'})"
        )
    told = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("failed-*.json")]
    if not told:
        last = printed.strip().splitlines()[-1:] or ["nothing"]
        return ProcessError(f"`accelerate launch` ended with {code}; {folder / 'launch.log'} ends with: {last[0]}")
    first = min(told, key=lambda one: float(one["time"]))
    if first["line"]:
        return ProcessError(first["line"])
    error = RuntimeError(f"process {first['process']} of {processes} failed")
    error.add_note(first["trace"])
    return error


class _Named(list):
    """Values with names, as the lists that Snakemake gives a script."""

    def __init__(self, named: dict[str, Any]) -> None:
        super().__init__(named.values())
        self.__dict__.update(named)
        self.items, self.keys = named.items, named.keys


class _Handed:
    """What Snakemake gave the script, as far as a job needs it."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.rule, self.log = job["rule"], job["log"]
        self.input, self.output, self.params, self.wildcards = (
            _Named(job[part]) for part in ("input", "output", "params", "wildcards")
        )


def _end_with_the_script(path: Path) -> None:
    """End this process as soon as the script's process, which holds the file's lock, has ended."""
    descriptor = os.open(path, os.O_RDONLY)

    def wait() -> None:
        with suppress(OSError):  # a network file system may have no locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="end with the script", daemon=True).start()


def _take_part(path: Path, process: int) -> None:
    """Do this process's part of a job that was handed over; only the main process logs and tracks."""
    job = json.loads(path.read_text(encoding="utf-8"))
    smk = _Handed(job)
    if process == 0:
        log_to(Path(smk.log[0]), "a")
        with reported(smk) as given:
            _call(given, job)
    else:
        _call(Given(smk), job)


def _call(given: Given, job: dict[str, Any]) -> None:
    from accelerate import PartialState

    from aligncap.models.device import pick_device

    # Before a model is loaded: it makes this process's GPU the current one.
    PartialState(cpu=pick_device(Compute(**given.params["compute"])).type == "cpu")
    settings, inputs, outputs = map(_named, job["kinds"])
    _named(job["function"])(given.settings(settings), given.inputs(inputs), given.outputs(outputs))
    PartialState().destroy_process_group()


def main() -> None:
    """Run one process of a job; the argument is its file, and ``RANK`` says which process this is."""
    path, process = Path(sys.argv[1]), int(os.environ["RANK"])
    _end_with_the_script(path)
    try:
        _take_part(path, process)
    except BaseException as error:
        trace = "".join(traceback.format_exception(error))
        failed = {"process": process, "time": time.time(), "line": line_of(error), "trace": trace}
        write_json(failed, path.parent / f"failed-{process}.json")
        os._exit(1)  # others may be waiting for this process, which must not wait for them at its end


if __name__ == "__main__":
    main()
