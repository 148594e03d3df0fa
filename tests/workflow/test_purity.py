"""What a table and a checkpoint are made of: their declared inputs, and nothing that lies about."""

from pathlib import Path

import pytest
from snakemake_project import SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

OVERLAYS = {
    "near": "systems: { near: { extends: retrieval } }\n",
    "typical": "systems: { typical: { extends: constant } }\n",
}
# Every function of it does nothing, and gives nothing back.
INERT_TRACKING = """
import contextlib


class Recorder:
    def __getattr__(self, name):
        return lambda *values, **more: None


@contextlib.contextmanager
def tracked(*values, **more):
    yield Recorder()


def tags_of(wildcards, params):
    return None
"""


def contents(project: Project, *patterns: str) -> dict[str, bytes]:
    results = project.folder / "results" / "smoke"
    return {
        str(p.relative_to(results)): p.read_bytes() for g in patterns for p in sorted(results.glob(g)) if p.is_file()
    }


def test_tables_and_report_do_not_depend_on_earlier_runs(smoke: Project, tmp_path: Path) -> None:
    for name, text in OVERLAYS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    both = [str(tmp_path / f"{name}.yaml") for name in sorted(OVERLAYS)]
    ends = []
    for first in OVERLAYS:
        project = smoke.copy(tmp_path / first)
        project.run("results/smoke/tables/zero_shot.parquet", *SMOKE, str(tmp_path / f"{first}.yaml"))
        shown = contents(project, "tables/zero_shot.md")["tables/zero_shot.md"]
        assert [name for name in OVERLAYS if f"`{name}`".encode() in shown] == [first]
        project.run(*SMOKE, *both)
        ends.append(contents(project, "tables/*", "report.html"))
    assert len(ends[0]) > 20 and b"`near`" in ends[0]["tables/zero_shot.md"]
    assert b"`typical`" in ends[0]["tables/zero_shot.md"]
    assert {name for name in ends[0] if ends[0][name] != ends[1][name]} == set()
    project.run("results/smoke/tables/zero_shot.parquet", *SMOKE)  # a system that is not asked for any more is gone
    tables = contents(smoke, "tables/zero_shot.*")
    assert contents(project, "tables/zero_shot.*") == tables


def test_what_is_told_to_mlflow_reaches_no_artifact(smoke: Project, smoke_copy: Project) -> None:
    """The digest does not see ``aligncap.tracking.runs``, so nothing may come back from it."""
    (smoke_copy.folder / "aligncap" / "tracking" / "runs.py").write_text(INERT_TRACKING)
    patterns = ("checkpoints/aligncap/*", "warm_start/*/*", "tables/*", "evaluation/*/*", "judge_scores/*/*")
    made = contents(smoke, *patterns)
    for name in made:
        (smoke_copy.folder / "results" / "smoke" / name).unlink()
    smoke_copy.run(*SMOKE)
    assert len(made) > 30 and contents(smoke_copy, *patterns) == made
