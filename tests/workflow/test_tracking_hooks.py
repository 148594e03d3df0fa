"""What the workflow's own hooks write to MLflow; tests/unit/serving/test_mlflow_results.py has the details."""

import json

import pytest
from snakemake_project import SMOKE, Project

from aligncap import artifacts

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(600)]


def test_a_pipeline_that_ends_well_leaves_its_scores_and_tables(project: Project) -> None:
    from mlflow import MlflowClient

    shared = {"corpus": "synthetic_de", "metric": "emotion_agreement_macro", "ci_low": None, "ci_high": None, "n": 8}
    rows = [{"system": system, "value": value, **shared} for system, value in (("sft", 0.25), ("kd", 0.5))]
    artifacts.write(rows, project.folder / "results/smoke/tables/zero_shot.parquet", "table", "zero_shot_table", {})
    project.run("results/smoke/run.json", *SMOKE, "--config", 'tracking={"enabled": true}')

    client = MlflowClient(f"sqlite:///{project.folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("smoke").experiment_id
    (pipeline,) = client.search_runs([experiment], "tags.stage = 'pipeline'")
    assert pipeline.info.status == "FINISHED" and pipeline.data.tags["experiment"] == "smoke"
    assert [t["path"] for t in json.loads(pipeline.data.tags["mlflow.loggedArtifacts"])] == ["zero_shot.json"]
    tests = client.search_runs([experiment], "tags.stage = 'test'")
    scores = {(r.data.tags["system"], r.data.tags["corpus"]): r.data.metrics for r in tests}
    assert scores == {
        ("sft", "synthetic_de"): {"test/emotion_agreement_macro": 0.25},
        ("kd", "synthetic_de"): {"test/emotion_agreement_macro": 0.5},
    }
    (job,) = client.search_runs([experiment], "tags.stage = 'snapshot'")
    assert job.data.tags["mlflow.parentRunId"] == tests[0].data.tags["mlflow.parentRunId"] == pipeline.info.run_id
