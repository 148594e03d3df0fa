"""Devices of their own for each job, on a machine whose `nvidia-smi` tells of three GPUs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aligncap import devices

TAKE = """
import os, sys, time
from aligncap.devices import VISIBLE, take_devices
from aligncap.errors import AlignCapError

try:
    take_devices(int(sys.argv[1]))
except AlignCapError as error:
    sys.exit(f"refused: {error}")
seen = os.environ.get(VISIBLE, "nothing")
for card in seen.split(","):
    os.mkdir(f"in-use-{card}")  # fails where another job has it
print(seen, flush=True)
time.sleep(float(sys.argv[2]))
for card in seen.split(","):
    os.rmdir(f"in-use-{card}")
"""
JOB = """
import os, sys
sys.path.insert(0, sys.argv[1])
from job_parts import Named
from types import SimpleNamespace
from aligncap.job import job

launch = {"processes": int(sys.argv[3]), "accelerate": "x"}
smk = SimpleNamespace(
    rule="warm_start", log=["a.log"], wildcards=Named(), output=Named(), resources=Named(gpu=int(sys.argv[2])),
    params=Named(compute={"threads": 1}, launch=launch),
)
with job(smk):
    print(os.environ.get("CUDA_VISIBLE_DEVICES", "nothing"))
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with these GPUs, and a folder of temporary files of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def with_cards(*names: str) -> dict[str, str]:
        folder = tmp_path / f"bin-{'-'.join(names)}"
        folder.mkdir(exist_ok=True)
        lines = "".join(f"{number}, {name}\\n" for number, name in enumerate(names))
        (folder / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{lines}'\n")
        (folder / "nvidia-smi").chmod(0o755)
        return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    return with_cards


def job(environment: dict[str, str], wanted: int = 1, seconds: float = 0.0) -> subprocess.Popen:
    command = [sys.executable, "-c", TAKE, str(wanted), str(seconds)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def seen_by(process: subprocess.Popen) -> list[str]:
    told, problem = process.communicate(timeout=60)
    assert process.returncode == 0, problem
    return told.strip().split(",")


def test_eight_jobs_share_three_gpus_and_never_one_of_them(machine):
    environment = machine("GPU-a", "GPU-b", "GPU-c")
    wanted = (1, 1, 2, 1, 1, 2, 1, 1)
    jobs = [job(environment, number, 0.3) for number in wanted]
    seen = [seen_by(process) for process in jobs]
    assert [len(cards) for cards in seen] == list(wanted)
    assert {card for cards in seen for card in cards} == {"0", "1", "2"}


def test_a_job_of_a_cluster_keeps_within_the_cards_that_it_was_given(machine):
    environment = {**machine("GPU-a", "GPU-b", "GPU-c"), "CUDA_VISIBLE_DEVICES": "2,1"}
    assert [seen_by(process) for process in (job(environment, 2), job(environment))] == [["2", "1"], ["2"]]
    process = job(environment, 3)
    refused = process.communicate(timeout=60)[1]
    assert process.returncode and "is to have 3 GPUs, but sees 2 here (CUDA_VISIBLE_DEVICES: 2,1)" in refused


def test_one_card_has_one_lock_whatever_it_is_called(machine):
    holder = job({**machine("GPU-a", "GPU-b"), "CUDA_VISIBLE_DEVICES": "GPU-b"}, seconds=60)
    assert holder.stdout.readline() == "GPU-b\n"
    # A cluster that hides all cards but a job's own numbers them from 0.
    assert seen_by(job(machine("GPU-a"))) == ["0"]
    waiting = job(machine("GPU-b"))
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=2)
    holder.kill()
    assert seen_by(waiting) == ["0"], "the lock of a job that is killed is free at once"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_where_no_gpu_is_to_be_seen_none_is_taken(machine, hidden):
    environment = {**machine("GPU-a"), "CUDA_VISIBLE_DEVICES": hidden}
    for where in (environment, machine()):
        assert seen_by(job(where)) == [where.get("CUDA_VISIBLE_DEVICES", "nothing")]


@pytest.mark.parametrize(
    ("granted", "processes", "want"), [(1, 1, "0"), (2, 2, "0,1"), (1, 2, "0,1"), (0, 1, "nothing")]
)
def test_a_job_takes_as_many_as_it_has_processes_if_its_rule_uses_any(machine, granted, processes, want):
    parts = Path(__file__).with_name("training")
    command = [sys.executable, "-c", JOB, str(parts), str(granted), str(processes)]
    done = subprocess.run(command, env=machine("GPU-a", "GPU-b"), text=True, capture_output=True, check=True)
    assert done.stdout.strip() == want, "Snakemake lowers `gpu=2` to what --resources says"


def test_a_gpu_is_known_by_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(devices, "DRIVERS", (str(tmp_path / "kfd"), str(driver)))
    assert not devices.gpu_here()
    driver.touch()
    assert devices.gpu_here()
