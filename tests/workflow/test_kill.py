"""`kill -9` in the middle of the work, a restart through the entry, and the same bytes as without it."""

import fcntl
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from amount import LONG, amount
from snakemake_project import SMOKE, Job, Project

from aligncap.artifacts.files import verify

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


def at_work(process: subprocess.Popen) -> set[str]:
    """The rules whose scripts run now; Snakemake names a script's copy after it."""
    rules = set()
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            scripts = [part for part in child.cmdline() if ".snakemake/scripts/" in part]
        except psutil.Error:
            continue
        rules |= {Path(script).name.split(".")[1] for script in scripts}
    return rules


def whole(project: Project) -> None:
    """Every artifact that is there can be read; a run that was killed leaves old ones, new ones, or none."""
    for path in (project.folder / "results" / "smoke").rglob("*.parquet"):
        if not path.name.startswith("."):
            verify(path)


def started(project: Project, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*ENTRY, *arguments],
        cwd=project.folder,
        env=project.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_in(project: Project, job: Job, seconds: float) -> bool:
    """Make a job's files again and kill the run so long after its script began; False where it ended before that."""
    for path in job.output:
        (project.folder / path).unlink(missing_ok=True)
    process = started(project, "--", job.output[0])
    while process.poll() is None and job.rule not in at_work(process):
        time.sleep(0.01)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


SAMPLE = ("preference_pairs",)


def test_kills_in_every_rule(smoke: Project, smoke_copy: Project) -> None:
    jobs = {job.rule: job for job in smoke_copy.plan(*SMOKE, "--forceall") if job.output}
    assert len(jobs) > 40
    generator = random.Random(0)
    for job in jobs.values() if LONG else [jobs[rule] for rule in SAMPLE]:
        want = {path: hashlib.sha256((smoke.folder / path).read_bytes()).hexdigest() for path in job.output}
        for _ in range(amount(1, 3)):
            killed_in(smoke_copy, job, generator.uniform(0, 3))
            whole(smoke_copy)
        smoke_copy.execute([*ENTRY, "--", job.output[0]])
        left = {path: hashlib.sha256((smoke_copy.folder / path).read_bytes()).hexdigest() for path in job.output}
        timed = {path for path in want if path.endswith((".html", "run.json", ".tsv"))}  # these name the machine's time
        assert {p: d for p, d in left.items() if p not in timed} == {p: d for p, d in want.items() if p not in timed}


def test_kills_at_random_lose_nothing(smoke: Project, smoke_copy: Project) -> None:
    expected = digests(smoke)
    results = smoke_copy.folder / "results" / "smoke"
    generator = random.Random(1)
    kills, ended = 0, True
    while kills < amount(2, 200):
        if ended:
            for made in STAGES:
                shutil.rmtree(results / made, ignore_errors=True)
        process = started(smoke_copy)
        try:
            process.wait(generator.uniform(3, 25))
            ended = True
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills, ended = kills + 1, False
        whole(smoke_copy)
    smoke_copy.execute(ENTRY)
    assert digests(smoke_copy) == expected


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
