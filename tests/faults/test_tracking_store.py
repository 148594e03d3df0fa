"""The store of MLflow is locked, gone, full or asked twice at once: stages finish, and each run is there once."""

import contextlib
import json
import logging
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aligncap import artifacts
from aligncap.tracking import runs, syncing
from aligncap.tracking import store as stores

ROOT = Path(__file__).resolve().parents[2]
ROWS = [{"step": step, "split": "train", "metric": "loss", "value": 1.0 / step} for step in range(1, 6)]


@pytest.fixture(autouse=True)
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    address = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv(runs.URI_VARIABLE, address)
    monkeypatch.setenv(runs.EXPERIMENT_VARIABLE, "exp")
    return address


def stage(name: str = "kd") -> None:
    """A stage with a curve that writes an artifact."""
    with runs.tracked("train_alignment", name, {"steps": 5}) as run:
        for row in ROWS:
            run.metric(row["step"], row["split"], row["metric"], row["value"])
        artifacts.write(ROWS, f"{name}.parquet", "training", "train_alignment")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Stages enter the store only by a sync, as short ones do."""
    monkeypatch.setattr(runs, "LIVE_AFTER_S", 60.0)


def found(uri: str) -> list[str]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("exp")
    return sorted(run.info.run_name for run in client.search_runs([experiment.experiment_id]))


def find_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each of two that look for a run wait for the other, so that both would find nothing and make one."""
    plain, gate = stores.Store.find, threading.Barrier(2)

    def slow(self: stores.Store, uid: str) -> object:
        run = plain(self, uid)
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(0.5)
        return run

    monkeypatch.setattr(stores.Store, "find", slow)


def test_syncs_at_once_write_each_run_once(uri: str, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a", "b", "c"]
    for name in names:
        stage(name)
    find_together(monkeypatch)
    written: list[int] = []
    threads = [threading.Thread(target=lambda: written.append(syncing.sync("exp", uri))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(uri) == [f"train_alignment/{name}" for name in names]
    assert sorted(written) == [0, 3], "one writes, the other finds all complete"


def test_a_stage_and_a_sync_at_once_make_one_run(uri: str, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stage()
    opening = json.loads(Path("work/tracking/exp/train_alignment-kd.jsonl").read_text().splitlines()[0])
    live = stores.Store(uri, "exp")
    find_together(monkeypatch)
    writer = threading.Thread(target=live.open, args=(opening,))
    writer.start()
    syncing.sync("exp", uri)
    writer.join()
    assert found(uri) == ["train_alignment/kd"]


@pytest.mark.parametrize("where", ["file/mlflow.db", "/proc/aligncap/mlflow.db"], ids=["no folder", "read-only"])
def test_a_sync_that_fails_says_so_and_exits_1(
    offline: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    Path("file").write_text("where a folder ought to be")
    for experiment in ("exp", "other"):
        monkeypatch.setenv(runs.EXPERIMENT_VARIABLE, experiment)
        stage()
    monkeypatch.setenv(runs.URI_VARIABLE, f"sqlite:///{where}")
    caplog.set_level(logging.INFO, "aligncap")
    assert syncing.main() == 1
    (told,) = caplog.messages
    assert "store unavailable" in told and "rows stay in work/tracking/exp" in told and "\n" not in told
    assert "1 other experiment" in told


def test_a_run_that_the_store_refuses_keeps_no_other_out(
    uri: str, offline: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a1", "a2", "a3", "a4", "b", "c"):  # more refused ones than are taken for a store that is down
        stage(name)
    log = Path("work/tracking/exp/train_alignment-b.jsonl")
    log.write_bytes(b'7\n["x"]\n\xff\xfe\n{"kind": "metric"}\n' + log.read_bytes())  # and lines that are no rows
    plain = stores.Store.open

    def refuses_a(self: stores.Store, row: dict) -> str:
        if "/a" in row["run_name"]:
            raise ValueError("refused")
        return plain(self, row)

    with monkeypatch.context() as broken:
        broken.setattr(stores.Store, "open", refuses_a)
        assert syncing.main() == 1
    assert "refused" in caplog.text
    assert found(uri) == ["train_alignment/b", "train_alignment/c"]
    assert syncing.main() == 0 and len(found(uri)) == 6


@pytest.mark.parametrize("trouble", ["locked", "gone", "no database"])
def test_a_store_that_fails_while_a_stage_runs_costs_it_nothing(
    uri: str, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    stores.Store(uri, "exp")
    monkeypatch.setattr(runs, "LIVE_AFTER_S", 0.0)
    monkeypatch.setattr(runs, "FLUSH_EVERY_S", 0.05)
    monkeypatch.setattr(runs, "CLOSE_WITHIN_S", 0.5)
    database = Path("mlruns/mlflow.db")
    if trouble == "locked":
        with contextlib.closing(sqlite3.connect(database)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            stage()
    else:
        kept = Path("kept")
        shutil.copytree("mlruns", kept)
        if trouble == "gone":
            shutil.rmtree("mlruns")
            Path("mlruns").write_text("where the folder was")
        else:
            database.write_bytes(b"no database, but of its size" * 4096)
        stage()
        Path("mlruns").unlink() if trouble == "gone" else shutil.rmtree("mlruns")
        kept.rename("mlruns")
    assert artifacts.read("kd.parquet", "training").value.tolist() == [row["value"] for row in ROWS]
    code = f"from test_tracking_store import found, syncing; syncing.sync('exp', {uri!r}); print(found({uri!r}))"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "faults")])
    own = {**os.environ, "PYTHONPATH": paths}  # a process of its own: in this one MLflow keeps the old file open
    told = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['train_alignment/kd']", told.stderr


def limit_files(size: int) -> None:
    """A file cannot grow beyond this, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


CHILD = """
import sys, time
from aligncap import artifacts
from aligncap.tracking import runs
runs.LIVE_AFTER_S, runs.FLUSH_EVERY_S, runs.CLOSE_WITHIN_S = 0.0, 0.05, 5.0
with runs.tracked("train_alignment", "kd", {"steps": 5}) as run:
    for step in range(1, int(sys.argv[1]) + 1):
        run.metric(step, "train", "loss", 1.0)
    time.sleep(float(sys.argv[2]))
    rows = [{"step": 1, "split": "train", "metric": "loss", "value": 1.0}]
    artifacts.write(rows, "kd.parquet", "training", "train_alignment")
"""


def child(steps: int, seconds: float, size: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(steps), str(seconds)],
        preexec_fn=lambda: limit_files(size),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_full_store_costs_a_stage_nothing_and_the_sync_brings_its_run_in(uri: str) -> None:
    stores.Store(uri, "exp")
    assert Path("mlruns/mlflow.db").stat().st_size > 100_000
    done = child(steps=3, seconds=6.0, size=50_000)
    assert done.returncode == 0 and "store unavailable" in done.stderr, done.stderr
    assert len(artifacts.read("kd.parquet", "training")) == 1
    assert syncing.sync("exp", uri) == 1 and found(uri) == ["train_alignment/kd"]


def test_a_log_that_no_longer_fits_on_the_disk_costs_a_stage_nothing(uri: str) -> None:
    done = child(steps=2000, seconds=0.0, size=20_000)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be written") == 1 and "Traceback" not in done.stderr
    assert len(artifacts.read("kd.parquet", "training")) == 1
    assert Path("work/tracking/exp/train_alignment-kd.jsonl").stat().st_size <= 20_000
    assert syncing.sync("exp", uri) == 1, "what did fit is there"
