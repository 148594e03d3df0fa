"""What each rule asks for beside what its jobs took in a finished run: memory, minutes and the accelerator.

What is asked for is read from rules/*.smk: what a first attempt asks for. What was taken is what Snakemake measured:
the largest resident memory of a job and its children together, and the longest job. A rule that took more than it asks
for has a mark, and the tool then fails.

    python tools/run_resources.py default
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from run_minutes import Spent, spent_by
from run_progress import measured_jobs

from aligncap.evaluation.wording import markdown_table

RULE = re.compile(r"^ *(?:use rule (\w+) as (\w+) with|rule (\w+)):$", re.MULTILINE)
MIB = 1.048576  # MB; Snakemake measures MiB and calls them MB, and mem_mb is MB
HEAD = ["rule", "jobs", "GPU", "asks, MB", "took, MB", "asks, min", "took, min", ""]


class Asks(NamedTuple):
    """What a rule asks for."""

    gpu: bool
    megabytes: int
    minutes: int


def asked_by(rules: Path) -> dict[str, Asks]:
    """Return what each rule of the workflow asks for; one that uses another asks for as much, if it says nothing."""
    found: dict[str, Asks] = {}
    for path in sorted(rules.glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        heads = list(RULE.finditer(text))
        for number, head in enumerate(heads):
            base, derived, plain = head.groups()
            own = text[head.end() : heads[number + 1].start() if number + 1 < len(heads) else len(text)]
            figures = [re.search(rf"\b{name}=\D*?(\d+)", own) for name in ("mem_mb", "runtime")]
            if all(figures):
                found[plain or derived] = Asks("gpu=" in own, *(int(figure[1]) for figure in figures if figure))
            elif base in found:
                found[derived] = found[base]
    return found


def main() -> None:
    """Read the run of an experiment, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--folder", type=Path, default=Path(), help="another checkout, where it ran")
    options = parser.parse_args()
    asked = asked_by(Path("rules"))
    taken: dict[str, list[Spent]] = defaultdict(list)
    for rule, columns in measured_jobs(options.folder / "results" / options.experiment / "benchmarks"):
        taken[rule].append(spent_by(columns))
    lines, more = [], []
    for rule, (gpu, megabytes, minutes) in asked.items():
        if not (jobs := taken.get(rule)):
            continue
        memory, longest = max(job.memory for job in jobs) * MIB, max(job.wall for job in jobs) / 60
        if memory > megabytes or longest > minutes:
            more.append(rule)
        mark = "more than asked" if rule in more else ""
        numbers = [f"{megabytes:,}", f"{memory:,.0f}", str(minutes), f"{longest:.1f}"]
        lines.append([rule, str(len(jobs)), "yes" if gpu else "", *numbers, mark])
    print("\n".join(markdown_table("lrlrrrrl", HEAD, lines)))
    absent = sorted(set(asked) - set(taken))
    print(f"{len(lines)} rules, {sum(map(len, taken.values()))} jobs; not in this run: {', '.join(absent) or 'none'}.")
    if more:
        sys.exit(f"{', '.join(more)}: took more than asked for; raise it in rules/")


if __name__ == "__main__":
    main()
