"""Kills of a pipeline at work: of the whole run, of one worker, and of a rule's script that is started by itself."""

import ast
import contextlib
import hashlib
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from snakemake_project import SMOKE, Project

from aligncap.artifacts.files import verify
from aligncap.errors import ArtifactError

ENTRY = [sys.executable, "tools/run_pipeline.py", *SMOKE]
RESULTS = "results/smoke"
# What names times, machines or folders.
TIMED = tuple(f"{RESULTS}/{name}" for name in ("benchmarks/", "run.json", "report.html", "metrics.json"))


def digests(project: Project, files: Sequence[str] | None = None) -> dict[str, str]:
    """SHA-256 of these files of the project, by default of all that have to come out the same."""
    paths = (project.folder / RESULTS).rglob("*") if files is None else map(project.folder.joinpath, files)
    found = {path.relative_to(project.folder).as_posix(): path for path in paths if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(found.items())
        if not name.startswith(TIMED) and not path.name.startswith(".")
    }


def whole(project: Project) -> None:
    """Every artifact that is there can be read; a run that was killed leaves old ones, new ones, or none."""
    for path in (project.folder / RESULTS).rglob("*.parquet"):
        if path.name.startswith("."):
            continue
        try:
            verify(path)
        except ArtifactError:
            if path.exists():  # else a run that is at work has taken it away, to make it again
                raise


def started(project: Project, command: Sequence[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed(process: subprocess.Popen) -> None:
    """Kill a process and all its children, nine times hard."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The scripts of rules that run below a process."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                if ".snakemake/scripts/" in "".join(child.cmdline()[1:2]):
                    found.append(child)
    return found


def worker_killed(process: subprocess.Popen, generator: random.Random) -> bool:
    """Kill one worker of a run at a random moment of its life; False where the run has ended before."""
    while process.poll() is None:
        if not workers(process):
            time.sleep(0.02)
            continue
        time.sleep(generator.uniform(0, 4))
        alive = workers(process)
        if alive:
            try:
                generator.choice(alive).kill()
                return True
            except psutil.NoSuchProcess:
                continue
    return False


@dataclass(frozen=True)
class Script:
    """The script of a rule as Snakemake has started it in the smoke run, which kept it: see the fixture `smoke`."""

    path: Path
    rule: str
    output: tuple[str, ...]

    def start(self, project: Project) -> subprocess.Popen:
        """Start it in a copy of the project, as Snakemake does for a job: without what it made before."""
        for path in self.output:
            (project.folder / path).unlink(missing_ok=True)
        return started(project, [sys.executable, str(self.path)])

    def killed(self, project: Project, share: float, seconds: float) -> None:
        """Kill it after a share of the seconds that it takes; a bound that turns out too long is lowered."""
        while True:
            process = self.start(project)
            try:
                process.wait(share * seconds)
                assert process.returncode == 0, f"{self.rule} failed by itself"
                seconds *= 0.7
            except subprocess.TimeoutExpired:
                killed(process)
                return


def seconds(project: Project, rule: str) -> float:
    """What the quickest job of a rule took."""
    files = (project.folder / RESULTS / "benchmarks" / rule).rglob("*.tsv")
    return max(1.0, min((float(path.read_text().splitlines()[1].split("\t")[0]) for path in files), default=5.0))


def scripts(project: Project) -> dict[str, Script]:
    """One script of each rule, in the order in which they were started."""
    found = {}
    for path in sorted((project.folder / ".snakemake" / "scripts").glob("*.py"), key=lambda p: p.stat().st_mtime_ns):
        (pickled,) = (
            node.args[0].value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pickle.loads"
        )
        job = pickle.loads(pickled)
        found.setdefault(job.rule, Script(path, job.rule, tuple(job.output)))
    return found
