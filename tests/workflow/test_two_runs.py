"""Two runs of the pipeline on the same files: the second is refused in one line, and the first ends undisturbed."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from killing import digests, workers
from snakemake_project import SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

MADE = "results/smoke/corpora/synthetic_de/audio.parquet"
PLAIN = [sys.executable, "-m", "snakemake", "-j", "2", *SMOKE, "--", MADE]
ENTRY = [sys.executable, "tools/run_pipeline.py", *SMOKE, "--", MADE]


@contextlib.contextmanager
def at_work(project: Project, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A run whose workers stand still for as long as this lasts."""
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (held := workers(process)):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    for worker in held:
        worker.suspend()
    try:
        yield process
    finally:
        for worker in held:
            worker.resume()


def ended(project: Project, process: subprocess.Popen[str]) -> dict[str, str]:
    text, _ = process.communicate()
    assert process.returncode == 0, text
    assert not list((project.folder / "results").rglob(".*.tmp"))
    return digests(project)


@pytest.mark.parametrize(("first", "second"), [(PLAIN, ENTRY), (ENTRY, PLAIN)], ids=["plain first", "entry first"])
def test_a_second_run_of_a_checkout_is_refused(
    project: Project, first: list[str], second: list[str], smoke: Project
) -> None:
    other = [*second[:-1], "results/smoke/run.json"]  # which the first does not lock
    with at_work(project, first) as process:
        text = project.execute(other, ok=False)
    told = [line for line in text.splitlines() if "another run of this checkout is at work" in line]
    assert len(told) == 1 and "Traceback" not in text
    made = ended(project, process)
    assert MADE in made and made.items() <= digests(smoke).items()
    project.execute(other)


@pytest.mark.parametrize("second", [PLAIN, ENTRY], ids=["plain", "entry"])
def test_a_run_of_another_checkout_on_the_same_results_is_refused(
    project: Project, second: list[str], tmp_path: Path, smoke: Project
) -> None:
    other = project.copy(tmp_path / "other")
    shared = tmp_path / "shared"
    shared.mkdir()
    for checkout in (project, other):
        (checkout.folder / "results").symlink_to(shared)
    with at_work(project, ENTRY) as process:
        text = other.execute(second, ok=False)
    assert text.count(f"a run of another checkout is at work in {shared}/smoke") == 1 and "Traceback" not in text
    made = ended(project, process)
    assert made and made.items() <= digests(smoke).items()
    other.execute(second)
    assert digests(other) == made
