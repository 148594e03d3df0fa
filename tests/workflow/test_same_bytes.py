"""Two fresh checkouts, eight jobs at once and one, all cores and a single one: every artifact has the same bytes."""

import os

import pytest
from amount import LONG
from killing import digests
from snakemake_project import SMOKE, Project

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not LONG, reason="a whole smoke run on one core; `make faults` has it"),
]


def test_jobs_and_cores_change_no_byte(smoke: Project, project: Project) -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        project.run(*SMOKE, "-j", "1")
    finally:
        os.sched_setaffinity(0, cores)
    one, many = digests(project), digests(smoke)
    assert len(many) > 100 and set(one) == set(many)
    assert [name for name in many if one[name] != many[name]] == []
