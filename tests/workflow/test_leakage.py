"""Every stack of configs that is run plans the whole pipeline, on a machine that has neither models nor data.

No test caption, label or gold clue reaches a model: walked file by file over the DAG.
"""

from collections.abc import Iterable

import pytest
import yaml
from snakemake_project import Job, Project
from stacks import NAMES, OVERLAYS, STACKS, Stack, configfiles

from aligncap.systems import corpus_names, lineage, load

pytestmark = pytest.mark.workflow

# Who may know what the people of a test corpus said about it. `all` collects targets.
SCORING = {
    "score_captions",
    "score_external",
    "second_opinion",
    "judge_captions",
    "zero_shot_table",
    "report",
    "parser_table",
    "listeners_table",
}
SCORING |= {"comparison_table", "claims_table", "figure_drop", "figure_methods", "tagger_table", "tag_reliance"}
SCORING |= {"assertions_table", "figure_selective"}
OF_THAT_CORPUS = {"write_references", "parse_clues"}


def secrets(results: str, corpus: str) -> set[str]:
    """Files of a test corpus that no model-side rule may read."""
    return {
        f"{results}/corpora/{corpus}/references.parquet",
        f"{results}/corpora/{corpus}/labels.parquet",
        f"{results}/clues/{corpus}/gold.parquet",
    }


def ancestry(jobs: Iterable[Job]) -> dict[str, set[str]]:
    """For every file that is made: what it was made from, and what that was made from, and so on."""
    made_by = {file: job for job in jobs for file in job.output}
    known: dict[str, set[str]] = {}

    def of(file: str) -> set[str]:
        if file not in known:
            inputs = made_by[file].input if file in made_by else ()
            known[file] = set(inputs).union(*(of(other) for other in inputs))
        return known[file]

    for file in made_by:
        of(file)
    return known


def leaks(jobs: list[Job], results: str, test_corpora: Iterable[str]) -> list[str]:
    """Every job that reads, directly or through others, what it must not; empty where all is well."""
    origins = ancestry(jobs)
    found = []
    for corpus in test_corpora:
        hidden = secrets(results, corpus)
        for job in jobs:
            if job.rule in SCORING or (job.rule in OF_THAT_CORPUS and job.wildcards["corpus"] == corpus):
                continue
            read = set(job.input).union(*(origins.get(file, set()) for file in job.input))
            found += [f"{job.rule} {job.wildcards}: {file}" for file in sorted(read & hidden)]
    return found


def planned(project: Project, stack: Stack) -> list[Job]:
    return project.plan("--forceall", *(["--configfile", *configfiles(stack)] if stack else []))


@pytest.mark.parametrize("stack", STACKS, ids=NAMES)
def test_a_stack_plans_the_whole_pipeline_and_no_model_reads_a_test_corpus_captions(
    project: Project, stack: Stack
) -> None:
    config = load(*(project.folder / path for path in ["config.yaml", *configfiles(stack)]))
    jobs = planned(project, stack)
    hidden_corpora = [*corpus_names(config, "test"), *corpus_names(config, "unlabelled")]
    assert leaks(jobs, f"results/{config.experiment}", hidden_corpora) == []
    rules = {job.rule for job in jobs}
    assert {"fetch_model", "train_tagger", "train_alignment", "caption_testset", "score_captions"} <= rules
    assert {"report", "snapshot"} <= rules
    preferred = any(lineage(config, system).stage == "preference" for system in config.systems)
    assert ("train_preference" in rules) == preferred
    assert len({file for job in jobs for file in job.output}) == sum(len(job.output) for job in jobs)


LEAKS = {
    "references into training": (
        "rules/common.smk",
        '"references": of_train("<results>/corpora/{corpus}/references.parquet"),',
        '"references": [f"<results>/corpora/{c}/references.parquet" for c in TRAIN + TEST],',
        "train_alignment",
    ),
    "own transcripts of a test corpus": (
        "rules/common.smk",
        'if settings.corpora[corpus].role == "train" and',
        "if",
        "transcripts",
    ),
    "gold clues at inference": (
        "rules/evaluation.smk",
        'predicted="<results>/clues/{corpus}/predicted.parquet",',
        'predicted="<results>/clues/{corpus}/gold.parquet",',
        "caption_testset",
    ),
    "an evaluation, made from references, into training": (
        "rules/prompts.smk",
        "audio=of_train(",
        'scores=[f"<results>/evaluation/chance/{c}.parquet" for c in TEST],\n        audio=of_train(',
        "plan_training",
    ),
}


def without_win_rates(project: Project) -> None:
    """Table 4 wants judged captions of every system."""
    file = project.folder / "config.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["tables"]["table4"]["systems"] = []
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


@pytest.mark.parametrize("case", LEAKS)
def test_a_planted_leak_is_caught(project: Project, case: str) -> None:
    path, old, new, rule = LEAKS[case]
    if case.startswith("an evaluation"):
        # The table's own scores need captions first; a chance row alone does not.
        project.edit("rules/evaluation.smk", "CAPTIONED = [system for", "CAPTIONED = [] and [system for")
        project.edit("rules/evaluation.smk", '    "opinions": ["<results>/second_opinions/{corpus}.parquet"],\n', "")
        without_win_rates(project)
    project.edit(path, old, new)
    found = leaks(planned(project, ("smoke",)), "results/smoke", ["synthetic_de"])
    assert any(leak.startswith(f"{rule} ") for leak in found), found


def test_a_judge_of_test_captions_is_for_scoring_only(project: Project) -> None:
    """Its scores, made from references, into training; and by itself it is no leak."""
    wanted = "results/smoke/judged/kd/synthetic_de.parquet"
    smoke = ["--configfile", "experiments/smoke.yaml"]
    jobs = project.plan("--forceall", wanted, *smoke)
    (judge,) = [job for job in jobs if job.rule == "judge_captions"]
    assert secrets("results/smoke", "synthetic_de") - set(judge.input) == {
        "results/smoke/corpora/synthetic_de/labels.parquet"
    }
    assert leaks(jobs, "results/smoke", ["synthetic_de"]) == []
    project.edit("rules/judges.smk", "JUDGED = contents.judged(settings)", 'JUDGED = ["constant"]')
    without_win_rates(project)
    scores = '        judged=of_test("<results>/judged/constant/{corpus}.parquet"),\n'
    project.edit("rules/preference.smk", '        plan="<results>/plan.parquet",\n', scores)
    # Its pairs alone: the tables want the scores of every system.
    jobs = project.plan("--forceall", "results/smoke/preference_pairs/kd.parquet", *smoke)
    found = leaks(jobs, "results/smoke", ["synthetic_de"])
    assert any(leak.startswith("preference_pairs ") for leak in found), found


def test_every_shipped_config_is_checked() -> None:
    assert {name for stack in STACKS for name in stack} == set(OVERLAYS)
    some = {(), ("emosec", "tables", "seeds"), ("indomain",), ("loco_nemo", "gap"), ("sweep_beta",)}
    assert some <= set(STACKS), "as the Makefile and the overlays have them"
    assert not {("tables",), ("seeds",), ("gap",)} & set(STACKS), "nobody runs these by themselves"
