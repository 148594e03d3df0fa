"""What a table and a checkpoint are made of: their declared inputs, and nothing that lies about."""

from pathlib import Path

import pytest
from snakemake_project import SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

OVERLAY = "systems: { near: { extends: retrieval }, typical: { extends: constant } }\n"
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
    overlay = tmp_path / "both.yaml"
    overlay.write_text(OVERLAY)
    one, other = (smoke.copy(tmp_path / name) for name in ("one", "other"))
    alone = ("--config", "systems={typical: null}")
    one.run("results/smoke/tables/zero_shot.parquet", *SMOKE, str(overlay), *alone)
    shown = contents(one, "tables/zero_shot.md")["tables/zero_shot.md"]
    assert b"`near`" in shown and b"`typical`" not in shown
    ends = []
    for project in (one, other):
        project.run(*SMOKE, str(overlay))
        ends.append(contents(project, "tables/*", "report.html"))
    assert len(ends[0]) > 20 and b"`near`" in ends[0]["tables/zero_shot.md"]
    assert b"`typical`" in ends[0]["tables/zero_shot.md"]
    assert {name for name in ends[0] if ends[0][name] != ends[1][name]} == set()
    one.run("results/smoke/tables/zero_shot.parquet", *SMOKE)  # a system that is not asked for any more is gone
    assert contents(one, "tables/zero_shot.*") == contents(smoke, "tables/zero_shot.*")


@pytest.mark.parametrize(
    ("target", "patterns"),
    [
        (["results/smoke/checkpoints/kd/system.json"], ["warm_start/*/*", "checkpoints/kd/*"]),
        ([], ["checkpoints/aligncap/*", "judge_scores/*/*", "preference_pairs/**/*", "evaluation/*/*", "tables/*"]),
    ],
    ids=["alignment", "what follows"],
)
def test_what_is_told_to_mlflow_reaches_no_artifact(
    smoke: Project, smoke_copy: Project, target: list[str], patterns: list[str]
) -> None:
    """The digest does not see ``aligncap.tracking.runs``, so nothing may come back from it."""
    (smoke_copy.folder / "aligncap" / "tracking" / "runs.py").write_text(INERT_TRACKING)
    made = contents(smoke, *patterns)
    for name in made:
        (smoke_copy.folder / "results" / "smoke" / name).unlink()
    smoke_copy.run(*target, *SMOKE)
    again = contents(smoke_copy, *patterns)
    assert len(made) > 5 and again.keys() == made.keys()
    assert {name for name in made if again[name] != made[name]} == set()
