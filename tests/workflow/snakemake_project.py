"""A copy of the project to run Snakemake in, and its dry runs as data."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "rules"))
import code_digest  # noqa: E402

KEPT = Path(".snakemake/code_digests.json")
PARTS = (
    "Snakefile",
    "config.yaml",
    "report",
    "rules",
    "workflow_scripts",
    "profiles",
    "envs",
    "experiments",
    "tools",
    "aligncap",
)
SMOKE = ("--configfile", "experiments/smoke.yaml")


@dataclass(frozen=True)
class Job:
    """One job of a dry run."""

    rule: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    wildcards: dict[str, str]
    reason: str


@dataclass(frozen=True)
class Project:
    """A copy of the checkout; its package is the one that scripts and digests see."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "-j", "8", *arguments]

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Run Snakemake; its output."""
        return self.execute(self.command(*arguments), ok)

    def execute(self, command: list[str], ok: bool = True) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert (done.returncode == 0) is ok, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout

    def plan(self, *arguments: str) -> list[Job]:
        """The jobs of a dry run, `all` left out."""
        text = self.run("-n", *arguments)
        jobs = [job for job in map(_job, re.split(r"\n(?=\[\w{3} \w{3} )", text)) if job]
        stated = re.search(r"^total +(\d+)$", text, re.MULTILINE)
        assert len(jobs) == (int(stated[1]) if stated else 0), "the dry run prints other jobs than it counts"
        return [job for job in jobs if job.rule != "all"]

    def copy(self, folder: Path) -> "Project":
        # Locks come and go while a test of another worker plans a run there.
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("locks"))
        return Project(folder)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")


def _job(block: str) -> Job | None:
    head = re.search(r"^(?:local)?rule (\w+):$", block, re.MULTILINE)
    if head is None:
        return None
    fields = dict(re.findall(r"^    (\w+): (.*)$", block, re.MULTILINE))
    files = {name: tuple(fields[name].split(", ")) if name in fields else () for name in ("input", "output")}
    wildcards = dict(pair.split("=", 1) for pair in fields.get("wildcards", "").split(", ") if pair)
    return Job(head[1], files["input"], files["output"], wildcards, fields.get("reason", ""))


def new_project(folder: Path) -> Project:
    folder.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy2(source, folder / part)
    code_digest.code_digests(ROOT, ROOT / KEPT)
    (folder / KEPT).parent.mkdir()
    shutil.copy2(ROOT / KEPT, folder / KEPT)  # no run computes again what they all would
    return Project(folder)
