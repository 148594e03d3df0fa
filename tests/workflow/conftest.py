"""Fixtures of the workflow tests."""

import fcntl
import os
from pathlib import Path

import pytest
from snakemake_project import SMOKE, Project, new_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy, nothing made yet."""
    return new_project(tmp_path / "project")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which experiments/smoke.yaml has run to its end; all workers share it.

    To look at and to plan in. Take `smoke_copy` to change something, and for any run that is not a dry one: even one
    with nothing to do removes Snakemake's folder of locks at its end, under the feet of another worker's run.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one run for all workers: the first one makes it, the others wait
        shared = shared.parent
    made = Project(shared / "smoke" / "project")
    with (shared / "smoke.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made.folder / "run.log").is_file():
            new_project(made.folder)
            told = made.run(*SMOKE, "--skip-script-cleanup")  # tests/workflow/killing.py starts them again
            (made.folder / "run.log").write_text(told, encoding="utf-8")
    return made


@pytest.fixture
def smoke_copy(smoke: Project, tmp_path: Path) -> Project:
    """The finished smoke run, to be edited, run or killed."""
    return smoke.copy(tmp_path / "project")
