"""One real run of the whole pipeline on random tiny models, and what runs again after a change."""

import json
import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote
from zipfile import ZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from snakemake_project import ROOT, SMOKE, Job, Project

from aligncap import artifacts

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

AFTER_PREFERENCE = {
    *("train_preference", "caption_testset", "second_opinion", "score_captions", "zero_shot_table", "report"),
    # One job judges, and one scores, all captions of a corpus; figures 1 and 4 are drawn of what it scored.
    *("judge_captions", "comparison_table", "claims_table", "assertions_table", "tag_reliance"),
    *("figure_drop", "figure_methods", "figure_selective"),
}

MAY_BE_EMPTY = {"skipped", "differences", "hallucination_examples"}  # nothing to list is a fact, too
# Its corpora and systems need none of these.
NOT_IN_SMOKE = {"parser", "listeners", "descriptions", "teacher_responses", "judge_agreement"}
BY_PEOPLE = {"annotation", "file_captions"}  # no rule makes these, commands do


def rules(jobs: list[Job]) -> set[str]:
    return {job.rule for job in jobs}


def only_of_aligncap(jobs: list[Job]) -> bool:
    return {job.wildcards["system"] for job in jobs if "system" in job.wildcards} == {"aligncap"}


def test_every_artifact_opens_with_pandas_and_says_what_it_is(smoke: Project) -> None:
    results = smoke.folder / "results" / "smoke"
    tables = sorted(results.rglob("*.parquet"))
    seen = set()
    for path in tables:
        metadata = pq.read_schema(path).metadata
        schema, rule = metadata[b"aligncap.schema"].decode(), metadata[b"aligncap.rule"].decode()
        seen.add(schema)
        assert len(pd.read_parquet(path)) or schema in MAY_BE_EMPTY, path
        assert pq.read_schema(path).remove_metadata().equals(artifacts.SCHEMAS[schema].remove_metadata()), path
        assert (smoke.folder / "workflow_scripts" / f"{rule}.py").is_file(), f"{path}: made by {rule}"
        columns = [field.name for field in artifacts.SCHEMAS[schema] if pa.types.is_string(field.type)]
        texts = [text for values in pq.read_table(path, columns=columns).to_pydict().values() for text in values]
        assert not [text for text in texts if text and str(smoke.folder) in text], path
    assert set(artifacts.SCHEMAS) - seen == NOT_IN_SMOKE | BY_PEOPLE
    assert (results / "report.html").stat().st_size > 1000
    assert json.loads((results / "run.json").read_text())["config"]["experiment"] == "smoke"


def test_a_checkpoint_is_four_files(smoke: Project) -> None:
    folder = smoke.folder / "results" / "smoke" / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"sft", "kd", "aligncap"}
    for system in folder.iterdir():
        names = {"adapter.safetensors", "lora.safetensors", "system.json", "training.parquet"}
        assert {path.name for path in system.iterdir()} == names


@pytest.mark.parametrize("script", ["cue_interventions", "oracle_tags"])
def test_a_finished_run_can_be_captioned_under_other_clues(smoke: Project, script: str, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (smoke.folder / "results").rglob("*")}
    run = ["results/smoke", "synthetic_de", "experiments/smoke.yaml", "--clips", "6", "--out", str(tmp_path)]
    told = smoke.execute([sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *run])
    assert (tmp_path / f"{script}.md").read_text() in told
    captions = pd.read_csv(tmp_path / f"{script}_captions.csv")
    assert set(captions["system"]) == {"sft", "kd", "aligncap"} and captions["utterance_id"].nunique() == 6
    assert {path: path.stat().st_mtime_ns for path in (smoke.folder / "results").rglob("*")} == before


