"""What MLflow holds when a pipeline has ended: comparable runs, tables, and models that `mlflow models serve` runs."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import tiny_config
from tiny_checkpoint import write_checkpoint

from aligncap import Captioner, artifacts
from aligncap.systems import parse
from aligncap.tracking import runs as tracking
from aligncap.tracking import syncing
from aligncap.tracking.results import record_results

RAW = {
    **tiny_config.RAW,
    "systems": {
        "chance": {"stage": "chance"},
        "kd": {"stage": "alignment", "seeds": [1], "overrides": {"seed": 7}},
        "sft": {"stage": "alignment", "overrides": {"alignment": {"kd_weight": 0.0}}},
    },
}
AGREEMENT = {"chance": 0.1, "kd": 0.5, "kd@7": 0.4, "kd@1": 0.6, "sft": 0.3, "gone": 0.2}
ONE_SEED = {"chance": 0.1, "kd": 0.4}  # a table of before the seeds, in which the value of kd is no mean


def rows_of(agreement: dict[str, float]) -> list[dict]:
    shared = {"corpus": "b", "ci_low": None, "ci_high": None, "n": 4}
    metrics = ("emotion_agreement_macro", "coverage")
    return [
        {"system": system, "metric": metric, "value": value, **shared}
        for system, value in agreement.items()
        for metric in metrics
    ]


def end(results: Path, agreement: dict[str, float] | None) -> None:
    """A pipeline that has made these scores, or was asked for a checkpoint alone, and ends."""
    config = parse({**RAW, "tracking": {"uri": os.environ[tracking.URI_VARIABLE]}})
    if agreement is not None:
        artifacts.write(rows_of(agreement), results / "tables/zero_shot.parquet", "table", "zero_shot_table", {})
    tracking.start_pipeline(config)
    with tracking.tracked("train_alignment", "kd", {}) as run:
        run.link("system", results / "checkpoints/kd/system.json")
    record_results(config, results)
    syncing.finish_pipeline("tiny", ok=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose pipeline has ended: over a table of fewer seeds, with all scores twice, with another of `sft`."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tracked")
        patch.chdir(folder)
        patch.setenv(tracking.URI_VARIABLE, f"sqlite:///{folder}/mlruns/mlflow.db")
        patch.setenv(tracking.EXPERIMENT_VARIABLE, "tiny")
        checkpoint = write_checkpoint(folder)
        results = Path("results/tiny")
        shutil.copytree(checkpoint, results / "checkpoints/kd@1")
        (results / "checkpoints/kd@1/system.json").write_text(
            (checkpoint / "system.json").read_text().replace('"steps": 7', '"steps": 8')
        )
        (results / "corpora/b").mkdir(parents=True)
        (results / "corpora/b/audio.parquet").write_bytes(b"what the clips are")
        for agreement in (ONE_SEED, AGREEMENT, AGREEMENT, {**AGREEMENT, "sft": 0.35}):
            end(results, agreement)
        yield folder


@pytest.fixture(scope="module")
def client(project):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")


@pytest.fixture(scope="module")
def experiment(client):
    return client.get_experiment_by_name("tiny").experiment_id


def test_a_run_a_system_and_corpus_with_the_names_of_the_tables(client, experiment):
    runs = client.search_runs([experiment], "tags.stage = 'test'")
    # MLflow's times are whole milliseconds, in which two of these runs may start: the order is that of the names.
    runs = sorted(runs, key=lambda run: (run.info.run_name, run.data.metrics["test/coverage"]))
    assert [r.info.run_name for r in runs] == [f"test/{s}/b" for s in ("chance", "kd", "kd@1", "kd@7", "sft", "sft")]
    assert {frozenset(r.data.metrics) for r in runs} == {frozenset({"test/emotion_agreement_macro", "test/coverage"})}
    assert [r.data.metrics["test/coverage"] for r in runs] == [0.1, 0.5, 0.6, 0.4, 0.3, 0.35]
    wanted = ("system", "seed", "seeds", "corpus", "experiment")
    tags = [{key: r.data.tags[key] for key in wanted if key in r.data.tags} for r in runs]
    everywhere = {"corpus": "b", "experiment": "tiny"}
    assert tags[0] == {"system": "chance", **everywhere}
    assert tags[1] == {"system": "kd", "seeds": "7, 1", **everywhere}
    assert tags[2] == {"system": "kd", "seed": "1", **everywhere}
    assert tags[3] == {"system": "kd", "seed": "7", **everywhere}
    assert tags[4] == {"system": "sft", "seed": "0", **everywhere}
    assert runs[4].data.params["alignment.kd_weight"] == "0.0" and not runs[0].data.params


def test_the_pipelines_run_shows_the_tables(project, client, experiment):
    parents = client.search_runs([experiment], "tags.stage = 'pipeline'", order_by=["start_time ASC"])
    assert len(parents) == 4 and {r.info.status for r in parents} == {"FINISHED"}
    assert json.loads(parents[-1].data.tags["mlflow.loggedArtifacts"]) == [{"path": "zero_shot.json", "type": "table"}]
    shown = project / "mlruns/artifacts/tiny" / parents[-1].info.run_id / "artifacts/zero_shot.json"
    table = json.loads(shown.read_text())
    assert table["columns"][:2] == ["system", "corpus"] and len(table["data"]) == 2 * len(AGREEMENT)


def test_each_checkpoint_is_one_model_with_its_scores(project, client, experiment):
    models = {m.name: m for m in client.search_logged_models([experiment])}
    assert set(models) == {"kd-7", "kd-1"}, "sft has no checkpoint, and the mean over seeds is none"
    model = models["kd-7"]
    assert model.status == "READY" and model.tags["system"] == "kd" and model.tags["seed"] == "7"
    assert {m.key: (m.value, m.dataset_name) for m in model.metrics} == {
        "test/emotion_agreement_macro": (0.4, "b"),
        "test/coverage": (0.4, "b"),
    }
    source = client.get_run(model.source_run_id)
    assert source.info.run_name == "train_alignment/kd"
    files = {path.name for path in folder_of(project, model).rglob("*") if path.is_file()}
    assert {"MLmodel", "adapter.safetensors", "lora.safetensors", "system.json"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".py"))]
    assert str(project) not in (folder_of(project, model) / "MLmodel").read_text()


def test_without_a_store_the_results_wait_and_models_come_later(checkpoint, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    up = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    (tmp_path / "file").write_text("where a folder ought to be")
    monkeypatch.setenv(tracking.URI_VARIABLE, "sqlite:///file/mlflow.db")
    monkeypatch.setenv(tracking.EXPERIMENT_VARIABLE, "tiny")
    shutil.copytree(checkpoint, "results/tiny/checkpoints/sft")
    end(Path("results/tiny"), {"sft": 0.5})
    assert "make mlflow-sync" in caplog.text
    assert syncing.sync("tiny", up) == 3
    from mlflow import MlflowClient

    client = MlflowClient(up)
    (model,) = client.search_logged_models([client.get_experiment_by_name("tiny").experiment_id])
    assert model.name == "sft" and {m.value for m in model.metrics} == {0.5}


def test_scores_are_of_the_checkpoint_they_were_measured_on(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv(tracking.URI_VARIABLE, store)
    monkeypatch.setenv(tracking.EXPERIMENT_VARIABLE, "tiny")
    results = Path("results/tiny")
    shutil.copytree(checkpoint, results / "checkpoints/sft")
    end(results, {"sft": 0.5})
    described = results / "checkpoints/sft/system.json"
    described.write_text(described.read_text().replace('"steps": 7', '"steps": 9'))
    later = (results / "tables/zero_shot.parquet").stat().st_mtime + 5
    os.utime(described, (later, later))
    end(results, None)  # the table has the scores of the checkpoint before
    from mlflow import MlflowClient

    client = MlflowClient(store)
    tests = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], "tags.stage = 'test'")
    assert [run.data.params["alignment.steps"] for run in tests] == ["7"], "as the checkpoint says"


def test_a_table_that_cannot_be_read_is_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/zero_shot.parquet").write_bytes(b"PAR1 and no more")
    record_results(parse(RAW), tmp_path)
    assert len(caplog.records) == 1 and "zero_shot.parquet" in caplog.text


def folder_of(project: Path, model) -> Path:
    return project / "mlruns/artifacts" / model.artifact_location.removeprefix("mlflow-artifacts:/").lstrip("/")


@pytest.fixture(scope="module")
def served(project, client, experiment):
    """Address of `mlflow models serve` on the model of `kd`."""
    model = next(m for m in client.search_logged_models([experiment]) if m.name == "kd-7")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    variables = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    log = (project / "serve.log").open("w")
    process = subprocess.Popen(
        [*command, "--model-uri", str(folder_of(project, model)), "--workers", "1"],
        cwd=project, env={**variables, "ALIGNCAP_AUDIO_ROOT": "calls"}, stdout=log, stderr=log,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _answers(f"{address}/ping"):
            assert process.poll() is None and time.monotonic() < deadline, (project / "serve.log").read_text()[-3000:]
            time.sleep(0.3)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=10).status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.timeout(400)
def test_a_model_answers_recordings_with_captions(project, served, folder):
    shutil.copytree(folder, project / "calls")
    wav = (folder / "a.wav").read_bytes()
    columns = ["audio", "path", "language"]
    rows = [
        [base64.b64encode(wav).decode(), "a.wav", "en"],
        [None, "a.wav", "en"],
        [base64.b64encode(b"%PDF-1.7 not audio").decode(), None, None],
        [None, "../serve.log", None],
    ]
    body = {"dataframe_split": {"columns": columns, "data": rows}, "params": {"max_new_tokens": 8}}
    request = urllib.request.Request(
        f"{served}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    said = json.loads(urllib.request.urlopen(request, timeout=120).read())["predictions"]
    captioner = Captioner.load(project / "results/tiny/checkpoints/kd")
    want = next(captioner.caption_all([folder / "a.wav"], "en", max_new_tokens=8))
    assert [row["caption"] for row in said] == [want.caption, want.caption, None, None]
    assert said[0]["clues"] == want.clues and said[0]["duration_s"] == 0.3 and said[0]["error"] is None
    assert "ALIGNCAP_AUDIO_ROOT" in said[3]["error"] and said[2]["error"]

    only_audio = {"dataframe_records": [{"audio": base64.b64encode(wav).decode()}], "params": {"max_new_tokens": 8}}
    request = urllib.request.Request(
        f"{served}/invocations", json.dumps(only_audio).encode(), {"Content-Type": "application/json"}
    )
    assert json.loads(urllib.request.urlopen(request, timeout=120).read())["predictions"][0]["caption"]
