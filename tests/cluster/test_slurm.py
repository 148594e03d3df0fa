"""The smoke experiment on a real SLURM: the bytes of one machine, and a GPU for each job that asks for one."""

import re
import sys
from collections import Counter

import pytest
from killing import digests
from slurm_jobs import PROFILE, RUN, jobs_of, timed
from snakemake_project import ROOT, Project, new_project

OF_A_CORPUS = "corpus_measure_prosody_measure_timbre_prepare_corpus_write_references"

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def on_slurm(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the whole experiment has run through sbatch."""
    made = new_project(tmp_path_factory.mktemp("slurm") / "project")
    with timed("two jobs at a time through SLURM"):
        made.execute([sys.executable, "-m", "snakemake", *PROFILE, *RUN])
    return made


def test_all_artifacts_have_the_bytes_of_a_run_on_one_machine(local: Project, on_slurm: Project) -> None:
    here, there = digests(local), digests(on_slurm)
    assert len(here) > 100 and set(here) == set(there)
    assert [name for name in here if here[name] != there[name]] == []


def test_no_job_is_submitted_twice_and_all_end_well(on_slurm: Project) -> None:
    jobs = jobs_of(on_slurm)
    # A group has the names of its rules and no wildcards: that of the corpora is there once for each of the two.
    assert {name: times for name, times in Counter(job.rule for job in jobs).items() if times > 1} == {OF_A_CORPUS: 2}
    assert {job.state for job in jobs} == {"COMPLETED"}


def rules_that_ask_for_a_gpu(project: Project) -> set[str]:
    told = project.run("-n", *RUN)
    asked = re.findall(r"^rule (\w+):\n(?: {4}.*\n)*? {4}resources: (.*)$", told, re.MULTILINE)
    return {rule for rule, resources in asked if "gpu=1" in resources}


def test_rules_that_take_the_accelerator_are_given_one_by_slurm(on_slurm: Project, project: Project) -> None:
    given = {job.rule.partition("_wildcards_")[0] for job in jobs_of(on_slurm) if job.gpus == 1}
    assert given == rules_that_ask_for_a_gpu(project) and len(given) > 10


def test_no_two_jobs_hold_the_same_gpu(on_slurm: Project) -> None:
    own = {job.number for job in jobs_of(on_slurm) if job.gpus}
    held: dict[str, str] = {}
    together = 0
    for line in (ROOT / "build/slurm/devices").read_text(encoding="utf-8").splitlines():
        moment, _, job, device = line.split()
        if job not in own:
            continue
        assert device in ("0", "1"), f"job {job} was given {device}"
        if moment == "prolog":
            assert device not in held, f"job {job} was given GPU {device}, which job {held[device]} holds"
            held[device] = job
            together = max(together, len(held))
        else:
            assert held.pop(device) == job
    assert not held and together == 2
