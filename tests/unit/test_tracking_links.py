"""From a file to the tracked run that made it."""

import json
from urllib.parse import unquote

import pytest

from aligncap.tracking import runs as tracking
from aligncap.tracking.store import runs_by_file


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(tracking.URI_VARIABLE, "sqlite:///mlruns/mlflow.db")
    monkeypatch.setenv(tracking.EXPERIMENT_VARIABLE, "mine")
    return tmp_path


def run_of(name: str, system: str) -> str:
    """The uid of a stage that made ``name`` and has ended."""
    with tracking.tracked("train_alignment", system, {"system": system}) as run:
        run.link("system", name)
    lines = [json.loads(line) for line in open(f"work/tracking/mine/train_alignment-{system}.jsonl")]
    return lines[-1]["uid"]


def test_the_last_run_that_made_a_file_is_found_and_searched_for_by_its_uid(tracked):
    first = run_of("results/mine/kd.json", "kd")
    last = run_of("results/mine/kd.json", "kd")
    other = run_of("results/mine/sft.json", "sft")
    runs = runs_by_file()
    assert first != last and runs["results/mine/kd.json"].uid == last
    assert runs["results/mine/sft.json"].name == "train_alignment/sft"
    address = runs["results/mine/sft.json"].address
    assert address.startswith("http://127.0.0.1:5000/#/experiments/")
    assert unquote(address).endswith(f"?searchFilter=tags.`aligncap.uid` = '{other}'")


def test_without_tracking_or_without_a_store_the_report_goes_on(tracked, monkeypatch, caplog):
    run_of("results/mine/kd.json", "kd")
    monkeypatch.setenv(tracking.URI_VARIABLE, "sqlite:////proc/none/mlflow.db")
    (run,) = runs_by_file().values()
    assert run.address == "" and "store unavailable" in caplog.text
    monkeypatch.setenv(tracking.URI_VARIABLE, "")
    assert runs_by_file() == {}
