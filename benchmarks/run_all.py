"""Run every benchmark of speed, one after another, and write what they print to a file. `make bench` runs this.

Nobody else may use the machine meanwhile. Each is a script of its own that a person can run with other numbers; one
that fails is named in the file and in the exit code, and the others go on.

    python benchmarks/run_all.py benchmarks/results.md --clips ../shared/data/emodb/audio --language de
"""

import argparse
import os
import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch

from aligncap import artifacts

HERE = Path(__file__).resolve().parent
LIBRARIES = ("torch", "transformers", "peft", "faster-whisper", "ctranslate2", "pycocoevalcap", "numpy")
AHEAD = (
    "Times are medians of rounds in which all ways of a table take turns. Behind the ratio of the medians stand the "
    "smallest and the largest ratio of a round. A way without a ratio above 1 is not faster."
)


def processor() -> str:
    """Name the processor and its instructions for bf16."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{names[0] if names else platform.processor()} ({', '.join(known)}), {os.cpu_count()} cores"


def commands(options: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Return title and arguments of each benchmark."""
    clips, rounds = str(options.clips), ["--rounds", str(options.rounds)]
    made = [
        ("Speech features and transcripts", ["listening.py", clips, "--language", options.language, "--clips", "16"]),
        ("Captioning a test set", ["captioning.py", clips, "--clips", "16"]),
        ("Candidates", ["sampling.py", clips]),
        ("A step of KD-Regularization", ["kd_step.py", options.system, *options.experiment]),
        ("A step of PO-Regularization", ["preference_step.py"]),
        ("Precision", ["precision.py"]),
        ("Text metrics", ["metrics.py", "--systems", "5"]),
        ("Bootstrap", ["resampling.py", "--looped", "2"]),
    ]
    if options.against is not None:
        first = str(next(path for path in sorted(options.clips.iterdir()) if path.is_file()))
        there = ["--against", str(options.against), "--against-checkpoint", str(options.against_checkpoint)]
        made.append(("A cold start", ["cold_start.py", first, *there]))
    return [(title, [*line, *rounds]) for title, line in made]


def main() -> int:
    """Run all, write the file, and return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=Path, required=True, help="a folder of recordings")
    parser.add_argument("--language", required=True, help="theirs")
    parser.add_argument("--experiment", nargs="*", default=[], help="overlays of an experiment that has run")
    parser.add_argument("--system", default="kd", help="one of its systems with a teacher")
    parser.add_argument("--against", type=Path, help="another checkout, for the cold start")
    parser.add_argument("--against-checkpoint", type=Path, help="a checkpoint that its code reads")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    text = ["# Speed", "", f"{processor()}; {libraries}; {torch.get_num_threads()} threads of torch.", "", AHEAD, ""]
    failed = 0
    for title, line in commands(options):
        begun = time.monotonic()
        done = subprocess.run([sys.executable, HERE / line[0], *line[1:]], capture_output=True, text=True, check=False)
        failed += done.returncode != 0
        last = next((own for own in reversed(done.stderr.splitlines()) if own.strip()), "")
        said = done.stdout.strip() if done.returncode == 0 else f"Failed: {last}"
        text += [f"## {title}", "", f"`python benchmarks/{shlex.join(line)}`", "", said, ""]
        print(f"{title}: {'failed' if done.returncode else 'done'} in {time.monotonic() - begun:.0f} s", flush=True)
        artifacts.write_text("\n".join(text), options.out)
    return failed


if __name__ == "__main__":
    sys.exit(main())
