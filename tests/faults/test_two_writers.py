"""Two processes on the same files: locks that die with their holder, and artifacts that are never half of one."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from amount import amount

from aligncap import artifacts
from aligncap.errors import RunningError, StorageError
from aligncap.job import HELD_VARIABLE, held_run, hold_run

ROOT = Path(__file__).resolve().parents[2]
TRIES = amount(60, 1000)
HOLD = """
import sys
from pathlib import Path
from aligncap.job import hold_run
held = hold_run(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run at work in the checkout `a`, whose results are `shared`."""
    for name in ("a", "b", "shared"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "results").symlink_to(tmp_path / "shared")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, "results/smoke"],
        cwd=tmp_path / "a",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.communicate()


@pytest.mark.parametrize(
    ("checkout", "told"), [("a", "another run of this checkout"), ("b", "a run of another checkout is at work in ")]
)
def test_a_second_run_is_refused_until_the_first_has_gone(
    holder: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path / checkout)
    with pytest.raises(RunningError, match=told):
        hold_run(Path("results/smoke"))
    for descriptor in hold_run(Path("results/other")) if checkout == "b" else ():
        os.close(descriptor)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    for descriptor in hold_run(Path("results/smoke")):
        os.close(descriptor)


def test_a_job_does_nothing_where_another_run_has_begun_since_it_was_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run() -> str:
        for descriptor in hold_run(Path("results/smoke")):
            os.close(descriptor)
        return held_run()

    def job(of: str) -> str:
        joined = [sys.executable, "-c", "from aligncap.job import join_run\njoin_run()"]
        return subprocess.run(joined, env={**os.environ, HELD_VARIABLE: of}, capture_output=True, text=True).stderr

    old = run()
    assert job(old) == ""
    new = run()
    assert "RunningError: the run that submitted this job is gone" in job(old)
    assert job(new) == job("") == "", "the second is started by hand"


def write_often(path: Path, value: float) -> None:
    rows = [{"step": step, "split": "train", "metric": "loss", "value": value} for step in range(2000)]
    for _ in range(TRIES):
        artifacts.write(rows, path, "training", "test")


def test_of_two_writers_one_is_whole_at_any_time(tmp_path: Path) -> None:
    path, context = tmp_path / "a.parquet", multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(path, value)) for value in (1.0, 2.0)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        if path.is_file():
            (value,) = set(artifacts.read(path, "training").value)
            seen.add(value)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert seen and seen <= {1.0, 2.0} and os.listdir(tmp_path) == ["a.parquet"]


def test_results_that_cannot_be_written_are_noticed_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results/smoke").mkdir(parents=True)
    Path("results/smoke").chmod(0o555)
    for made in (".snakemake", "work"):
        Path(made).mkdir()
    if os.geteuid() == 0:
        for place in (*tmp_path.parents[:2], tmp_path):  # pytest's own folders are of one user alone
            place.chmod(0o755)
        for made in (".snakemake", "work"):
            os.chown(made, 65534, 65534)
        os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match=r"results/smoke: cannot be stored: this user may not write there; .*"):
            hold_run(Path("results/smoke"))
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
