"""The stacks of overlays over config.yaml that people run: what tests of shipped configs try."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "experiments").glob("*.yaml"))
OVERLAYS = [path.stem for path in FILES]
Stack = tuple[str, ...]  # names of overlays, each merged over the one before; none: config.yaml alone


def _of_makefile() -> list[str]:
    """Commands of its targets that run an experiment, as `make -n` tells."""
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    told = subprocess.run(["make", "-n", *targets], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    return [line for line in told.splitlines() if "tools/run_pipeline.py" in line]


def _of_overlays() -> list[str]:
    """Commands that the overlays' first lines name."""
    pattern = re.compile(r"^# (?:make run CONFIG=|snakemake ).*", re.MULTILINE)
    return [line for path in FILES for line in pattern.findall(path.read_text(encoding="utf-8"))]


STACKS: list[Stack] = list(
    dict.fromkeys(tuple(re.findall(r"experiments/(\S+)\.yaml", line)) for line in [*_of_makefile(), *_of_overlays()])
)
NAMES = ["+".join(stack) or "config" for stack in STACKS]


def configfiles(stack: Stack) -> list[str]:
    """The files of a stack over config.yaml, relative to the project root."""
    return [f"experiments/{name}.yaml" for name in stack]
