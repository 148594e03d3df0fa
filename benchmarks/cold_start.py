"""How long a new process takes for the first caption and for `--help`, against another checkout, in turn.

python benchmarks/cold_start.py recording.wav --against ../checkout-of-707f353 --against-checkpoint its/checkpoint
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from clips import parser_of_turns, speed_lines, take_turns

from aligncap.evaluation.wording import markdown_table
from aligncap.serving.locations import PRETRAINED

ROOT = Path(__file__).resolve().parents[1]
HELP_ROUNDS = 3  # for each caption, as help takes less


def told(code: Path, *arguments: str) -> str:
    """Run a checkout's command line and return what it prints."""
    there = os.environ | {"PYTHONPATH": str(code.resolve())}
    line = [sys.executable, "-m", "aligncap.serving.cli", *arguments]
    return subprocess.run(line, cwd=code, env=there, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Read the options, time all in turn, and print two tables."""
    parser = parser_of_turns(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--against-checkpoint", type=Path, help="a checkpoint that its code reads")
    options = parser.parse_args()
    sides = {"this": (ROOT, options.checkpoint)}
    if options.against is not None:
        sides = {options.against.name: (options.against, options.against_checkpoint), **sides}
    file, models = str(options.file.resolve()), str(options.models.resolve())

    def caption(code: Path, checkpoint: Path) -> str:
        return told(code, "caption", file, "--model", str(checkpoint.resolve()), "--models", models)

    captions: dict[str, Any] = {name: lambda side=side: caption(*side) for name, side in sides.items()}
    helped: dict[str, Any] = {name: lambda side=side: told(side[0], "--help") for name, side in sides.items()}
    for title, ways, rounds in (
        ("first caption", captions, options.rounds),
        ("`--help`", helped, HELP_ROUNDS * options.rounds),
    ):
        spent, found = take_turns(ways, rounds)
        assert all(found.values())
        print("\n".join(markdown_table("lrr", [title, "s", "times as fast"], speed_lines(spent))))


if __name__ == "__main__":
    main()
