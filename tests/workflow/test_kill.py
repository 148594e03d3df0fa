"""`kill -9` in the middle of the work, a restart through the entry, and the same bytes as without it."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snakemake_project import SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

ENTRY = [sys.executable, "tools/run_pipeline.py", *SMOKE]
# Where to strike: a file that appears while the stage is at work.
MOMENTS = {
    "train_alignment": "work/train_alignment/*/*",
    "candidates": "logs/smoke/candidates/kd.log",
    "train_preference": "work/train_preference/*/*",
}
# Everything from alignment on is made again.
STAGES = ("checkpoints", "candidates", "judge_scores", "preference_pairs", "reference_logps")
STAGES += ("captions", "evaluation", "tables")


def digests(project: Project) -> dict[str, str]:
    """sha256 of every artifact that has to come out the same."""
    results = project.folder / "results" / "smoke"
    files = [
        p for folder in ("checkpoints", "captions", "candidates", "tables") for p in (results / folder).rglob("*.*")
    ]
    return {str(p.relative_to(results)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}


def killed_at(project: Project, pattern: str) -> None:
    """Start the entry and kill it with all its children, nine times hard, once ``pattern`` exists."""
    process = subprocess.Popen(
        ENTRY, cwd=project.folder, env=project.environment, start_new_session=True, stdout=-3, stderr=-3
    )
    deadline = time.monotonic() + 900
    while not list(project.folder.glob(pattern)):
        assert process.poll() is None, f"the run ended before {pattern} appeared"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_run_goes_on_to_the_same_bytes(smoke: Project, smoke_copy: Project) -> None:
    expected = digests(smoke)
    assert len(expected) >= 3 * 4
    results = smoke_copy.folder / "results" / "smoke"
    for made in STAGES:
        shutil.rmtree(results / made)
    (results / "report.html").unlink()
    for made in ("work", "logs"):
        shutil.rmtree(smoke_copy.folder / made, ignore_errors=True)
    for pattern in MOMENTS.values():
        killed_at(smoke_copy, pattern)
        assert not [path for path in results.rglob("*.parquet") if path.stat().st_size == 0]
    text = smoke_copy.execute(ENTRY)
    assert "zero-shot" in text and "report: results/smoke/report.html" in text
    assert digests(smoke_copy) == expected
    assert text.count("\n") <= 120, "what a person has to read"
    assert "nothing to do" in smoke_copy.execute(ENTRY)
    assert not [path for path in results.rglob(".*.tmp")]


def held(path: Path, how: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, how)
    return descriptor


@pytest.mark.parametrize(
    ("lock", "how", "message"),
    [
        (".snakemake/aligncap.lock", fcntl.LOCK_EX, "another run of this checkout is at work"),
        ("work/jobs.lock", fcntl.LOCK_SH, "a job of an earlier run"),
    ],
)
def test_a_second_run_is_refused_in_one_line(project: Project, lock: str, how: int, message: str) -> None:
    descriptor = held(project.folder / lock, how)
    text = project.execute([*ENTRY, "-n"], ok=False)
    os.close(descriptor)
    assert text.startswith(message) and text.count("\n") == 1


def test_a_lock_that_a_killed_snakemake_left_is_cleared(project: Project) -> None:
    locks = project.folder / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/smoke/run.json\n")
    target = "results/smoke/run.json"
    assert "LockException" in project.run(*SMOKE, "--", target, ok=False)
    project.execute([*ENTRY, "--", target])
    assert (project.folder / target).is_file()


def test_a_config_error_is_one_line(project: Project) -> None:
    text = project.execute([*ENTRY, "--config", 'preference={"bta": 1}'], ok=False)
    assert text == "--config: preference.bta: unknown key (did you mean beta?)\n"
