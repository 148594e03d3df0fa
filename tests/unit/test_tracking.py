import json
import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from tiny_config import RAW

from aligncap.config import AlignCapConfig
from aligncap.systems import parse
from aligncap.tracking import runs as tracking
from aligncap.tracking import syncing


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlignCapConfig:
    monkeypatch.chdir(tmp_path)
    # Absolute, for MLflow keeps one store a process and address.
    monkeypatch.setenv(tracking.URI_VARIABLE, f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    monkeypatch.setenv(tracking.EXPERIMENT_VARIABLE, "exp")
    return parse({**RAW, "experiment": "exp", "tracking": {"uri": uri()}})


def uri() -> str:
    return os.environ[tracking.URI_VARIABLE]


def runs() -> dict:
    from mlflow import MlflowClient

    client = MlflowClient(uri())
    experiment = client.get_experiment_by_name("exp")
    found = client.search_runs([experiment.experiment_id])
    assert len({r.info.run_name for r in found}) == len(found), "a run was made twice"
    return {r.info.run_name: r for r in found}


def history(run_id: str, key: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    return sorted((m.step, m.value) for m in MlflowClient(uri()).get_metric_history(run_id, key))


def test_a_pipeline_run_has_a_child_a_stage(project):
    tracking.start_pipeline(project)
    with tracking.tracked(
        "train_alignment", "kd", {"alignment": {"steps": 3}, "api_key": "hunter2"}, {"seed": 7}
    ) as run:
        for step in (1, 2, 3):
            run.metric(step, "train", "loss", 1 / step)
        run.metric(3, "dev", "loss", float("nan"))
        run.metric(1, "demo/kd@1", "similarity", 0.5)  # a name that MLflow would refuse
        run.link("adapter", Path.cwd() / "results" / "adapter.safetensors")
        run.table("examples", [{"id": "u1", "caption": "sounds sad"}])
    syncing.finish_pipeline("exp", ok=True)

    found = runs()
    parent = next(r for name, r in found.items() if name.startswith("exp-"))
    child = found["train_alignment/kd"]
    assert {parent.info.status, child.info.status} == {"FINISHED"}
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["rule"] == child.data.tags["stage"] == "train_alignment" and child.data.tags["seed"] == "7"
    assert parent.data.tags["stage"] == "pipeline"
    assert {parent.data.tags["experiment"], child.data.tags["experiment"]} == {"exp"}
    tables = json.loads(child.data.tags["mlflow.loggedArtifacts"])
    assert tables == [{"path": "examples.json", "type": "table"}]
    assert child.data.tags["link.adapter"] == "results/adapter.safetensors"
    assert child.data.params == {"alignment.steps": "3", "api_key": "***"}
    assert parent.data.params["alignment.steps"] == "100" and parent.data.params["corpora.a.root"] == "a.csv"
    assert history(child.info.run_id, "train/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert "dev/loss" in child.data.metrics and child.data.metrics["demo/kd-1/similarity"] == 0.5
    assert child.info.artifact_uri.startswith("mlflow-artifacts:/exp/")
    shown = Path("mlruns/artifacts/exp") / child.info.run_id / "artifacts/examples.json"
    assert json.loads(shown.read_text()) == {"columns": ["id", "caption"], "data": [["u1", "sounds sad"]]}
    assert not [p for p in Path.cwd().rglob("*") if p.is_file() and b"hunter2" in p.read_bytes()]
    assert str(Path.cwd()) not in Path("work/tracking/exp/train_alignment-kd.jsonl").read_text()


def test_curves_are_live(project, monkeypatch):
    monkeypatch.setattr(tracking, "LIVE_AFTER_S", 0.01)
    monkeypatch.setattr(tracking, "FLUSH_EVERY_S", 0.05)
    tracking.start_pipeline(project)
    with tracking.tracked("warm_start", "base", {}) as run:
        run.metric(1, "train", "loss", 0.5)
        deadline = time.monotonic() + 60
        while not (found := runs()).get("warm_start/base") or not found["warm_start/base"].data.metrics:
            assert time.monotonic() < deadline, "nothing arrived while the stage ran"
            time.sleep(0.05)
        assert runs()["warm_start/base"].info.status == "RUNNING"
    assert runs()["warm_start/base"].info.status == "FINISHED"


def test_an_interrupted_stage_goes_on_in_its_run(project):
    tracking.start_pipeline(project)
    with pytest.raises(KeyboardInterrupt), tracking.tracked("train_alignment", "kd", {"steps": 4}) as run:
        for step in (1, 2, 3):
            run.metric(step, "train", "loss", float(step))
        raise KeyboardInterrupt
    syncing.finish_pipeline("exp", ok=False)
    first = runs()
    assert first["train_alignment/kd"].info.status == "KILLED"

    tracking.start_pipeline(project)
    with tracking.tracked("train_alignment", "kd", {"steps": 4}) as run:  # from the checkpoint after step 2
        for step in (3, 4):
            run.metric(step, "train", "loss", float(step))
    syncing.finish_pipeline("exp", ok=True)
    second = runs()
    assert {n: r.info.run_id for n, r in first.items()} == {n: r.info.run_id for n, r in second.items()}
    run_id = second["train_alignment/kd"].info.run_id
    assert history(run_id, "train/loss") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert second["train_alignment/kd"].info.status == "FINISHED"


def test_a_killed_process_leaves_its_rows_and_goes_on(project):
    tracking.start_pipeline(project)
    process = multiprocessing.get_context("spawn").Process(target=_die_after_two_steps)
    process.start()
    process.join()
    assert process.exitcode == 9
    with Path("work/tracking/exp/train_alignment-kd.jsonl").open("a") as stream:
        stream.write('{"kind": "metric", "st')  # the line it was writing
    with tracking.tracked("train_alignment", "kd", {}) as run:
        run.metric(3, "train", "loss", 3.0)
    syncing.finish_pipeline("exp", ok=True)
    run_id = runs()["train_alignment/kd"].info.run_id
    assert history(run_id, "train/loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def _die_after_two_steps() -> None:
    with tracking.tracked("train_alignment", "kd", {}) as run:
        run.metric(1, "train", "loss", 1.0)
        run.metric(2, "train", "loss", 2.0)
        os._exit(9)


@pytest.mark.parametrize("settings", [{"steps": 1}, {"steps": 2}], ids=["same", "other"])
def test_a_finished_stage_that_runs_again_is_another_run(project, settings):
    tracking.start_pipeline(project)
    for described in ({"steps": 1}, settings):
        with tracking.tracked("train_alignment", "kd", described) as run:
            run.metric(1, "train", "loss", 1.0)
    from mlflow import MlflowClient

    assert syncing.sync("exp", uri()) == 3
    client = MlflowClient(uri())
    found = client.search_runs([client.get_experiment_by_name("exp").experiment_id], "tags.rule = 'train_alignment'")
    assert len(found) == 2
    assert syncing.sync("exp", uri()) == 1, "only the pipeline's own run is still open"


def _many_rows(number: int) -> None:
    tracking.LIVE_AFTER_S, tracking.FLUSH_EVERY_S = 0.0, 0.05
    with tracking.tracked("train_alignment", f"s{number}", {"number": number}) as run:
        for step in range(1, 201):
            run.metric(step, "train", "loss", float(step * number))
            time.sleep(0.002)


@pytest.mark.parametrize(("initialised", "n_processes"), [(True, 8), (False, 4)])
def test_processes_that_log_at_once_lose_nothing(project, initialised, n_processes, caplog):
    if initialised:
        tracking.start_pipeline(project)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_many_rows, args=(n,)) for n in range(n_processes)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    if initialised:
        syncing.finish_pipeline("exp", ok=True)
    else:
        syncing.sync("exp", uri())
    found = runs()
    for number in range(n_processes):
        run = found[f"train_alignment/s{number}"]
        assert run.info.status == "FINISHED"
        assert history(run.info.run_id, "train/loss") == [(s, float(s * number)) for s in range(1, 201)]
    assert not caplog.records


@pytest.mark.parametrize("down", ["sqlite:///file/mlflow.db", "http://user:hunter2@127.0.0.1:9"])
def test_without_a_store_the_stage_goes_on_and_its_rows_wait(project, monkeypatch, caplog, down):
    Path("file").write_text("where a folder ought to be")
    up = uri()
    monkeypatch.setenv(tracking.URI_VARIABLE, down)
    monkeypatch.setattr(tracking, "LIVE_AFTER_S", 0.0)
    monkeypatch.setattr(tracking, "FLUSH_EVERY_S", 0.05)
    broken = project.model_copy(update={"tracking": project.tracking.model_copy(update={"uri": down})})
    with caplog.at_level(logging.WARNING, "aligncap"):
        tracking.start_pipeline(broken)
        assert len(caplog.records) == 1
        with tracking.tracked("train_alignment", "kd", {}) as run:
            run.metric(1, "train", "loss", 1.0)
            time.sleep(0.5)
        assert len(caplog.records) == 2, "one line a stage"
    named = f"`ALIGNCAP_TRACKING_URI={down.replace('user:hunter2', '***')} make mlflow-sync`"
    assert named in caplog.text and "hunter2" not in caplog.text and "\n" not in caplog.messages[0]
    monkeypatch.setenv(tracking.URI_VARIABLE, up)
    assert syncing.sync("exp", up) == 2
    child = runs()["train_alignment/kd"]
    assert history(child.info.run_id, "train/loss") == [(1, 1.0)]
    assert child.data.tags["mlflow.parentRunId"]


def test_a_log_that_cannot_be_written_is_one_warning(project, caplog):
    Path("work").write_text("where a folder ought to be")
    tracking.start_pipeline(project)
    with tracking.tracked("train_alignment", "kd", {}) as run:
        run.metric(1, "train", "loss", 1.0)
        run.table("t", [{"a": 1}])
    syncing.finish_pipeline("exp", ok=True)
    assert len(caplog.records) == 2


def test_odd_values_do_not_raise(project):
    with tracking.tracked("rule", "name", {"path": Path("x"), "none": None, "empty": {}, "odd": object}) as run:
        run.metric(1, "train", "loss", "not a number")  # type: ignore[arg-type]
        run.table("t", [{"a": object()}])
        run.params({"late": {"setting": [1, 2]}})
    assert syncing.sync("exp", uri()) == 1
    assert runs()["rule/name"].data.params["late.setting"] == "[1, 2]"


def test_off_means_silent_and_traceless(project, monkeypatch, caplog):
    monkeypatch.delenv(tracking.URI_VARIABLE)
    off = project.model_copy(update={"tracking": project.tracking.model_copy(update={"enabled": False})})
    tracking.start_pipeline(off)
    with tracking.tracked("rule", "name", {}) as run:
        run.metric(1, "train", "loss", 1.0)
    syncing.finish_pipeline("exp", ok=True)
    assert not list(Path.cwd().iterdir()) and not caplog.records


def test_errors_of_the_stage_pass_through(project):
    with pytest.raises(ZeroDivisionError), tracking.tracked("rule", "name", {}):
        _ = 1 / 0
    syncing.sync("exp", uri())
    assert runs()["rule/name"].info.status == "FAILED"


def test_a_short_stage_costs_milliseconds_and_imports_no_mlflow(project):
    from mlflow import MlflowClient  # noqa: F401  (its import must not count)

    started = time.perf_counter()
    with tracking.tracked("rule", "name", {}) as run:
        for step in range(1000):
            run.metric(step, "train", "loss", 1.0)
    assert time.perf_counter() - started < 0.5
    assert not Path("mlruns").exists()
