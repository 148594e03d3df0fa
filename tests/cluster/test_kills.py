"""What ends too early on SLURM: a job at its time limit, a job that SLURM puts back, and the Snakemake that watches."""

import contextlib
from collections.abc import Iterator

import psutil
import pytest
from killing import digests, killed, started
from mlflow import MlflowClient
from slurm_jobs import ENTRY, TRAINED, SlurmJob, closed, jobs_of, log_of, resume_points, slurm, until, without
from snakemake_project import Project

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

CAPTIONS = "results/smoke/captions/kd/synthetic_de.parquet"  # what comes after the training
LOG = "logs/smoke/train_alignment/kd.log"
TRACKED = 'tracking={"enabled": true}'


def script_of(project: Project, rule: str) -> psutil.Process | None:
    """The process that runs the script of a rule, wherever SLURM has put it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if f".{rule}.py" in "".join(process.cmdline()[1:2]) and process.cwd() == str(project.folder):
                return process
    return None


@contextlib.contextmanager
def training_held(project: Project, process: psutil.Popen) -> Iterator[tuple[SlurmJob, psutil.Process]]:
    """A training that has a resume point and stands still: its job of SLURM, and its process."""
    until(lambda: resume_points(project), 600, process)
    worker = script_of(project, "train_alignment")
    assert worker is not None, "the training ended before it was caught"
    worker.suspend()
    try:
        (job,) = jobs_of(project)
        yield job, worker
    finally:
        with contextlib.suppress(psutil.Error):
            worker.resume()


def tracked(project: Project, stage: str) -> list[str]:
    """The states of a stage's runs in MLflow."""
    client = MlflowClient(f"sqlite:///{project.folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("smoke").experiment_id
    return [run.info.status for run in client.search_runs([experiment], f"tags.stage = '{stage}'")]


def states(project: Project) -> list[tuple[str, str]]:
    return [(job.rule.partition("_wildcards_")[0], job.state) for job in jobs_of(project)]


def test_a_job_at_its_time_limit_goes_on_with_more_time(local: Project, finished: Project) -> None:
    without(finished, "checkpoints/kd")
    process = started(finished, [*ENTRY, TRACKED, "--", TRAINED])
    with training_held(finished, process) as (job, worker):
        assert (job.minutes, job.memory) == (1440, 6000)  # as the rule says
        slurm("scontrol", "update", f"JobId={job.number}", "TimeLimit=1")
        until(lambda: jobs_of(finished)[0].state == "TIMEOUT", 300, process)
        assert not worker.is_running(), "SLURM has left a process of the job"
    assert process.wait() == 0
    first, second = jobs_of(finished)
    assert (first.state, second.state) == ("TIMEOUT", "COMPLETED")
    assert (second.minutes, second.memory, second.gpus) == (2 * job.minutes, 2 * job.memory, job.gpus)
    assert "resuming after step" in (finished.folder / LOG).read_text(encoding="utf-8")
    assert digests(finished) == digests(local)
    assert tracked(finished, "train_alignment") == ["FINISHED"], "both attempts are one run"


def test_a_job_that_slurm_puts_back_goes_on(local: Project, finished: Project) -> None:
    """As it does with the jobs of a node that fails, for the profile says `requeue`."""
    without(finished, "checkpoints/kd")
    process = started(finished, [*ENTRY, "--", TRAINED])
    with training_held(finished, process) as (job, _):
        slurm("scontrol", "requeue", job.number)
    assert process.wait() == 0
    assert [one.number for one in jobs_of(finished)] == [job.number]
    assert "resuming after step" in (finished.folder / LOG).read_text(encoding="utf-8")
    assert digests(finished) == digests(local)


def test_a_killed_snakemake_is_started_again_when_its_jobs_have_ended(local: Project, finished: Project) -> None:
    without(finished, "checkpoints/kd", "captions/kd")
    command = [*ENTRY, "--", CAPTIONS]
    process = started(finished, command)
    with training_held(finished, process):
        killed(process)
        told = finished.execute(command, ok=False)
        assert told.startswith("a job of an earlier run, whose Snakemake is gone, is still at work") and len(told) < 200
        assert states(finished) == [("train_alignment", "RUNNING")], "nothing else was submitted"
    until(lambda: states(finished) == [("train_alignment", "COMPLETED")], 600)
    finished.execute(command)
    assert states(finished) == [("train_alignment", "COMPLETED"), ("caption_testset", "COMPLETED")]
    made = digests(finished)
    assert made == {name: digest for name, digest in digests(local).items() if name in made} and CAPTIONS in made


def test_a_job_that_waited_while_another_run_began_does_nothing(local: Project, finished: Project) -> None:
    without(finished, "checkpoints/kd")
    command = [*ENTRY, "--", TRAINED]
    with closed("main"):
        process = started(finished, command)
        until(lambda: states(finished) == [("train_alignment", "PENDING")], 300, process)
        killed(process)
        process = started(finished, command)
        until(lambda: states(finished) == [("train_alignment", "PENDING")] * 2, 300, process)
    assert process.wait() == 0
    old, _ = jobs_of(finished)
    until(lambda: jobs_of(finished)[0].state == "FAILED", 300)
    assert "the run that submitted this job is gone and another one has begun" in log_of(
        finished, "train_alignment", old
    )
    assert jobs_of(finished)[1].state == "COMPLETED"
    assert digests(finished) == digests(local)
