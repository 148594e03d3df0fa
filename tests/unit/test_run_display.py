"""What tools/run_pipeline.py shows of a run: Snakemake's events through its logger plugin, as lines."""

import io
import logging
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from aligncap.job import LESS_MEMORY

pytest.importorskip("snakemake_interface_logger_plugins")
TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS), str(TOOLS / "logger")]
from run_display import Display  # noqa: E402
from run_progress import Job, Progress, benchmarks, in_words  # noqa: E402
from snakemake_interface_logger_plugins.common import LogEvent  # noqa: E402
from snakemake_logger_plugin_aligncap import LogHandler, LogHandlerSettings  # noqa: E402

FIRST = "everything is written to {log} (VERBOSE=1 shows it here)"
START = 1000.0


def record(at: float, event: LogEvent | None = None, level: int = logging.INFO, text: str = "", **told):
    made = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    made.created = START + at
    vars(made).update(told | ({"event": event} if event else {}))
    return made


def begin(at: float, number: int, rule: str, minutes: int = 60, log: Path | None = None, **wildcards: str):
    told = {"resources": {"runtime": minutes}, "log": [str(log)] if log else [], "wildcards": wildcards}
    return record(at, LogEvent.JOB_INFO, jobid=number, rule_name=rule, **told)


def end(at: float, number: int):
    return record(at, LogEvent.JOB_FINISHED, job_id=number)


def fail(at: float, number: int, rule: str, log: Path):
    return record(at, LogEvent.JOB_ERROR, logging.ERROR, jobid=number, rule_name=rule, log=[str(log)])


def plan(**jobs: int):
    return record(0, LogEvent.RUN_INFO, stats={**jobs, "all": 1, "total": sum(jobs.values()) + 1})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Run:
    """A display at one end of a pipe, the plugin at the other."""

    def __init__(self, folder: Path, stream: io.StringIO | None = None, dryrun: bool = False) -> None:
        self.log = folder / "run.log"
        self.log.write_text("of an earlier run\n")
        self.stream = io.StringIO() if stream is None else stream
        self.display = Display(Progress({}), self.log, "make demo", self.stream, lambda: START + 100)
        self.dryrun = dryrun

    def show(self, *records: logging.LogRecord, status: int = 0) -> list[str]:
        """All lines after the first."""
        reader, writer = os.pipe()
        handler = LogHandler(SimpleNamespace(dryrun=self.dryrun), LogHandlerSettings(writer))
        self.display.open()
        follower = threading.Thread(target=self.display.follow, args=(reader,))
        follower.start()
        for told in records:
            handler.handle(told)
        os.close(writer)
        follower.join()
        self.over = self.display.close(status)
        first, *lines = self.stream.getvalue().splitlines()
        assert first == FIRST.format(log=self.log)
        return lines

    def job_log(self, *lines: str, at: float = 1.0) -> Path:
        path = self.log.parent / "job.log"
        path.write_text("".join(f"{line}\n" for line in lines))
        os.utime(path, (START + at, START + at))
        return path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_stage_is_a_line_and_quick_ones_share_one(run: Run) -> None:
    lines = run.show(
        record(0, LogEvent.WORKFLOW_STARTED),
        plan(snapshot=1, train_tagger=1, train_alignment=2, devset=1),
        begin(0, 1, "snapshot", minutes=5),
        begin(0, 2, "train_tagger"),
        end(1.5, 1),
        end(12.25, 2),
        begin(13, 3, "train_alignment", system="sft"),
        begin(13, 4, "train_alignment", system="kd"),
        end(20, 3),
        begin(20, 5, "devset", minutes=10),
        end(21, 5),
        end(30, 4),
        begin(30, 0, "all", minutes=5),
        end(30, 0),
    )
    assert lines == [
        "5 jobs of 4 stages",
        "1 of 5 jobs done",
        "  train_tagger          12.2 s",
        "2 of 5 jobs done, about 2 min left",
        "3 of 5 jobs done, about 1 min left",
        "4 of 5 jobs done, less than a minute left",
        "  train_alignment       24.0 s  2 jobs",
        "  snapshot 1.5 s, devset 1.0 s",
    ]
    assert run.over


def test_one_job_of_a_stage_is_named(run: Run) -> None:
    lines = run.show(plan(captions=1), begin(0, 1, "captions", system="kd", corpus="demo"), end(3, 1))
    assert lines == ["1 job of 1 stage", "  captions               3.0 s  kd demo"]


