"""Two runs of the pipeline on the same files: the second is refused in one line, and the first ends undisturbed."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from killing import digests, workers
from snakemake_project import SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

MADE = "results/smoke/corpora/synthetic_de/audio.parquet"
PLAIN = [sys.executable, "-m", "snakemake", "-j", "2", *SMOKE, "--", MADE]
ENTRY = [sys.executable, "tools/run_pipeline.py", *SMOKE, "--", MADE]


def at_work(project: Project, command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a run and come back when a worker of it is at work."""
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not workers(process):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    return process


def ended(project: Project, process: subprocess.Popen[str]) -> dict[str, str]:
    text, _ = process.communicate()
    assert process.returncode == 0, text
    assert not list((project.folder / "results").rglob(".*.tmp"))
    return digests(project)


@pytest.mark.parametrize(("first", "second"), [(PLAIN, ENTRY), (ENTRY, PLAIN)], ids=["plain first", "entry first"])
def test_a_second_run_of_a_checkout_is_refused(
    project: Project, first: list[str], second: list[str], smoke: Project
) -> None:
    process = at_work(project, first)
    text = project.execute([*second[:-1], "results/smoke/run.json"], ok=False)  # a target that the first does not lock
    told = [line for line in text.splitlines() if "another run of this checkout is at work" in line]
    assert len(told) == 1 and "Traceback" not in text
    made = ended(project, process)
    assert MADE in made and made.items() <= digests(smoke).items()
    project.execute([*second[:-1], "results/smoke/run.json"])


@pytest.mark.parametrize("second", [PLAIN, ENTRY], ids=["plain", "entry"])
def test_a_run_of_another_checkout_on_the_same_results_is_refused(
    project: Project, second: list[str], tmp_path: Path, smoke: Project
) -> None:
    other = project.copy(tmp_path / "other")
    shared = tmp_path / "shared"
    shared.mkdir()
    for checkout in (project, other):
        (checkout.folder / "results").symlink_to(shared)
    process = at_work(project, ENTRY)
    text = other.execute(second, ok=False)
    assert text.count(f"a run of another checkout is at work in {shared}/smoke") == 1 and "Traceback" not in text
    made = ended(project, process)
    assert made and made.items() <= digests(smoke).items()
    assert ENTRY[-1] in other.execute([*PLAIN[:-1], "-n", MADE]) or "Nothing to be done" in other.execute(PLAIN)
