"""A whole run of the pipeline from a bare clone, against that of another commit, in turn; both in this environment.

Nobody else may use the machine. Everything that rules do is in the time, fetching weights as well; setting up the
environment is not. `--keep` leaves the last clone of each side, with its results, for `tools/run_minutes.py`. What
follows `--` goes to `tools/run_pipeline.py`; nothing: the demo.

    python benchmarks/whole_run.py 707f353 --rounds 3
    python benchmarks/whole_run.py 707f353 --rounds 1 -- --configfile experiments/emosec.yaml
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from clips import parser_of_turns, speed_lines, take_turns

from aligncap.evaluation.wording import markdown_table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared"  # what the experiments on recordings read, beside the checkout


def bare_clone(commit: str, folder: Path) -> None:
    """Make a checkout of a commit in which nothing has run."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, folder], check=True)
    subprocess.run(["git", "checkout", "--quiet", commit], cwd=folder, check=True)


def run(folder: Path, arguments: list[str]) -> None:
    """Run its pipeline to the end."""
    there = os.environ | {"PYTHONPATH": str(folder)}
    with (folder / "whole_run.log").open("w") as log:
        line = [sys.executable, "tools/run_pipeline.py", *arguments]
        subprocess.run(line, cwd=folder, env=there, check=True, stdout=log, stderr=subprocess.STDOUT)


def main() -> None:
    """Read the options, run both in turn, and print a table."""
    parser = parser_of_turns(__doc__)
    parser.add_argument("commit", help="the other commit of this repository")
    parser.add_argument("--keep", type=Path, help="a folder for the clones")
    given = sys.argv[1:]
    own = given.index("--") if "--" in given else len(given)
    options, arguments = parser.parse_args(given[:own]), given[own + 1 :]
    with tempfile.TemporaryDirectory() as temporary:
        base = (options.keep or Path(temporary)).resolve()
        base.mkdir(parents=True, exist_ok=True)
        if DATA.is_dir() and not (base / DATA.name).exists():
            (base / DATA.name).symlink_to(DATA)

        def way(name: str, commit: str) -> None:
            bare_clone(commit, base / name)
            run(base / name, arguments)

        spent, _ = take_turns(
            {options.commit: lambda: way("other", options.commit), "this": lambda: way("this", "HEAD")},
            options.rounds,
            warm=0,
        )
    title = " ".join(["run_pipeline.py", *arguments])
    print("\n".join(markdown_table("lrr", [f"`{title}`", "s", "times as fast"], speed_lines(spent))))


if __name__ == "__main__":
    main()