def test_lines_do_not_grow_with_jobs(run: Run) -> None:
    jobs = [told for n in range(500) for told in (begin(n, n, f"rule{n % 47}"), end(n + 1, n))]
    assert len(run.show(plan(**{f"rule{n}": 500 // 47 + (n < 500 % 47) for n in range(47)}), *jobs)) == 1 + 47 + 9


def test_a_warning_is_shown_once(run: Run) -> None:
    log = run.job_log(
        "12:00:00 INFO aligncap.job: hello",
        "12:00:00 WARNING aligncap.probe: meteor will be absent",
        "12:00:01 WARNING py.warnings: /usr/lib/x.py:3: FutureWarning: old",
        "  x = old()",
    )
    lines = run.show(
        record(0, level=logging.WARNING, text="low on\n  space"),
        plan(probe=2),
        begin(0, 1, "probe", log=log),
        end(1, 1),
        begin(1, 2, "probe", log=log),
        end(2, 2),
    )
    shown = [line for line in lines if line.startswith("warning")]
    assert shown == [
        "warning: low on space",
        "warning: probe: meteor will be absent",
        "warning: probe: FutureWarning: old",
    ]


def test_many_warnings_are_counted(run: Run) -> None:
    lines = run.show(*(record(0, level=logging.WARNING, text=f"number {n}") for n in range(20)), plan(probe=1))
    assert len([line for line in lines if line.startswith("warning: ")]) == 8
    assert "12 more warnings are in the logs of the jobs" in lines


def test_a_failure_shows_the_rule_the_end_of_its_log_and_the_command(run: Run) -> None:
    log = run.job_log(*(f"line {n}" for n in range(100)))
    lines = run.show(
        plan(train=2, report=1),
        begin(0, 1, "train", log=log, system="kd"),
        begin(0, 2, "train", log=log, system="sft"),
        record(2, LogEvent.ERROR, logging.ERROR, "RuleException: long", exception="RuleException"),
        fail(2, 1, "train", log),
        end(9, 2),
        record(9, level=logging.ERROR, text="Exiting because a job execution failed."),
        status=1,
    )
    assert lines == [
        "3 jobs of 2 stages",
        f"FAILED train (system=kd); the end of {log}:",
        *(f"  | line {n}" for n in range(85, 100)),
        "1 of 3 jobs done",
        "  train                  9.0 s  1 of 2 jobs",
        "stopped with 1 of 3 jobs done; to continue: make demo",
    ]
    assert not run.over


def test_a_failure_says_what_the_log_of_its_job_cannot(run: Run) -> None:
    log = run.job_log("1 of 9")
    died = "RuleException:\nCommand 'python x.py' died with <Signals.SIGKILL: 9>."
    missing = "MissingOutputException:\nsome output files are missing"
    lines = run.show(
        plan(train=2),
        begin(0, 1, "train", log=log),
        begin(0, 2, "train", log=log),
        record(2, LogEvent.ERROR, logging.ERROR, died, exception="RuleException"),
        fail(2, 1, "train", log),
        record(3, LogEvent.ERROR, logging.ERROR, missing, exception="MissingOutputException"),
        fail(3, 2, "train", log),
        status=1,
    )
    assert lines[1:-1] == [
        f"FAILED train, ended by SIGKILL (out of memory? {LESS_MEMORY}); the end of {log}:",
        "  | 1 of 9",
        f"FAILED train; the end of {log}:",
        *(f"  | {line}" for line in [*missing.splitlines(), "1 of 9"]),
    ]


def test_a_job_that_wrote_no_log_fails_with_the_end_of_the_run_log(run: Run) -> None:
    old = run.job_log("of an earlier run", at=-60)
    run.log.write_text("of an earlier run\nSyntaxError: '(' was never closed\n")
    lines = run.show(plan(train=1), begin(0, 1, "train", log=old), fail(2, 1, "train", old), status=1)
    assert lines[1:3] == [f"FAILED train; the end of {run.log}:", "  | SyntaxError: '(' was never closed"]


def test_of_many_failures_some_show_their_logs(run: Run) -> None:
    log = run.job_log(*(f"line {n}" for n in range(100)))
    jobs = [told for n in range(9) for told in (begin(0, n, "train", log=log), fail(2, n, "train", log))]
    lines = run.show(plan(train=9), *jobs, status=1)
    assert sum(line.startswith("  | ") for line in lines) == 3 * 15
    assert sum(line == f"FAILED train: {log}" for line in lines) == 6


def test_an_error_before_any_job_is_shown(run: Run) -> None:
    error = record(0, LogEvent.ERROR, logging.ERROR, "MissingRuleException:\nNo rule to produce x")
    assert run.show(record(0, LogEvent.WORKFLOW_STARTED), error, status=1) == [
        "MissingRuleException:",
        "No rule to produce x",
        "stopped; to continue: make demo",
    ]


def test_an_error_that_is_no_event_is_shown(run: Run) -> None:
    with run.log.open("a") as log:
        log.write("snakemake: error: unrecognized arguments: --what\n")
    assert run.show(status=2)[0] == "snakemake: error: unrecognized arguments: --what"


def test_a_killed_snakemake_is_named(run: Run) -> None:
    lines = run.show(plan(train=1), begin(0, 1, "train"), status=-9)
    assert lines[-2:] == [
        f"Snakemake was ended by signal 9 (out of memory? {LESS_MEMORY})",
        "stopped with 0 of 1 job done; to continue: make demo",
    ]


def test_failures_after_ctrl_c_are_no_news(run: Run) -> None:
    run.display.stopping = True
    log = run.job_log("interrupted")
    lines = run.show(plan(train=1), begin(0, 1, "train", log=log), fail(2, 1, "train", log), status=1)
    assert lines == ["1 job of 1 stage", "stopped with 0 of 1 job done; to continue: make demo"]


def test_nothing_to_do_is_a_line(run: Run) -> None:
    assert run.show(record(0, LogEvent.WORKFLOW_STARTED)) == ["nothing to do: everything is up to date"]
    assert not run.over


@pytest.mark.parametrize("dryrun", [False, True])
def test_what_is_no_run_says_what_snakemake_says(tmp_path: Path, dryrun: bool) -> None:
    run = Run(tmp_path, dryrun=dryrun)
    with run.log.open("a") as log:
        log.write("all\nfetch_model\n")
    assert run.show(*[plan(train=1)] * dryrun) == ["all", "fetch_model"]
    assert not run.over


def test_on_a_terminal_the_bar_goes_when_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    run = Run(tmp_path, Terminal())
    run.show(plan(train=2), begin(0, 1, "train", system="kd"), end(60, 1), begin(70, 2, "train", system="sft"))
    shown = run.stream.getvalue()
    assert "\x1b[" in shown and "1 of 2 jobs done" not in shown.split("\n")
    share, text = run.display._bar()
    assert (share, text) == (0.5, "1 of 2 jobs, less than a minute left, train sft 0:30")


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    run = Run(tmp_path, Terminal())
    run.show(plan(train=1), begin(0, 1, "train"), end(60, 1))
    assert "\x1b" not in run.stream.getvalue()


def test_a_run_goes_on_when_nobody_listens(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    handler = LogHandler(SimpleNamespace(dryrun=False), LogHandlerSettings(writer))
    os.close(reader)
    handler.handle(plan(train=1))
    assert handler.pipe is None
    os.close(writer)


def test_a_display_that_cannot_write_reads_on(run: Run) -> None:
    run.stream.close()
    reader, writer = os.pipe()
    os.write(writer, b'{"kind": "plan", "jobs": {"train": 1}, "time": 0}\n' * 3)
    os.close(writer)
    run.display.follow(reader)
    assert run.log.read_text().count("tools/run_display.py: ValueError") == 3


def job(rule: str, since: float) -> Job:
    return Job(rule, {}, [], False, since)


def test_time_left_counts_jobs_as_long_as_earlier_ones() -> None:
    progress = Progress({"train": [100.0, 140.0], "report": [10.0]})
    progress.plan = {"train": 3, "report": 1}
    assert progress.seconds_left(0.0) is None
    progress.start(1, job("train", 0.0))
    assert progress.seconds_left(20.0) == 120 - 20 + 2 * 120 + 10
    progress.finish(1, 60.0)  # this run is faster
    progress.start(2, job("train", 60.0))
    assert progress.seconds_left(80.0) == 60 - 20 + 60 + 10


def test_time_left_heeds_how_many_run_at_once() -> None:
    progress = Progress({"train": [100.0]})
    progress.plan = {"train": 4}
    for number in (1, 2):
        progress.start(number, job("train", 0.0))
    assert progress.seconds_left(50.0) == (50 + 50 + 2 * 100) / 2


def test_without_earlier_runs_the_pace_counts_after_a_quarter() -> None:
    progress = Progress({})
    progress.plan = {"prepare": 1, "train": 2, "report": 1}
    progress.start(1, job("prepare", 0.0))
    assert progress.seconds_left(30.0) is None
    progress.finish(1, 30.0)
    assert progress.seconds_left(30.0) == 90.0


@pytest.mark.parametrize(
    ("seconds", "words"), [(20, "less than a minute"), (200, "about 3 min"), (4000, "about 1 h 7 min")]
)
def test_an_estimate_is_no_finer_than_a_minute(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_benchmarks_are_read_by_rule(tmp_path: Path) -> None:
    for name, seconds in {"train/kd": 2.0, "train/sft": 3.0, "report": 1.0}.items():
        path = tmp_path / f"{name}.tsv" if "/" in name else tmp_path / name / "report.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    for name, text in {"empty": "", "half": "s\th:m:s\n1.5", "none": "s\n-\n"}.items():  # as a kill leaves them
        (tmp_path / "train" / f"{name}.tsv").write_text(text)
    assert benchmarks(tmp_path) == {"report": [1.0], "train": [2.0, 3.0]}


def test_the_pause_between_two_runs_is_no_time_of_a_run(tmp_path: Path) -> None:
    from run_minutes import wall_seconds

    begun = "Assuming unrestricted shared filesystem usage.\n"
    first = "[Mon Nov 30 10:00:00 2026]\n[Mon Nov 30 10:08:00 2026]\n"
    (tmp_path / "run.log").write_text(
        begun + first + begun + "[Tue Dec  1 10:00:00 2026]\n[Tue Dec  1 10:00:05 2026]\n"
    )
    assert wall_seconds(tmp_path / "run.log") == 485