@pytest.mark.parametrize(
    "script",
    [
        "benchmarks/kd_step.py kd experiments/smoke.yaml --rounds 1",
        "benchmarks/kl_truncation.py kd experiments/smoke.yaml",
        "benchmarks/sampling.py results/smoke/corpora/synthetic_en/wav --checkpoint results/smoke/checkpoints/kd "
        "--clips 2 --samples 2 --rounds 1",
        "benchmarks/metrics.py --systems 2 --captions 6 --rounds 1",
        "benchmarks/resampling.py --utterances 40 --systems 2 --metrics 2 --resamples 50 --looped 2 --rounds 1",
        "benchmarks/growth.py --numbers 20 40",
        "benchmarks/growth_of_rules.py --numbers 42 -- results/smoke/run.json",
        "benchmarks/shards.py --numbers 20 --shards 2 --stages rows",
        "benchmarks/whole_run.py HEAD --rounds 1 -- --configfile experiments/smoke.yaml -- results/smoke/run.json",
        "tools/run_minutes.py smoke",
    ],
    ids=lambda script: Path(script.split()[0]).stem,
)
def test_a_benchmark_of_speed_runs_and_prints_a_table(smoke: Project, script: str) -> None:
    name, *arguments = script.split()
    told = smoke.execute([sys.executable, str(ROOT / name), *arguments])
    assert re.search(r"^\| .+ \|\n\|[-:|]+\|\n\| .+ \|$", told, re.MULTILINE), told


def test_every_cell_of_the_finished_run_is_verified(smoke: Project) -> None:
    told = smoke.execute([sys.executable, "-m", "aligncap.serving.cli", "verify", "results/smoke"])
    assert re.search(r"^\d{4,} cells of \d+ tables verified, \d+ captions scored again$", told, re.MULTILINE), told


def test_every_job_has_a_log_and_a_benchmark(smoke: Project) -> None:
    jobs = smoke.plan("--forceall", *SMOKE)
    logs = list((smoke.folder / "logs" / "smoke").rglob("*.log"))
    benchmarks = list((smoke.folder / "results" / "smoke" / "benchmarks").rglob("*.tsv"))
    assert len(logs) == len(benchmarks) == len(jobs)


def test_a_second_run_does_nothing(smoke_copy: Project) -> None:
    assert "Nothing to be done" in smoke_copy.run(*SMOKE)


def test_forcing_the_preference_stage_reruns_it_and_what_follows(smoke: Project) -> None:
    jobs = smoke.plan(*SMOKE, "--forcerun", "train_preference")
    assert rules(jobs) == AFTER_PREFERENCE
    assert only_of_aligncap(jobs)


def test_a_changed_beta_reruns_the_preference_stage_and_what_follows(smoke: Project) -> None:
    jobs = smoke.plan(*SMOKE, "--config", 'preference={"beta": 0.3}')
    assert rules(jobs) == AFTER_PREFERENCE | {"snapshot"}
    assert only_of_aligncap(jobs)


def test_a_changed_margin_reruns_pairs_but_no_candidates(smoke: Project) -> None:
    jobs = smoke.plan(*SMOKE, "--config", 'preference={"pairs": {"factuality": {"margin": 0.1}}}')
    assert {"preference_pairs", "reference_logps", "train_preference"} <= rules(jobs)
    assert not {"candidates", "judge_scores", "train_alignment"} & rules(jobs)


def test_preferences_of_people_train_and_ask_for_no_new_candidates(smoke_copy: Project) -> None:
    answers = "annotations/smoke.preferences.jsonl"
    (smoke_copy.folder / "annotations").mkdir()
    (smoke_copy.folder / answers).write_text("", encoding="utf-8")
    judge = f'preference={{"judge": {{"name": "human", "human": {{"answers": "{answers}"}}}}}}'
    jobs = smoke_copy.plan(*SMOKE, "--config", judge)
    assert {"judge_scores", "preference_pairs", "train_preference"} <= rules(jobs)
    assert not rules(jobs) & {"candidates", "train_alignment"}, "the answers are about the candidates that are there"
    assert all(answers in job.input for job in jobs if job.rule == "judge_scores")


def test_tracking_is_no_reason_to_run(smoke: Project) -> None:
    assert smoke.plan(*SMOKE, "--config", 'tracking={"uri": "sqlite:///elsewhere.db"}') == []


def test_the_report_holds_recordings(smoke: Project) -> None:
    assert "data:audio/mpeg" in (smoke.folder / "results/smoke/report.html").read_text()


