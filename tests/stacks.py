"""The stacks of overlays over config.yaml that people run: what tests of shipped configs try."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = [path.stem for path in sorted((ROOT / "experiments").glob("*.yaml"))]
Stack = tuple[str, ...]  # names of overlays, each merged over the one before; none: config.yaml alone


def _of_makefile() -> list[Stack]:
    """What its targets run, as `make -n` tells."""
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    told = subprocess.run(["make", "-n", *targets], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    runs = [line for line in told.splitlines() if "tools/run_pipeline.py" in line]
    return [tuple(re.findall(r"experiments/(\S+)\.yaml", line)) for line in runs]


RUN = _of_makefile()
# An overlay that no target names is run by itself: `make run CONFIG=…`.
STACKS = list(dict.fromkeys([*RUN, *((name,) for name in OVERLAYS if not any(name in stack for stack in RUN))]))
NAMES = ["+".join(stack) or "config" for stack in STACKS]


def configfiles(stack: Stack) -> list[str]:
    """The files of a stack over config.yaml, relative to the project root."""
    return [f"experiments/{name}.yaml" for name in stack]
