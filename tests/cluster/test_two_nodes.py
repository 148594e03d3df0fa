"""Two nodes at work on the same files: an artifact is whole at any time, and a second run is refused."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from killing import killed, started
from slurm_jobs import ENTRY, TRAINED, closed, jobs_of, until, without
from snakemake_project import ROOT, Project

from aligncap import artifacts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

WRITE = """
import sys, time
from aligncap import artifacts
rows = [{"step": step, "split": "train", "metric": "loss", "value": float(sys.argv[2])} for step in range(2000)]
until = time.monotonic() + 8
while time.monotonic() < until:
    artifacts.write(rows, sys.argv[1], "training", "test")
"""


def on(node: str, folder: Path, *command: str) -> subprocess.Popen[str]:
    """A command on a node; its partition is `main` or `other`."""
    return subprocess.Popen(
        ["srun", "--ntasks=1", f"--partition={node}", "--time=5", f"--chdir={folder}", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_two_nodes_write_at_once_is_always_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / "a.parquet"
    command = (sys.executable, "-c", WRITE, str(path))
    writers = [on("main", tmp_path, *command, "0"), on("other", tmp_path, *command, "1")]
    until(path.is_file, 60)
    seen, reads = set(), 0
    while any(writer.poll() is None for writer in writers):
        (value,) = set(artifacts.read(path, "training").value)  # which refuses a file that is half of two
        seen.add(value)
        reads += 1
        time.sleep(0.01)
    assert [(writer.wait(), writer.communicate()[0]) for writer in writers] == [(0, "")] * 2
    assert seen == {0.0, 1.0} and reads > 50
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


def test_a_second_run_from_another_node_is_refused(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    without(finished, "checkpoints/kd")
    for name, value in finished.environment.items():
        monkeypatch.setenv(name, value)
    with closed("main"):
        process = started(finished, [*ENTRY, "--", TRAINED])
        until(lambda: jobs_of(finished), 300, process)
        told, _ = on("other", finished.folder, *ENTRY).communicate()
        assert told.startswith("another run of this checkout is at work") and "Traceback" not in told
        assert len(jobs_of(finished)) == 1
        killed(process)
