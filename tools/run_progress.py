"""How far a run of the pipeline is: jobs planned, done and at work, and how long the rest may take."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

ENOUGH = 0.25  # share of the jobs after which their pace says something about the rest


@dataclass(frozen=True)
class Job:
    """A job at work."""

    rule: str
    wildcards: dict[str, str]
    log: list[str]
    quick: bool
    since: float

    @property
    def of(self) -> str:
        """What of: the values of its wildcards."""
        return " ".join(self.wildcards.values())

    def seconds(self, now: float) -> float:
        """Seconds since its start."""
        return max(0.0, now - self.since)


def measured_jobs(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Rule and columns of each job that Snakemake measured, from its benchmark files.

    A file that a killed run left empty or half written is passed over.
    """
    for path in sorted(folder.rglob("*.tsv")):
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        for row in lines[1:]:
            if len(row) == len(lines[0]):
                yield path.relative_to(folder).parts[0], dict(zip(lines[0], row, strict=True))


def benchmarks(folder: Path) -> dict[str, list[float]]:
    """Seconds that each job of each rule took when it last ran."""
    spent: dict[str, list[float]] = defaultdict(list)
    for rule, columns in measured_jobs(folder):
        with contextlib.suppress(LookupError, ValueError):
            spent[rule].append(float(columns["s"]))
    return dict(spent)


class Progress:
    """Jobs of one run by rule.

    Args:
        earlier: seconds of the jobs of earlier runs by rule, where there are any.
    """

    def __init__(self, earlier: dict[str, list[float]]) -> None:
        self.earlier = earlier
        self.plan: dict[str, int] = {}
        self.running: dict[int, Job] = {}
        self.spent: dict[str, list[float]] = {}
        self.begun: float | None = None

    @property
    def total(self) -> int:
        """Number of jobs that the run consists of."""
        return sum(self.plan.values())

    @property
    def done(self) -> int:
        """Number of jobs that are done."""
        return sum(map(len, list(self.spent.values())))

    def start(self, number: int, job: Job) -> None:
        """A job has begun."""
        self.begun = job.since if self.begun is None else self.begun
        self.running[number] = job

    def finish(self, number: int, now: float) -> Job | None:
        """A job is done; None where its start was not heard of."""
        job = self.running.pop(number, None)
        if job is not None:
            self.spent[job.rule] = [*self.spent.get(job.rule, []), job.seconds(now)]
        return job

    def ended(self, rule: str) -> bool:
        """Whether no job of a rule is left."""
        return len(self.spent.get(rule, [])) >= self.plan.get(rule, 0)

    def seconds_left(self, now: float) -> float | None:
        """Seconds that the rest may take, None as long as there is nothing to go on.

        Each job left counts as those of its rule took in this run, else in earlier ones. Where a rule has not run yet,
        only the pace of the jobs so far is known, after a quarter of them.
        """
        running = list(self.running.values())  # copies: a bar asks while events come in
        spent = {rule: known for rule, known in list({**self.earlier, **self.spent}.items()) if known}
        if self.begun is None or now <= self.begun or self.done >= self.total:
            return None
        passed = now - self.begun
        waiting = {rule: number - len(self.spent.get(rule, [])) for rule, number in self.plan.items()}
        for job in running:
            waiting[job.rule] = waiting.get(job.rule, 1) - 1
        waiting = {rule: number for rule, number in waiting.items() if number > 0}
        if waiting.keys() | {job.rule for job in running} <= spent.keys():
            each = {rule: fmean(known) for rule, known in spent.items()}
            rest = sum(number * each[rule] for rule, number in waiting.items())
            rest += sum(max(0.0, each[job.rule] - job.seconds(now)) for job in running)
            busy = sum(map(sum, list(self.spent.values()))) + sum(job.seconds(now) for job in running)
            return rest / max(1.0, busy / passed)  # as many at once as until now
        if self.done < ENOUGH * self.total:
            return None
        return passed / self.done * (self.total - self.done)


def in_words(seconds: float) -> str:
    """A duration that is an estimate: no finer than a minute."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 60 else f"about {minutes // 60} h {minutes % 60} min"
