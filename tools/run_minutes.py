"""Where the time of a run of the pipeline went: seconds by rule, and how busy the cores were.

Reads what Snakemake measured of each job and the times in the run's log. The busy share is the processor time of all
jobs, divided by wall time and cores; what is missing is Snakemake between two jobs, and threads that wait for each
other or for the disk.

    python tools/run_minutes.py default
"""

import argparse
import os
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from run_progress import measured_jobs

from aligncap.evaluation.wording import markdown_table

COLUMNS = ("s", "cpu_time", "max_rss")


class Spent(NamedTuple):
    """What a job took: wall seconds, processor seconds, MB."""

    wall: float
    processor: float
    memory: float


def spent_by(columns: dict[str, str]) -> Spent:
    """What Snakemake measured of a job; psutil has nothing to say of one that is over at once."""
    return Spent(*(0.0 if columns[name] in ("-", "NA") else float(columns[name]) for name in COLUMNS))


def wall_seconds(log: Path) -> float:
    """Return the seconds from the first to the last time in the log, of each run that it holds, added up.

    Snakemake begins a run with a line about the hosts that share files; the log is not emptied between two runs.
    """
    spent = 0.0
    for run in re.split(
        r"^Assuming unrestricted shared filesystem usage", log.read_text(encoding="utf-8"), flags=re.MULTILINE
    ):
        stamps = re.findall(r"^\[(\w{3} \w{3} +\d+ [\d:]{8} \d{4})\]$", run, re.MULTILINE)
        if stamps:
            first, last = (datetime.strptime(stamps[place], "%a %b %d %H:%M:%S %Y") for place in (0, -1))
            spent += (last - first).total_seconds()
    return spent


def main() -> None:
    """Read the run of an experiment, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--folder", type=Path, default=Path(), help="another checkout")
    options = parser.parse_args()
    by_rule: dict[str, list[Spent]] = defaultdict(list)
    for rule, columns in measured_jobs(options.folder / "results" / options.experiment / "benchmarks"):
        by_rule[rule].append(spent_by(columns))
    walls = {rule: sum(job.wall for job in own) for rule, own in by_rule.items()}
    processors = {rule: sum(job.processor for job in own) for rule, own in by_rule.items()}
    total, processor = sum(walls.values()), sum(processors.values())
    lines = []
    for rule in sorted(by_rule, key=lambda rule: -walls[rule]):
        share, memory = f"{100 * walls[rule] / total:.0f} %", f"{max(job.memory for job in by_rule[rule]):.0f}"
        seconds = f"{walls[rule]:.0f}"
        lines.append([rule, str(len(by_rule[rule])), seconds, share, f"{processors[rule]:.0f}", memory])
    head = ["rule", "jobs", "s", "of all", "processor s", "largest, MB"]
    print("\n".join(markdown_table("lrrrrr", head, lines)))
    cores = os.cpu_count() or 1
    print(f"{sum(map(len, by_rule.values()))} jobs, {total:.0f} s, {processor:.0f} s of processor time.")
    log = options.folder / "logs" / options.experiment / "run.log"
    if log.is_file():
        wall = wall_seconds(log)
        print(
            f"Its runs took {wall:.0f} s on {cores} cores, which were busy for {100 * processor / wall / cores:.0f} %."
        )


if __name__ == "__main__":
    main()
