"""What each rival of KD-Regularization waits for, and what it does not."""

import pytest
from snakemake_project import Project

pytestmark = pytest.mark.workflow

SYSTEMS = """  cascade: { stage: alignment, overrides: { adapter: { type: none }, alignment: { kd_weight: 0.0 } } }
  kd_js: { extends: kd, overrides: { teacher: { live: true }, alignment: { divergence: js } } }
  kd_generated: { extends: kd, overrides: { teacher: { responses: generated } } }
  generated_cif: { extends: kd_generated, overrides: { adapter: { type: cif }, teacher: { top_k: 8 } } }
  po_cascade: { stage: preference, parent: cascade }
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    from snakemake_project import new_project

    project: Project = new_project(tmp_path_factory.mktemp("rivals") / "project")
    project.edit("config.yaml", "  kd: { stage", f"{SYSTEMS}  kd: {{ stage")
    return project.plan("all")


def one(jobs, rule, **wildcards):
    (job,) = (j for j in jobs if j.rule == rule and wildcards.items() <= j.wildcards.items())
    return job


def inputs(jobs, system):
    return one(jobs, "train_alignment", system=system).input


def test_the_cascade_has_no_warm_start_and_no_teacher_logits(jobs):
    assert not any("warm_start" in file or "teacher_logits" in file for file in inputs(jobs, "cascade"))
    assert one(jobs, "caption_testset", system="po_cascade")


def test_a_live_teacher_needs_no_logits(jobs):
    assert any("warm_start/base/" in file for file in inputs(jobs, "kd_js"))
    assert not any("teacher_logits" in file for file in inputs(jobs, "kd_js"))
    assert "teacher_logits" in "".join(inputs(jobs, "kd"))


def test_generated_responses_are_made_once_and_scored_for_each_k(jobs):
    responses = "results/default/teacher_responses/base/synthetic_en.parquet"
    assert one(jobs, "teacher_responses").output == (responses,)
    for system in ("kd_generated", "generated_cif"):
        assert responses in inputs(jobs, system)
        assert f"results/default/teacher_logits/{system}/synthetic_en.parquet" in inputs(jobs, system)
        assert responses in one(jobs, "teacher_logits", variant=system).input
    assert not any("responses" in file for file in one(jobs, "teacher_logits", variant="base").input)
