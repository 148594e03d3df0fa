"""What MLflow holds when a pipeline has ended: comparable runs, and tables."""

import json
import os
import shutil
from pathlib import Path

import pytest
import tiny_config
from tiny_checkpoint import write_checkpoint

from aligncap import artifacts
from aligncap.systems import parse
from aligncap.tracking import runs as tracking
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
    tracking.finish_pipeline("tiny", ok=True)


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


def test_a_seeds_run_names_its_checkpoint_and_a_mean_none(client, experiment):
    runs = client.search_runs([experiment], "tags.stage = 'test' and tags.system = 'kd'")
    named = {run.info.run_name: run.data.tags.get("link.checkpoint") for run in runs}
    place = "results/tiny/checkpoints"
    assert named == {"test/kd/b": None, "test/kd@7/b": f"{place}/kd", "test/kd@1/b": f"{place}/kd@1"}


def test_without_a_store_the_results_wait(checkpoint, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    up = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    (tmp_path / "file").write_text("where a folder ought to be")
    monkeypatch.setenv(tracking.URI_VARIABLE, "sqlite:///file/mlflow.db")
    monkeypatch.setenv(tracking.EXPERIMENT_VARIABLE, "tiny")
    shutil.copytree(checkpoint, "results/tiny/checkpoints/sft")
    end(Path("results/tiny"), {"sft": 0.5})
    assert "make mlflow-sync" in caplog.text
    assert tracking.sync("tiny", up) == 3
    from mlflow import MlflowClient

    client = MlflowClient(up)
    (run,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id], "tags.stage = 'test'")
    assert run.data.tags["system"] == "sft" and set(run.data.metrics.values()) == {0.5}


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
