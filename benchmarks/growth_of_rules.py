"""Memory and processor time of every rule at growing numbers of utterances: the smoke DAG on larger synthetic corpora.

Each number is a whole run in a bare clone, one job after another: so many training utterances, a fifth as many test
utterances, and candidates for all of those that preference pairs may come of. Models are random and tiny, so that what
grows with the corpus is not hidden behind them. Figures are what Snakemake measured of each rule's jobs, the largest in
memory and all of them in time. Memory is resident, so it holds pages of mapped files too, which the system may drop.
It is looked at every half second at first and every 30 s later, so that a short peak may be missed.

    python benchmarks/growth_of_rules.py --numbers 1000 10000
    python benchmarks/growth_of_rules.py --numbers 1000 10000 -- results/smoke/plan.parquet
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from whole_run import bare_clone, run

from aligncap.evaluation.wording import markdown_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

SAMPLES = 4  # candidates of an utterance


def arguments(number: int, files: list[str]) -> list[str]:
    """Return the arguments of a run with so many training utterances, to these files or to the end."""
    corpora = {"synthetic_en": {"clips": number}, "synthetic_de": {"clips": number // 5}}
    preference = {"candidates": {"utterances": number, "samples": SAMPLES}}
    values = [f"corpora={json.dumps(corpora)}", f"preference={json.dumps(preference)}"]
    return ["-j", "1", "--configfile", "experiments/smoke.yaml", "--config", *values, "--", *files]


def measured(folder: Path) -> dict[str, tuple[float, float]]:
    """Return the largest memory, MB, and the processor time, s, of each rule of a finished run."""
    from run_minutes import spent_by
    from run_progress import measured_jobs
    from run_resources import MIB

    found: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for rule, columns in measured_jobs(folder / "results" / "smoke" / "benchmarks"):
        spent, (memory, seconds) = spent_by(columns), found[rule]
        found[rule] = max(memory, MIB * spent.memory), seconds + spent.processor
    return found


def main() -> None:
    """Run each number, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", nargs="+", type=int, default=[1_000, 10_000])
    parser.add_argument("files", nargs="*", help="files below results/smoke to stop at; nothing: the whole run")
    parser.add_argument("--commit", default="HEAD", help="what is run; only what is committed is")
    options = parser.parse_args()
    runs = {}
    for number in options.numbers:
        with tempfile.TemporaryDirectory() as scratch:
            bare_clone(options.commit, Path(scratch))
            try:
                run(Path(scratch), arguments(number, options.files))
            except subprocess.CalledProcessError:
                sys.exit((Path(scratch) / "whole_run.log").read_text()[-3000:])
            runs[number] = measured(Path(scratch))
    first, last = runs[options.numbers[0]], runs[options.numbers[-1]]
    lines = []
    for rule in sorted(last, key=lambda rule: -last[rule][0]):
        figures = [f"{runs[number][rule][kind]:,.0f}" for kind in (0, 1) for number in options.numbers]
        added = options.numbers[-1] - options.numbers[0]
        each = 1000 * (last[rule][0] - first[rule][0]) / added if added else 0.0
        lines.append([rule, *figures, f"{each:.1f}"])
    head = [f"{what}, {number:,}" for what in ("MB", "processor s") for number in options.numbers]
    print("\n".join(markdown_table("l" + "r" * (len(head) + 1), ["rule", *head, "kB more an utterance"], lines)))


if __name__ == "__main__":
    main()
