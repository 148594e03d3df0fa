"""What a person sees of a run: a line a finished stage, a live bar on a terminal, warnings, and what went wrong.

The events are those of tools/logger/snakemake_logger_plugin_aligncap, lines of JSON. A stage is a rule; its line comes
when its last job is done. The number of lines does not grow with the number of jobs.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any, TextIO

from run_progress import Job, Progress, in_words

from aligncap.job import LESS_MEMORY

TAIL = 15  # lines of a log that a failure shows
QUICK = 30  # minutes: a rule that asks for no more shares its line with others
SHARED = 5  # quick rules in a line
WARNINGS = 8  # different ones that are shown
BLOCKS = 3  # failures whose logs are shown, where --keep-going brings more
WIDTH = 160  # of a warning
BAR = 12  # columns
# Who kills like this is most often the kernel; what helps is what a job says itself that was refused memory.
KILLED = f"out of memory? {LESS_MEMORY}"
OF_A_LOG = re.compile(r"\d\d:\d\d:\d\d WARNING \S+: (?:\S+:\d+: (?=\w*Warning: ))?(.*)")  # aligncap/job.py writes it


class Screen:
    """Where lines go: plain, or above a bar on a terminal.

    Args:
        stream: what to write to.
        bar: gives the bar's share of the work that is done and its text.
    """

    def __init__(self, stream: TextIO, bar: Callable[[], tuple[float, str]] | None = None) -> None:
        from rich.console import Console

        self.stream = stream
        self.bar = bar
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.plain = not stream.isatty() or self.console.is_dumb_terminal

    def write(self, line: str, style: str = "") -> None:
        """Write a line."""
        if self.plain:
            print(line, file=self.stream, flush=True)
        else:
            self.console.print(line, style=style or None)

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show the bar for as long as this lasts."""
        if self.plain or self.bar is None:
            yield
            return
        from rich.live import Live

        live = Live(console=self.console, get_renderable=self._bar, refresh_per_second=2, transient=True)
        with live:
            self.console.show_cursor(True)  # rich hides it, and nobody would bring it back after a kill
            yield

    def _bar(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        share, text = self.bar() if self.bar is not None else (0.0, "")
        row = Table.grid(padding=(0, 1))
        row.add_column(width=BAR, no_wrap=True)  # it keeps its width where the text has to be cut
        row.add_column()
        # One row: more would be written again and again below each other where a terminal is recorded.
        row.add_row(ProgressBar(total=1.0, completed=share, width=BAR), Text(text, no_wrap=True, overflow="ellipsis"))
        return row if text else Text("")


class Display:
    """Turns events into lines.

    Args:
        progress: what is done and what is not.
        log: the file that everything else goes to; what lies in it already is of earlier runs.
        again: the command that continues the run.
        stream: what to write to.
        clock: tells the time.
    """

    def __init__(
        self, progress: Progress, log: Path, again: str, stream: TextIO, clock: Callable[[], float] = time.time
    ) -> None:
        self.progress, self.log, self.again, self.clock = progress, log, again, clock
        self.screen = Screen(stream, self._bar)
        self.offset = log.stat().st_size if log.is_file() else 0
        self.kinds: set[str] = set()
        self.quick: list[str] = []
        self.warnings: set[str] = set()
        self.errors: list[tuple[str, str]] = []  # kind and text, of which no failure has told yet
        self.failures = 0
        self.tenth = 0
        self.stopping = False

    def open(self) -> None:
        """The first line."""
        self.screen.write(f"everything is written to {self.log} (VERBOSE=1 shows it here)")

    def follow(self, descriptor: int) -> None:
        """Show events until the pipe that they come through is closed."""
        with open(descriptor, encoding="utf-8") as events, self.screen.live():
            for line in events:
                try:
                    self.show(json.loads(line))
                except Exception as error:  # whatever a terminal does: the pipe is read, or the run would stop
                    with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as log:
                        print(f"tools/run_display.py: {error!r} at {line.strip()}", file=log)

    def show(self, event: dict[str, Any]) -> None:
        """Show one event."""
        kind = event["kind"]
        self.kinds.add(kind)
        if kind == "plan":
            self.progress.plan = {rule: number for rule, number in event["jobs"].items() if rule != "all"}
            self.screen.write(f"{_count(self.progress.total, 'job')} of {_count(len(self.progress.plan), 'stage')}")
        elif kind == "job" and event["rule"] != "all":
            quick = isinstance(event["minutes"], int) and event["minutes"] <= QUICK
            job = Job(event["rule"], event["wildcards"], event["log"], quick, event["time"])
            self.progress.start(event["id"], job)
        elif kind == "done":
            self._finished(self.progress.finish(event["id"], event["time"]))
        elif kind == "failed":
            self._failed(event, self.progress.running.pop(event["id"], None))
        elif kind == "warning":
            self._warn(" ".join(event["text"].split()))
        elif kind == "error":
            self.errors.append((event["exception"], event["text"]))

    def interrupted(self) -> None:
        """The user wants the run to stop: that its jobs fail now is no news."""
        if not self.stopping:
            self.stopping = True
            self.screen.write("stopping, this may take a moment", "yellow")

    def close(self, status: int) -> bool:
        """The last lines, once Snakemake has ended; whether there were jobs and all are done."""
        if self.kinds <= {"warning", "error"} and status == 0:  # no run, but something like --list-rules
            self.screen.write(self._written().rstrip("\n"))
            return False
        for rule, spent in self.progress.spent.items():
            if not self.progress.ended(rule):
                self._stage(rule, sum(spent), f"{len(spent)} of {_count(self.progress.plan.get(rule, 0), 'job')}")
        self._share_a_line()
        if len(self.warnings) > WARNINGS:
            self.screen.write(f"{len(self.warnings) - WARNINGS} more warnings are in the logs of the jobs", "yellow")
        if status == 0:
            if "plan" not in self.kinds:
                self.screen.write("nothing to do: everything is up to date")
            return "plan" in self.kinds
        if status > 0 and not self.stopping and not self.failures:
            for line in ("\n".join(text for _, text in self.errors) or self._written()).strip().splitlines()[-TAIL:]:
                self.screen.write(line, "red")
        if status < 0:
            why = f" ({KILLED})" if status == -SIGKILL else ""
            self.screen.write(f"Snakemake was ended by signal {-status}{why}", "red")
        made = f" with {self.progress.done} of {_count(self.progress.total, 'job')} done" if self.progress.total else ""
        self.screen.write(f"stopped{made}; to continue: {self.again}")
        return False

    def _bar(self) -> tuple[float, str]:
        now, progress = self.clock(), self.progress
        if not progress.total:
            return 0.0, "planning" if "plan" not in self.kinds else ""
        left = progress.seconds_left(now)
        parts = [f"{progress.done} of {_count(progress.total, 'job')}"]
        if left is not None and not self.failures:
            parts.append(f"{in_words(left)} left")
        for job in list(progress.running.values()):
            minutes, seconds = divmod(int(job.seconds(now)), 60)
            parts.append(f"{job.rule} {job.of}".strip() + f" {minutes}:{seconds:02}")
        return progress.done / progress.total, ", ".join(parts)

    def _finished(self, job: Job | None) -> None:
        if job is None:
            return
        if self.progress.ended(job.rule):
            spent = self.progress.spent[job.rule]
            if job.quick:
                self.quick.append(f"{job.rule} {sum(spent):.1f} s")
            else:
                self._stage(job.rule, sum(spent), job.of if len(spent) == 1 else f"{len(spent)} jobs")
            if len(self.quick) == SHARED:
                self._share_a_line()
        for path in job.log:
            for line in _lines(Path(path), job.since):
                if told := OF_A_LOG.match(line):
                    self._warn(told[1], job.rule)
        tenth = 10 * self.progress.done // max(1, self.progress.total)
        if self.screen.plain and self.tenth < tenth < 10:
            left = None if self.failures else self.progress.seconds_left(self.clock())
            text = f"{self.progress.done} of {_count(self.progress.total, 'job')} done"
            self.screen.write(text if left is None else f"{text}, {in_words(left)} left")
        self.tenth = tenth

    def _stage(self, rule: str, seconds: float, of: str) -> None:
        self.screen.write(f"  {rule:<18}{seconds:8.1f} s  {of}".rstrip())

    def _share_a_line(self) -> None:
        if self.quick:
            self.screen.write(f"  {', '.join(self.quick)}")
            self.quick.clear()

    def _warn(self, text: str, rule: str = "") -> None:
        if text in self.warnings:
            return
        self.warnings.add(text)
        if len(self.warnings) <= WARNINGS:
            line = f"warning: {text}" if not rule else f"warning: {rule}: {text}"
            self.screen.write(line if len(line) <= WIDTH else line[: WIDTH - 1] + "…", "yellow")

    def _failed(self, event: dict[str, Any], job: Job | None) -> None:
        self.failures += 1
        if self.stopping:
            return
        wildcards = ", ".join(f"{name}={value}" for name, value in (job.wildcards if job else {}).items())
        head = f"FAILED {event['rule']}" + (f" ({wildcards})" if wildcards else "")
        kind, text = self.errors.pop() if self.errors else ("", "")
        if signal := re.search(r"died with <Signals\.(\w+)", text):  # Python's words for the end of a process
            head += f", ended by {signal[1]}" + (f" ({KILLED})" if signal[1] == "SIGKILL" else "")
        path, lines = self._tail(event["log"], job.since if job else 0.0)
        if self.failures > BLOCKS:
            self.screen.write(f"{head}: {path}", "red")
            return
        self.screen.write(f"{head}; the end of {path}:", "red")
        if kind != "RuleException":  # that one only says that a script failed: its log says why
            lines = [*text.splitlines()[:TAIL], *lines]
        for line in lines:
            self.screen.write(f"  | {line}")

    def _tail(self, logs: list[str], since: float) -> tuple[Path, list[str]]:
        """Where the failure of a job is told, and its last lines: its log, if it has come as far as to begin one."""
        for path in map(Path, logs):
            if lines := _lines(path, since):
                return path, lines[-TAIL:]
        return self.log, self._written().rstrip("\n").splitlines()[-TAIL:]

    def _written(self) -> str:
        """What this run has written to the file of everything."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(self.offset)
            return file.read().decode(errors="replace")
        return ""


def _lines(path: Path, since: float) -> list[str]:
    """The lines of a log, none where it is of an earlier run."""
    with contextlib.suppress(OSError):
        if path.stat().st_mtime > since - 1:  # a file system's clock is coarse
            return path.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
