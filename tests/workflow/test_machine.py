"""Faults of the machine under a whole run: a full disk, results that can only be read, a worker killed for memory."""

import contextlib
import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from disks import mounted, read_only
from killing import ENTRY, digests, scripts, workers
from snakemake_project import Project

from aligncap.job import LESS_MEMORY

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

CLIPS = "results/smoke/corpora/synthetic_de/audio.parquet"
TRAINED = "results/smoke/checkpoints/kd/system.json"
MIB = 2**20
GROUP = Path("/sys/fs/cgroup/memory/aligncap-test")


@pytest.fixture
def disk(project: Project) -> Iterator[Path]:
    """A disk of its own for the results of the project."""
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    with mounted(project.folder / "results", MIB) as made:
        yield made


def test_a_run_on_a_full_disk_says_so_and_goes_on_with_space(project: Project, disk: Path, smoke: Project) -> None:
    text = project.execute([*ENTRY, "--", CLIPS], ok=False)
    told = [line for line in text.splitlines() if "the disk is full; free some space on it, and run the same" in line]
    assert len(told) == 1 and "results/smoke/corpora/synthetic_de/wav/" in told[0], text
    assert "Traceback" not in text and len(text.splitlines()) < 20, text
    assert not list(disk.rglob(".*.tmp")) and not (project.folder / CLIPS).exists()
    subprocess.run(["mount", "-o", f"remount,size={64 * MIB}", disk], check=True)
    project.execute([*ENTRY, "--", CLIPS])
    made = digests(project)
    assert CLIPS in made and made.items() <= digests(smoke).items()


def test_results_that_can_only_be_read_are_told_at_the_start(project: Project, disk: Path) -> None:
    (disk / "smoke").mkdir()
    with read_only(disk, 0):
        text = project.execute([*ENTRY, "--", CLIPS], ok=False)
    assert re.fullmatch(r"results/smoke: cannot be stored: the file system is mounted read-only; .* again\n", text)


def by_a_signal(worker: psutil.Process) -> None:
    worker.kill()


def by_the_kernel(worker: psutil.Process) -> None:
    """The worker moves into a control group that has no memory left."""
    try:
        GROUP.mkdir(exist_ok=True)
        (GROUP / "memory.limit_in_bytes").write_text(str(MIB))
        (GROUP / "cgroup.procs").write_text(str(worker.pid))
    except OSError as error:
        pytest.skip(f"no control group of memory can be made here: {error}")


def in_training(project: Project, process: subprocess.Popen) -> psutil.Process:
    """The worker of train_alignment, once it has a resume point."""
    while not list(project.folder.glob("work/train_alignment/*/resume.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    (worker,) = workers(process) if process.args[1] == ENTRY[1] else [psutil.Process(process.pid)]
    return worker


def without_training(project: Project) -> None:
    for path in (project.folder / TRAINED).parent.iterdir():
        path.unlink()


@pytest.mark.parametrize("end", [by_a_signal, by_the_kernel])
def test_a_worker_that_is_killed_is_told_with_what_helps(
    smoke: Project, smoke_copy: Project, end: Callable[[psutil.Process], None]
) -> None:
    without_training(smoke_copy)
    command = [*ENTRY, "--", TRAINED]
    process = subprocess.Popen(
        command, cwd=smoke_copy.folder, env=smoke_copy.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        end(in_training(smoke_copy, process))
    finally:
        text, _ = process.communicate()
        with contextlib.suppress(OSError):
            GROUP.rmdir()
    assert process.returncode != 0
    told = [line for line in text.splitlines() if line.startswith("FAILED")]
    assert len(told) == 1 and "train_alignment (system=kd)" in told[0], text
    assert f"ended by SIGKILL (out of memory? {LESS_MEMORY})" in told[0], text
    assert "Traceback" not in text and "to continue: " in text.splitlines()[-1]
    smoke_copy.execute(command)
    resumed = (smoke_copy.folder / "logs/smoke/train_alignment/kd.log").read_text()
    assert "resuming after step" in resumed
    assert digests(smoke_copy) == digests(smoke)


def test_a_worker_that_is_refused_memory_says_so_and_goes_on(smoke: Project, smoke_copy: Project) -> None:
    """Its address space may not grow any more in the middle of the training."""
    script = scripts(smoke)["train_alignment"]
    log = smoke_copy.folder / "logs/smoke/train_alignment" / f"{Path(script.output[0]).parent.name}.log"
    process = script.start(smoke_copy)
    worker = in_training(smoke_copy, process)
    with contextlib.suppress(psutil.Error):
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (worker.memory_info().vms + MIB,) * 2)
    assert process.wait() != 0, "the training needs no more memory"
    (told,) = [line for line in log.read_text().splitlines() if "ERROR" in line]
    assert "out of memory (" in told and told.endswith(LESS_MEMORY)
    assert script.start(smoke_copy).wait() == 0
    assert "resuming after step" in log.read_text()
    assert digests(smoke_copy) == digests(smoke)
