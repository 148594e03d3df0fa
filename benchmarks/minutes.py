"""Where the time of a run of the pipeline went: seconds by rule, and how busy the cores were.

Reads what Snakemake measured of each job and the times in the run's log. The busy share is the processor time of all
jobs, divided by wall time and cores; what is missing is Snakemake between two jobs, and threads that wait for each
other or for the disk.

    python benchmarks/minutes.py default
"""

import argparse
import os
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from aligncap.evaluation.wording import markdown_table

COLUMNS = ("s", "cpu_time", "max_rss")


def jobs(folder: Path) -> list[tuple[str, float, float, float]]:
    """Return rule, wall seconds, processor seconds and MB of each job."""
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        values = dict(zip(header, rows[-1], strict=True))
        # psutil has nothing to say of a job that is over at once
        numbers = [0.0 if values[name] in ("-", "NA") else float(values[name]) for name in COLUMNS]
        found.append((path.relative_to(folder).parts[0], *numbers))
    return found


def wall_seconds(log: Path) -> float:
    """Return the seconds from the first to the last time in the log of a run."""
    stamps = re.findall(r"^\[(\w{3} \w{3} +\d+ [\d:]{8} \d{4})\]$", log.read_text(encoding="utf-8"), re.MULTILINE)
    first, last = (datetime.strptime(stamps[place], "%a %b %d %H:%M:%S %Y") for place in (0, -1))
    return (last - first).total_seconds()


def main() -> None:
    """Read the run of an experiment, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--folder", type=Path, default=Path(), help="another checkout")
    options = parser.parse_args()
    own = jobs(options.folder / "results" / options.experiment / "benchmarks")
    by_rule: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for rule, *numbers in own:
        by_rule[rule].append((numbers[0], numbers[1], numbers[2]))
    total = sum(job[1] for job in own)
    lines = []
    for rule, spent in sorted(by_rule.items(), key=lambda item: -sum(job[0] for job in item[1])):
        seconds, processor = (sum(job[n] for job in spent) for n in (0, 1))
        share, memory = f"{100 * seconds / total:.0f} %", f"{max(job[2] for job in spent):.0f}"
        lines.append([rule, str(len(spent)), f"{seconds:.0f}", share, f"{processor:.0f}", memory])
    head = ["rule", "jobs", "s", "of all", "processor s", "largest, MB"]
    print("\n".join(markdown_table("lrrrrr", head, lines)))
    processor, cores = sum(job[2] for job in own), os.cpu_count() or 1
    print(f"{len(own)} jobs, {total:.0f} s, {processor:.0f} s of processor time.")
    log = options.folder / "logs" / options.experiment / "run.log"
    if log.is_file():
        wall = wall_seconds(log)
        print(
            f"The run took {wall:.0f} s on {cores} cores, which were busy for {100 * processor / wall / cores:.0f} %."
        )


if __name__ == "__main__":
    main()
