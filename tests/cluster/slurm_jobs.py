"""Runs of the pipeline on SLURM, and what SLURM itself says of their jobs."""

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from snakemake_project import ROOT, SMOKE, Project

Found = TypeVar("Found")
# What differs from site to site: a node has two cores here, and SLURM may be asked as often as one likes.
PROFILE = ("--workflow-profile", "profiles/slurm", "--cores", "2", "--slurm-init-seconds-before-status-checks", "1")
# `auto`: model rules ask for a GPU. Torch finds none here, so that they compute on the CPU all the same.
RUN = (*SMOKE, "--config", 'compute={"device": "auto"}')
ON_ONE_MACHINE = ("-j", "2", "--resources", "gpu=2", "java=1", *RUN)
# The entry, which clears Snakemake's own lock after a kill.
ENTRY = [sys.executable, "tools/run_pipeline.py", *PROFILE, *RUN]
TRAINED = "results/smoke/checkpoints/kd/system.json"
RESUME = "work/train_alignment/*/resume.safetensors"


@dataclass(frozen=True)
class SlurmJob:
    """One job as `scontrol show job` tells it."""

    number: str
    state: str
    rule: str  # with its wildcards
    minutes: int
    memory: int  # MB
    gpus: int
    node: str


def _minutes(limit: str) -> int:
    days, _, clock = limit.rpartition("-")
    hours, minutes, _ = clock.split(":")
    return (int(days or 0) * 24 + int(hours)) * 60 + int(minutes)


def _memory(text: str) -> int:
    return round(float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]])


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def jobs_of(project: Project) -> list[SlurmJob]:
    """All jobs of a project's folder, the oldest first, the finished ones too."""
    told = slurm("scontrol", "--oneliner", "show", "job")
    found = []
    for line in told.splitlines():
        fields = dict(re.findall(r"(\S+?)=(\S*)", line))
        if fields.get("WorkDir") != str(project.folder) or "Comment" not in fields:  # another's, or one of `srun`
            continue
        gpus = re.search(r"gpu:(\d+)", fields.get("TresPerJob", ""))
        found.append(
            SlurmJob(
                fields["JobId"],
                fields["JobState"],
                fields["Comment"].removeprefix("rule_"),
                _minutes(fields["TimeLimit"]),
                _memory(fields["MinMemoryNode"]),
                int(gpus[1]) if gpus else 0,
                fields.get("BatchHost", ""),
            )
        )
    return sorted(found, key=lambda job: int(job.number))


def cancel_all() -> None:
    """End all jobs, and wait until their processes are gone."""
    if slurm("squeue", "--noheader").strip():
        slurm("scancel", "--state=PENDING", "--partition=main,other")
        slurm("scancel", "--partition=main,other", "--state=RUNNING")
    until(lambda: not slurm("squeue", "--noheader").strip(), 60)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Adds a line with its seconds to build/cluster.tsv."""
    began = time.monotonic()
    yield
    with (ROOT / "build" / "cluster.tsv").open("a", encoding="utf-8") as file:
        file.write(f"smoke, {what}\t{time.monotonic() - began:.0f} s\n")


@contextlib.contextmanager
def closed(partition: str) -> Iterator[None]:
    """Meanwhile the partition takes jobs and starts none."""
    slurm("scontrol", "update", f"PartitionName={partition}", "State=DOWN")
    try:
        yield
    finally:
        slurm("scontrol", "update", f"PartitionName={partition}", "State=UP")


def until(found: Callable[[], Found], seconds: float, process: subprocess.Popen | None = None) -> Found:
    """What this finds, once it is something; meanwhile the process has to live."""
    deadline = time.monotonic() + seconds
    while not (what := found()):
        assert process is None or process.poll() is None, "the run has ended before"
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.05)
    return what


def without(project: Project, *folders: str) -> None:
    """Take these folders of the results away, so that what is in them is made again."""
    for folder in folders:
        shutil.rmtree(project.folder / "results/smoke" / folder)


def log_of(project: Project, rule: str, job: SlurmJob) -> str:
    """What SLURM has written of a job that failed; that of others is removed by the plugin."""
    (file,) = (project.folder / ".snakemake/slurm_logs" / f"rule_{rule}").rglob(f"{job.number}.log")
    return file.read_text(encoding="utf-8")


def resume_points(project: Project) -> Sequence[Path]:
    return list(project.folder.glob(RESUME))
