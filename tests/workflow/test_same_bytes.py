"""Two fresh checkouts, eight jobs at once and one, all cores and a single one: every artifact has the same bytes."""

import hashlib
import os
from pathlib import Path

import pytest
from amount import LONG
from snakemake_project import SMOKE, Project

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not LONG, reason="a whole smoke run on one core; `make faults` has it"),
]
# What names times, machines or folders.
TIMED = ("benchmarks/", "run.json", "report.html", "metrics.json")


def digests(project: Project) -> dict[str, str]:
    results = project.folder / "results" / "smoke"
    files = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files.items()
        if not name.startswith(TIMED) and not Path(name).name.startswith(".")
    }


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
