"""`kill -9` in the middle of the work, a restart through the entry, and the same bytes as without it.

The long form is parametrised by rule and by seed, so that a part of it can be run by itself and a run that was
stopped can go on: `ALIGNCAP_SEEDS=2:4` takes the seeds 2 and 3, `-k rule` one rule. Each test adds a line with its
kills to build/kills.tsv.
"""

import fcntl
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from amount import LONG, amount, seeds
from killing import ENTRY, Script, digests, killed, scripts, seconds, started, whole, worker_killed
from snakemake_project import ROOT, SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

# Where to strike: a file that appears while the stage is at work.
MOMENTS = {
    "train_alignment": "work/train_alignment/*/*",
    "candidates": "logs/smoke/candidates/kd.log",
    "train_preference": "work/train_preference/*/*",
}
# Everything from alignment on is made again.
STAGES = ("checkpoints", "candidates", "judge_scores", "preference_pairs", "reference_logps")
STAGES += ("captions", "evaluation", "tables")
STRUCK = STAGES if LONG else STAGES[-3:]  # by kills at random
SAMPLE = ("preference_pairs",)
RULES = sorted(path.stem for path in (ROOT / "workflow_scripts").glob("*.py"))
KILLS = amount(1, 3)  # in every rule
RUNS, WORKERS = amount(1, 8), amount(2, 42)  # in every round: of the whole run, and of a worker of a run


