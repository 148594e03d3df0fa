"""Sharded rules: the artifacts of one job, a failed shard alone, and nothing of it where `shards` is 1."""

from pathlib import Path

import pytest
from snakemake_project import SMOKE, Job, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

RESULTS = "results/smoke"
MADE = (
    "features/synthetic_en",
    "features/synthetic_de",
    "transcripts/synthetic_en",
    "transcripts/synthetic_de",
    "teacher_logits/base/synthetic_en",
    "candidates/kd",
    "judge_scores/kd/reference",
    "captions/kd/synthetic_de",
)
RULES = ("speech_features", "transcripts", "teacher_logits", "candidates", "judge_scores", "caption_testset")
ARTIFACTS = [f"{RESULTS}/{name}.parquet" for name in MADE]


def sharded(number: int, *targets: str) -> list[str]:
    """Make these files in so many shards by the sharded rules alone, so that nothing is trained again."""
    return [*targets, *SMOKE, "--config", f"shards={number}", "--allowed-rules", "gather_shards", *RULES]


def parts(project: Project) -> list[Path]:
    return sorted((project.folder / RESULTS / "parts").rglob("*.parquet"))


def shards_of(jobs: list[Job], rule: str) -> list[str]:
    return sorted(job.wildcards["scatteritem"] for job in jobs if job.rule == rule)


def test_sharded_rules_make_the_artifacts_of_unsharded_ones(smoke: Project, smoke_copy: Project) -> None:
    for path in ARTIFACTS:
        (smoke_copy.folder / path).unlink()
    told = smoke_copy.run(*sharded(2, *ARTIFACTS))
    assert told.count("rule gather_shards:") == len(ARTIFACTS)
    differing = [p for p in ARTIFACTS if (smoke_copy.folder / p).read_bytes() != (smoke.folder / p).read_bytes()]
    assert differing == []
    assert parts(smoke_copy) == [], "what was gathered does not lie there twice"
    assert smoke_copy.plan(*sharded(2, *ARTIFACTS)) == []
    log = smoke_copy.folder / "logs/smoke/speech_features/synthetic_en"
    assert sorted(path.name for path in log.iterdir()) == ["1-of-2.log", "2-of-2.log"]

    other = smoke_copy.plan(*sharded(3, *ARTIFACTS))
    assert len(shards_of(other, "caption_testset")) == 3, "Snakemake compares the names of inputs"
    smoke_copy.run("--cleanup-metadata", *ARTIFACTS, *SMOKE)
    assert smoke_copy.plan(*sharded(3, *ARTIFACTS)) == [], "as docs/scale.md says"


def test_a_failed_shard_runs_again_alone(smoke: Project, smoke_copy: Project) -> None:
    (path,) = [path for path in ARTIFACTS if "features/synthetic_en" in path]
    (smoke_copy.folder / path).unlink()
    clips = sorted((smoke_copy.folder / RESULTS / "corpora/synthetic_en").rglob("*.wav"))
    sound = {clip: clip.read_bytes() for clip in clips[-3:]}
    for clip in sound:
        clip.write_bytes(b"no sound")
    told = smoke_copy.run(*sharded(3, path), "--keep-going", ok=False)
    assert [part.name for part in parts(smoke_copy)] == ["1-of-3.parquet", "2-of-3.parquet"]
    assert "Traceback" not in told and "rule gather_shards:" not in told
    for clip, data in sound.items():
        clip.write_bytes(data)
    jobs = smoke_copy.plan(*sharded(3, path))
    assert shards_of(jobs, "speech_features") == ["3-of-3"]
    assert {job.rule for job in jobs} == {"speech_features", "gather_shards"}
    smoke_copy.run(*sharded(3, path), "--notemp")
    assert (smoke_copy.folder / path).read_bytes() == (smoke.folder / path).read_bytes()

    kept = parts(smoke_copy)
    assert len(kept) == 3
    kept[1].unlink()
    (smoke_copy.folder / path).unlink()
    jobs = smoke_copy.plan(*sharded(3, path))
    assert shards_of(jobs, "speech_features") == ["2-of-3"] and len(jobs) == 2


def test_only_sharded_rules_are_planned_otherwise(project: Project) -> None:
    one, three = project.plan(*SMOKE), project.plan(*SMOKE, "--config", "shards=3")
    assert "gather_shards" not in {job.rule for job in one} and "parts" not in str(one)

    def others(jobs: list[Job]) -> set[tuple]:
        apart = {"gather_shards", *RULES}
        return {(job.rule, job.input, job.output) for job in jobs if job.rule not in apart}

    assert others(one) == others(three), "what reads an artifact does not know how it was made"
    for rule in RULES:
        own = {job.output for job in one if job.rule == rule}
        assert len([job for job in three if job.rule == rule]) == 3 * len(own), rule
        assert own <= {job.output for job in three if job.rule == "gather_shards"}, rule


def test_the_number_of_shards_is_no_setting_of_what_is_made(smoke: Project) -> None:
    assert smoke.plan(f"{RESULTS}/run.json", *SMOKE, "--config", "shards=4") == []
