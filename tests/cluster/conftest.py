"""Fixtures of the tests on a real SLURM: `make cluster` starts it, runs them and stops it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "workflow"))

from slurm_jobs import ON_ONE_MACHINE, cancel_all, timed  # noqa: E402
from snakemake_project import Project, new_project  # noqa: E402


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the smoke experiment has run on this machine, to compare with and to copy."""
    made = new_project(tmp_path_factory.mktemp("local") / "project")
    with timed("two jobs at a time without SLURM"):
        made.execute(made.command(*ON_ONE_MACHINE))
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy, nothing made yet."""
    return new_project(tmp_path / "project")


@pytest.fixture
def finished(local: Project, tmp_path: Path) -> Iterator[Project]:
    """The finished run, of which a test takes something away; its jobs end with the test."""
    yield local.copy(tmp_path / "project")
    cancel_all()
