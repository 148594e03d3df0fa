"""What tools/run_pipeline.py prints of a small run: to a file, to a terminal, and when a stage fails."""

import contextlib
import os
import pty
import re
import subprocess
import sys

import pytest
from snakemake_project import SMOKE, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(3600)]

CORPORA = [f"results/smoke/corpora/{name}/audio.parquet" for name in ("synthetic_de", "synthetic_en")]
LOG = "logs/smoke/run.log"
FIRST = f"everything is written to {LOG} (VERBOSE=1 shows it here)"
ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


def entry(*arguments: str, **environment: str) -> list[str]:
    settings = [f"{name}={value}" for name, value in environment.items()]
    return ["env", "-u", "RUN_AGAIN", "-u", "VERBOSE", *settings, sys.executable, "tools/run_pipeline.py", *arguments]


def on_a_terminal(project: Project, command: list[str]) -> str:
    """What the command writes to a terminal, escape codes and all."""
    ours, theirs = pty.openpty()
    environment = project.environment | {"TERM": "xterm"}
    process = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # how the end of a terminal reads
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    assert process.wait() == 0, written.decode()
    return written.decode()


def test_a_file_gets_plain_lines(project: Project) -> None:
    text = project.execute(entry(*CORPORA, *SMOKE))
    first, planned, *lines = text.splitlines()
    assert (first, planned) == (FIRST, "2 jobs of 1 stage")
    assert "\x1b" not in text and "\r" not in text
    assert re.fullmatch(r"  prepare_corpus +\d+\.\d s  2 jobs", lines[-1])
    told = (project.folder / LOG).read_text(encoding="utf-8")
    assert "rule prepare_corpus:" in told and "INFO aligncap." in told, "Snakemake's text and that of the jobs"
    assert project.execute(entry(*CORPORA, *SMOKE)).splitlines() == [FIRST, "nothing to do: everything is up to date"]


def test_a_terminal_gets_a_bar_that_goes(project: Project) -> None:
    text = on_a_terminal(project, entry(*CORPORA, *SMOKE))
    assert text.startswith(f"{FIRST}\r\n")
    assert re.search(r"━.* 0 of 2 jobs.*prepare_corpus", text)
    lines = text.replace("\r\n", "\n").split("\n")
    assert len(lines) <= 80
    left = [ESCAPE.sub("", line.rsplit("\r", 1)[-1]) for line in lines]
    assert any(re.fullmatch(r"  prepare_corpus +\d+\.\d s  2 jobs", line) for line in left)


def test_a_finished_run_ends_with_the_summary(smoke_copy: Project) -> None:
    text = on_a_terminal(smoke_copy, entry("--forcerun", "report", *SMOKE)).replace("\r\n", "\n")
    assert "zero-shot on synthetic_de" in text and text.endswith("report: results/smoke/report.html\n")
    assert re.search(r"^  \d+ others +\d+\.\d s$", text, re.MULTILINE) and text.count("\n") <= 80


def test_a_failure_shows_the_rule_the_log_and_the_command(project: Project) -> None:
    project.edit("aligncap/provenance.py", "def write_snapshot(", "def write_snap(")
    target = ("results/smoke/run.json", *SMOKE)
    lines = project.execute(entry(*target), ok=False).splitlines()
    assert lines[:3] == [FIRST, "1 job of 1 stage", "FAILED snapshot; the end of logs/smoke/snapshot/run.log:"]
    assert lines[-2].startswith("  | ImportError: cannot import name 'write_snapshot'") and len(lines) < 20
    command = f"{sys.executable} tools/run_pipeline.py {' '.join(target)}"
    assert lines[-1] == f"stopped with 0 of 1 job done; to continue: {command}"
    assert project.execute(entry(*target, RUN_AGAIN="make demo"), ok=False).endswith("to continue: make demo\n")


def test_an_error_of_the_plan_is_shown(project: Project) -> None:
    text = project.execute(entry("results/smoke/nothing", *SMOKE), ok=False)
    assert "No rule to produce results/smoke/nothing" in text and "to continue: " in text


def test_verbose_and_dry_runs_are_snakemakes_own(project: Project) -> None:
    for command in (entry(*CORPORA, *SMOKE, "-n"), entry(*CORPORA, *SMOKE, VERBOSE="1")):
        text = project.execute(command)
        assert "rule prepare_corpus:" in text and "everything is written to" not in text
    assert not (project.folder / LOG).exists()