def test_a_number_of_the_report_leads_to_the_run_that_made_it(smoke_copy: Project) -> None:
    from mlflow import MlflowClient

    smoke_copy.run("--forcerun", "zero_shot_table", *SMOKE, "--config", 'tracking={"enabled": true}')
    page = (smoke_copy.folder / "results/smoke/report.html").read_text()
    source = re.search(r'">tables/zero_shot\.parquet</a> by rule .*?, MLflow run <a href="([^"]+)">(\w+)</a>', page)
    assert source is not None and source[2] == "zero_shot_table"
    shown = re.search(r"/#/experiments/(\d+)/runs\?searchFilter=(.+)", unescape(source[1]))
    client = MlflowClient(f"sqlite:///{smoke_copy.folder}/mlruns/mlflow.db")
    (run,) = client.search_runs([shown[1]], unquote(shown[2]))
    assert run.data.tags["stage"] == "zero_shot_table"


def test_recordings_left_out_make_the_report_again_and_nothing_else(smoke_copy: Project) -> None:
    command = ["env", "VERBOSE=1", sys.executable, "tools/run_pipeline.py", "--no-audio", *SMOKE]
    text = smoke_copy.execute(command)
    assert set(re.findall(r"^(?:local)?rule (\w+):$", text, re.MULTILINE)) - {"all"} == {"report", "snapshot"}
    assert "data:audio" not in (smoke_copy.folder / "results/smoke/report.html").read_text()


def test_snakemake_makes_a_report_of_its_own(smoke_copy: Project) -> None:
    smoke_copy.run(*SMOKE, "--report", "report.zip")
    with ZipFile(smoke_copy.folder / "report.zip") as made:
        names = " ".join(made.namelist())
    for shown in ("report/report.html", "/table1.csv", "/claims.csv", "/assertions.csv", "/figure3.svg"):
        assert shown in names, shown


def test_a_system_of_one_line_reuses_all_that_it_shares(smoke: Project) -> None:
    added = 'systems={"gentle": {"extends": "aligncap", "overrides": {"preference": {"beta": 0.05}}}}'
    jobs = smoke.plan(*SMOKE, "--config", added)
    assert rules(jobs) == AFTER_PREFERENCE | {"snapshot"}
    assert [job.wildcards for job in jobs if job.rule == "train_preference"] == [{"system": "gentle"}]


COMMENTED = ("aligncap/preference/train.py", "aligncap/artifacts/files.py", "workflow_scripts/candidates.py")


@pytest.mark.parametrize("path", COMMENTED)
def test_a_comment_plans_nothing(smoke_copy: Project, path: str) -> None:
    file = smoke_copy.folder / path
    file.write_text(file.read_text() + "\n# A thought.\n")
    assert smoke_copy.plan(*SMOKE) == []


@pytest.mark.parametrize(
    ("path", "runs", "rests"),
    [
        ("aligncap/preference/losses.py", {"train_preference"}, {"candidates", "train_alignment", "train_tagger"}),
        (
            "aligncap/evaluation/tables/render.py",
            {"zero_shot_table", "comparison_table", "claims_table", "report"},
            {"train_preference", "candidates"},
        ),
        ("aligncap/speech/prosody.py", {"measure_prosody"}, {"prepare_corpus", "fetch_model", "speech_features"}),
    ],
)
def test_an_edit_plans_only_rules_that_use_the_code(
    smoke_copy: Project, path: str, runs: set[str], rests: set[str]
) -> None:
    file = smoke_copy.folder / path
    file.write_text(file.read_text() + "\nEDITED = 1\n")
    planned = rules(smoke_copy.plan(*SMOKE))
    assert runs <= planned
    assert not rests & planned


def test_an_error_that_the_user_can_mend_is_one_line(smoke_copy: Project) -> None:
    text = smoke_copy.run(*SMOKE, "--config", 'preference={"pairs": {"minimum": 9999}}', ok=False)
    log = Path(smoke_copy.folder / "logs" / "smoke" / "preference_pairs" / "kd.log").read_text()
    assert log.count("preference.pairs.minimum is 9999") == text.count("preference.pairs.minimum is 9999") == 1
    assert "Traceback" not in log and "Traceback" not in text