@pytest.fixture
def tell(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Records how many kills a test has done."""
    began = time.monotonic()

    def record(kills: int) -> None:
        record_property("kills", kills)
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / "build" / "kills.tsv").open("a", encoding="utf-8") as file:
            file.write(f"{request.node.name}\t{kills} kills\t{time.monotonic() - began:.0f} s\n")

    return record


def killed_at(project: Project, pattern: str) -> None:
    """Start the entry and kill it with all its children once ``pattern`` exists."""
    process = started(project, ENTRY)
    deadline = time.monotonic() + 900
    while not list(project.folder.glob(pattern)):
        assert process.poll() is None, f"the run ended before {pattern} appeared"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed(process)


def test_a_killed_run_goes_on_to_the_same_bytes(
    smoke: Project, smoke_copy: Project, tell: Callable[[int], None]
) -> None:
    expected = digests(smoke)
    assert len(expected) >= 100
    results = smoke_copy.folder / "results" / "smoke"
    for made in STAGES:
        shutil.rmtree(results / made)
    (results / "report.html").unlink()
    for made in ("work", "logs"):
        shutil.rmtree(smoke_copy.folder / made, ignore_errors=True)
    for pattern in MOMENTS.values():
        killed_at(smoke_copy, pattern)
        assert not [path for path in results.rglob("*.parquet") if path.stat().st_size == 0]
    text = smoke_copy.execute(ENTRY)
    assert "zero-shot" in text and "report: results/smoke/report.html" in text
    assert digests(smoke_copy) == expected
    assert text.count("\n") <= 120, "what a person has to read"
    assert "nothing to do" in smoke_copy.execute(ENTRY)
    assert not [path for path in results.rglob(".*.tmp")]
    tell(len(MOMENTS))


@pytest.fixture(scope="module")
def struck(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A finished smoke run whose rules are struck one after the other: each leaves it as it was."""
    yield smoke.copy(tmp_path_factory.mktemp("struck") / "project")


def script_of(project: Project, rule: str) -> Script:
    found = scripts(project)
    assert len(found) > 40
    return found[rule] if rule in found else pytest.skip(f"experiments/smoke.yaml has no job of {rule}")


@pytest.mark.parametrize("rule", RULES if LONG else SAMPLE)
def test_kills_in_a_rule(smoke: Project, struck: Project, rule: str, tell: Callable[[int], None]) -> None:
    """Its script, started as Snakemake starts it, is killed at random moments; then it runs to the same bytes."""
    script, generator = script_of(smoke, rule), random.Random(rule)
    for _ in range(KILLS):
        script.killed(struck, generator.random(), seconds(smoke, rule))
        whole(struck)
    assert script.start(struck).wait() == 0
    assert digests(struck, script.output) == digests(smoke, script.output)
    tell(KILLS)


@pytest.mark.skipif(not LONG, reason="a kill in every rule; `make faults` has it")
def test_one_run_mends_what_kills_in_all_rules_left(
    smoke: Project, smoke_copy: Project, tell: Callable[[int], None]
) -> None:
    generator, found = random.Random(0), scripts(smoke)
    for rule, script in reversed(found.items()):  # a rule is struck before those whose files it reads
        script.killed(smoke_copy, generator.random(), seconds(smoke, rule))
        whole(smoke_copy)
    smoke_copy.execute(ENTRY)
    assert digests(smoke_copy) == digests(smoke)
    tell(len(found))


@pytest.mark.parametrize("seed", seeds(1, 4))
def test_kills_at_random_lose_nothing(
    smoke: Project, smoke_copy: Project, seed: int, tell: Callable[[int], None]
) -> None:
    """Of the whole run, which is then started again, and of single workers, whose jobs Snakemake tries again."""
    generator = random.Random(seed)
    results = smoke_copy.folder / "results" / "smoke"
    left = ["run"] * RUNS + ["worker"] * WORKERS
    generator.shuffle(left)
    process = None
    while left:
        if process is None or process.poll() is not None:
            if process is None or process.returncode == 0:  # everything is there: it is made again
                for made in STRUCK:
                    shutil.rmtree(results / made, ignore_errors=True)
            process = started(smoke_copy, [*ENTRY, "--retries", "100"])
        if left[-1] == "worker":
            if not worker_killed(process, generator):
                continue
        else:
            try:
                process.wait(generator.uniform(3, 20))
                continue
            except subprocess.TimeoutExpired:
                killed(process)
        left.pop()
        whole(smoke_copy)
    if process is not None and process.poll() is None:
        process.wait()
    smoke_copy.execute(ENTRY)
    assert digests(smoke_copy) == digests(smoke)
    tell(RUNS + WORKERS)


def test_what_a_killed_job_removed_is_made_again_and_what_a_person_removed_is_not(
    smoke: Project, smoke_copy: Project
) -> None:
    captions = "results/smoke/in_domain/captions/kd/synthetic_en.parquet"
    (smoke_copy.folder / captions).unlink()
    assert "Nothing to be done" in smoke_copy.run("-n", *SMOKE)
    shutil.copy2(smoke.folder / captions, smoke_copy.folder / captions)
    process = started(smoke_copy, [*ENTRY, "--forcerun", "caption_devset", "--", captions])
    while (smoke_copy.folder / captions).exists():
        assert process.poll() is None
        time.sleep(0.02)
    killed(process)
    assert not (smoke_copy.folder / captions).exists()
    changed = smoke_copy.execute([*ENTRY, "-n", "--config", 'decoding={"max_new_tokens": 3}'])
    assert f"output: {captions}" in changed, "also where it would be made of other settings"
    smoke_copy.execute(ENTRY)
    assert digests(smoke_copy) == digests(smoke)


def held(path: Path, how: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, how)
    return descriptor


@pytest.mark.parametrize(
    ("lock", "how", "message"),
    [
        (".snakemake/aligncap.lock", fcntl.LOCK_EX, "another run of this checkout is at work"),
        ("work/jobs.lock", fcntl.LOCK_SH, "a job of an earlier run"),
    ],
)
def test_a_second_run_is_refused_in_one_line(project: Project, lock: str, how: int, message: str) -> None:
    descriptor = held(project.folder / lock, how)
    text = project.execute([*ENTRY, "-n"], ok=False)
    os.close(descriptor)
    assert text.startswith(message) and text.count("\n") == 1


def test_a_lock_that_a_killed_snakemake_left_is_cleared(project: Project) -> None:
    locks = project.folder / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/smoke/run.json\n")
    target = "results/smoke/run.json"
    assert "LockException" in project.run(*SMOKE, "--", target, ok=False)
    project.execute([*ENTRY, "--", target])
    assert (project.folder / target).is_file()


def test_a_config_error_is_one_line(project: Project) -> None:
    text = project.execute([*ENTRY, "--config", 'preference={"bta": 1}'], ok=False)
    assert text == "--config: preference.bta: unknown key (did you mean beta?)\n"
