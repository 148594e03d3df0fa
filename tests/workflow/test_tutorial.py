"""The commands of docs/tutorial.md and docs/running.md, word for word, on the tiny models of experiments/smoke.yaml."""

import json
import re
import shlex
import sys

import pytest
from snakemake_project import ROOT, Project
from voice import write_voice

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

SHORT_NAMES = {
    "aligncap": f"{sys.executable} -m aligncap.serving.cli",
    "python": sys.executable,
    "snakemake": f"{sys.executable} -m snakemake",
    "make run CONFIG=": f"{sys.executable} tools/run_pipeline.py --configfile ",
}


def blocks(document: str, heading: str, language: str = "sh") -> list[str]:
    """The lines of the fenced blocks of one language in a section of a document."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1]
    section = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return "".join(found).splitlines()


def at_tiny_scale(command: str) -> str:
    """A command of the docs on the smoke experiment instead of the default one, by this interpreter."""
    for name, path in SHORT_NAMES.items():
        command = re.sub(rf"^{name}(?=\W|$)" if name.isalpha() else rf"^{name}", path, command)
    command = command.replace("results/default", "results/smoke")
    return command.replace(
        "--configfile experiments/tutorial", "--configfile experiments/smoke.yaml experiments/tutorial"
    )


def follow(project: Project, document: str, heading: str) -> list[str]:
    """What each command of a section prints."""
    return [project.execute(["bash", "-c", at_tiny_scale(line)]) for line in blocks(document, heading)]


def test_the_tutorial_can_be_followed(smoke_copy: Project) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    setup, demo, activate = blocks("tutorial.md", "1. Train")
    assert {shlex.split(setup)[1], shlex.split(demo)[1]} <= set(targets) and activate == ". .venv/bin/activate"

    table, captions = follow(smoke_copy, "tutorial.md", "2. Look at what came out")
    assert "aligncap" in table and "tag_template" in table and len(captions.splitlines()) > 1

    write_voice(smoke_copy.folder / "my.wav")
    plain, told = follow(smoke_copy, "tutorial.md", "3. Caption your own recording")
    said = next(json.loads(line) for line in told.splitlines() if line.startswith("{"))
    assert "my.wav: " in plain and said["path"] == "my.wav" and "clues" in said

    (explained,) = follow(smoke_copy, "tutorial.md", "4. Ask a run about one clip")
    assert "de_0003" in explained and "tag_template" in explained

    overlay = "\n".join(blocks("tutorial.md", "5. Compare a system of your own", "yaml"))
    (smoke_copy.folder / "experiments/tutorial.yaml").write_text(overlay + "\n", encoding="utf-8")
    plan, run, claims, agreement = follow(smoke_copy, "tutorial.md", "5. Compare a system of your own")
    assert "system=gentle" in plan and "rule train_alignment" not in plan and "rule candidates" not in plan
    assert "gentle" in run and "report: results/smoke/report.html" in run
    assert "gentle - aligncap" in claims and "gentle" in agreement


def test_the_commands_of_rerunning_one_stage_do_what_is_said(smoke_copy: Project) -> None:
    forced, changed, until, one = [
        smoke_copy.execute(["bash", "-c", at_tiny_scale(line)]) for line in blocks("running.md", "One stage again")
    ]
    assert "rule train_preference" in forced and "rule candidates" not in forced
    assert "rule train_preference" in changed and "rule candidates" not in changed
    assert "Nothing to be done" in until and "Nothing to be done" in one


def test_the_systems_of_the_docs_can_be_planned(project: Project) -> None:
    overlay = "\n".join(blocks("extending.md", "A new system", "yaml"))
    (project.folder / "experiments/mine.yaml").write_text(overlay + "\n", encoding="utf-8")
    (command,) = blocks("extending.md", "A new system")
    plan = project.execute(["bash", "-c", at_tiny_scale(command.replace("emosec", "smoke"))])
    trained = set(re.findall(r"^    wildcards: system=(\S+)$", plan, re.MULTILINE))
    assert {"kd_heavy", "kd_plain", "aligncap_ipo", "second_round", "kd_seeds", "kd_seeds@1"} <= trained


def test_the_overlay_of_another_llm_is_valid_and_can_be_planned(project: Project) -> None:
    overlay = re.search(r"^```yaml\n(.*?)^```", (ROOT / "docs/models.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert overlay
    (project.folder / "experiments/mine.yaml").write_text(overlay[1], encoding="utf-8")
    assert "models/qwen2.5-0.5b/manifest.json" in project.run("-n", "--configfile", "experiments/mine.yaml")
