"""The command `aligncap plan`: what it prints, what it computes with, and what it refuses."""

import json
import re
from pathlib import Path

import pytest

from aligncap.planning.assumptions import Assumptions
from aligncap.serving import cli

ROOT = Path(__file__).resolve().parents[3]
PAPER = "experiments/paper.yaml"


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    """Run `aligncap plan` in the project's folder, without models that may lie there."""
    monkeypatch.chdir(ROOT)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["plan", "--models", str(tmp_path), *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def computed(plan):
    def run(*arguments: str) -> dict:
        code, printed, told = plan(*arguments, "--json")
        assert code == 0, told
        return json.loads(printed)

    return run


def stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def test_the_budget_of_docs_scale_is_what_the_command_prints(plan) -> None:
    text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    command, shown = re.search(r"^```sh\naligncap plan (.*)\n```\n\n```text\n(.*?)^```", text, re.M | re.S).groups()
    code, printed, told = plan(*command.split())
    assert code == 0, told
    assert stripped(printed) == stripped(shown)


def test_every_assumption_is_an_option_that_changes_something_and_is_printed(plan, computed, tmp_path: Path) -> None:
    overlay = tmp_path / "openai.yaml"
    overlay.write_text("preference: {judge: {openai: {model: x}}}\njudging: {compared: [local, openai]}\n")
    before = computed(PAPER, str(overlay))
    for name, value in vars(Assumptions()).items():
        option = f"--{name.replace('_', '-')}"
        after = computed(PAPER, str(overlay), option, str(2 * value))
        assert after["assumed"] == {**before["assumed"], name: 2 * value}
        assert {**after, "assumed": None} != {**before, "assumed": None}, f"{option} changes nothing"
    _, printed, _ = plan(PAPER)
    assert all(f"--{name.replace('_', '-')} " in printed for name in vars(Assumptions()))


def test_figures_follow_from_what_is_assumed_and_from_the_card(computed) -> None:
    once, twice, fast = computed(PAPER), computed(PAPER, "--clips", "100000"), computed(PAPER, "--gpu", "h200")
    assert twice["disk_bytes"]["teacher logits"] == pytest.approx(2 * once["disk_bytes"]["teacher logits"])
    assert twice["memory_bytes"] == once["memory_bytes"] == fast["memory_bytes"]
    hours = [sum(own["seconds"] for own in found["stages"]) for found in (fast, once, twice)]
    assert hours == sorted(hours) and hours[0] < hours[1] < hours[2]
    slow = computed(PAPER, "--gpu", "h200", "--bf16-tflops", "1")
    assert sum(own["seconds"] for own in slow["stages"]) > 10 * hours[1]


def test_steps_are_of_stages_that_the_experiment_has(computed, tmp_path: Path) -> None:
    for changes in ("systems: {kd: null, aligncap: null}", "teacher: {live: true}", ""):
        (tmp_path / "less.yaml").write_text(changes or "experiment: same\n")
        found = computed(str(tmp_path / "less.yaml"))
        stages = {own["stage"] for own in found["stages"]}
        assert {own["stage"] for own in found["steps"]} <= stages
        assert ("teacher_logits" in stages) == (changes == "")


def test_systems_their_seeds_and_judges_are_those_of_the_configuration(computed, tmp_path: Path) -> None:
    found = computed(PAPER)
    jobs = {(own["stage"], own["of"]): own["jobs"] for own in found["stages"]}
    assert jobs["train_alignment", "kd"] == jobs["train_preference", "aligncap"] == 3
    assert ("adapt_teacher", "teacher") not in jobs
    assert {own["judge"] for own in found["judges"]} == {"local"}
    overlay = tmp_path / "openai.yaml"
    overlay.write_text(
        "preference: {judge: {name: openai, openai: {model: x}}}\njudging: {compared: []}\n"
        "teacher: {adapt: true}\nsplits: {adapt: 0.1}\n"
    )
    asked = computed(PAPER, str(overlay))
    assert {own["judge"] for own in asked["judges"]} == {"openai"} and asked["judges"][0]["tokens_out"] > 0
    assert ("adapt_teacher", "teacher") in {(own["stage"], own["of"]) for own in asked["stages"]}


def test_the_small_set_up_is_planned_without_fetched_models(computed) -> None:
    found = computed()
    parameters = {own["role"]: own["parameters"] for own in found["models"]}
    assert parameters["LLM"] == 134_515_008 and parameters["ASR"] == 72_593_920


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["experiments/smoke.yaml"], "tiny-llama: the shape of random:llama is not known; fetch it"),
        (["experiments/none.yaml"], "none.yaml"),
        ([PAPER, "--gpu", "abacus"], "--gpu: 'abacus', expected one of a100"),
    ],
)
def test_what_cannot_be_planned_is_one_line(plan, arguments: list[str], told: str) -> None:
    code, printed, said = plan(*arguments)
    assert (code, printed) == (2, "") and told in said and len(said.strip().splitlines()) == 1
