"""Run the pipeline, one run at a time in a checkout: `python tools/run_pipeline.py [--no-audio] [Snakemake's own]`.

What plain `snakemake` lacks: after `kill -9` it stops with LockException although nobody is at work. Here a lock of the
operating system, which dies with its holder, says whether somebody is; if not, Snakemake's own is cleared first.
"""

import argparse
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from aligncap.config import AlignCapConfig, Optimisation
from aligncap.errors import AlignCapError
from aligncap.systems import corpus_names, lineage, merge, parse

RUN_LOCK = Path(".snakemake") / "aligncap.lock"
JOBS_LOCK = Path("work") / "jobs.lock"  # each job holds a share of it (aligncap/job.py)
NO_AUDIO = "--no-audio"  # our own: the report holds no recordings
QUIET = {"-n", "--dry-run", "--dryrun", "--lint", "--unlock", "--dag", "--rulegraph", "--summary", "-h", "--help"}


def take(path: Path) -> int | None:
    """Descriptor of a lock file that is now ours, None where somebody holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def read_config(arguments: list[str]) -> AlignCapConfig:
    """The configuration that Snakemake will see: config.yaml, then --configfile, then --config."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[])
    parser.add_argument("--config", "-C", nargs="+", action="extend", default=[])
    known, _ = parser.parse_known_args(arguments)
    raw: dict[str, Any] = {}
    for path in ["config.yaml", *known.configfile]:
        raw = merge(raw, yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    for pair in known.config:
        key, _, value = pair.partition("=")
        raw = merge(raw, {key: yaml.safe_load(value)})
    return parse(raw)


def without_audio(arguments: list[str]) -> list[str]:
    """Our own argument as Snakemake's, which heeds one --config only: where there is one, the value joins it."""
    rest, value = [argument for argument in arguments if argument != NO_AUDIO], 'report={"audio": false}'
    place = next((n for n, argument in enumerate(rest, start=1) if argument in ("--config", "-C")), None)
    return [*rest, "--config", value] if place is None else [*rest[:place], value, *rest[place:]]


def snakemake(arguments: list[str], lock: int) -> int:
    """Run Snakemake, which keeps the lock if this process is killed before it; its exit status."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    with subprocess.Popen(command, pass_fds=(lock,)) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # Snakemake got it too, and ends its jobs
                continue


def seconds_by_stage(folder: Path) -> dict[str, float]:
    """Seconds that the jobs of each rule took when they last ran, from Snakemake's benchmark files."""
    spent: dict[str, float] = {}
    for path in sorted(folder.rglob("*.tsv")):
        header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        stage = path.relative_to(folder).parts[0]
        spent[stage] = spent.get(stage, 0.0) + sum(float(row[header.index("s")]) for row in rows)
    return spent


def budget(config: AlignCapConfig) -> dict[str, str]:
    """What the configuration asks of the stages that cost most, in words, to stand beside the seconds."""

    def steps(training: Optimisation) -> str:
        return f"{training.steps} steps of {training.batch_size}"

    def systems(stage: str) -> int:
        return sum(lineage(config, name).stage == stage for name in config.systems)

    sampled = config.preference.candidates
    heard = corpus_names(config, "test") + (
        corpus_names(config, "train") if config.transcripts.train_source == "asr" else []
    )
    return {
        "transcripts": f"ASR of {', '.join(heard)} ({config.transcripts.task})",
        "warm_start": steps(config.warm_start),
        "adapt_teacher": steps(config.teacher.adaptation),
        "train_alignment": f"{systems('alignment')} systems, {steps(config.alignment)}",
        "candidates": f"{sampled.utterances} utterances x {sampled.samples}",
        "train_preference": f"{systems('preference')} systems, {steps(config.preference)}",
    }


def summary(results: Path, config: AlignCapConfig) -> str:
    """Stages with what they were asked for, zero-shot table and where the report lies."""
    from aligncap.evaluation.tables import render_terminal

    spent = seconds_by_stage(results / "benchmarks")
    asked = budget(config)
    order = sorted(spent.items(), key=lambda s: -s[1])
    lines = [f"  {stage:<18}{seconds:8.1f} s  {asked.get(stage, '')}".rstrip() for stage, seconds in order]
    lines.append(f"  {'together':<18}{sum(spent.values()):8.1f} s")
    table = render_terminal(results / "tables" / "zero_shot.parquet")
    return "\n".join(["", *lines, "", str(table), "", f"report: {results / 'report.html'}"])


def main(arguments: list[str]) -> int:
    """Refuse, or run and summarise; the exit status."""
    os.chdir(Path(__file__).resolve().parent.parent)
    if NO_AUDIO in arguments:
        arguments = without_audio(arguments)
    try:
        config = read_config(arguments)
        results = Path("results") / config.experiment
    except (AlignCapError, OSError, yaml.YAMLError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    lock = take(RUN_LOCK)
    if lock is None:
        print("another run of this checkout is at work; wait for it or stop it", file=sys.stderr)
        return 1
    jobs = take(JOBS_LOCK)
    if jobs is None:
        print("a job of an earlier run, whose Snakemake is gone, is still at work; wait for it", file=sys.stderr)
        return 1
    os.close(jobs)
    if any(Path(".snakemake", "locks").glob("*")):
        subprocess.run([sys.executable, "-m", "snakemake", "--unlock", *arguments], capture_output=True, check=False)
    if not any(argument.startswith(("-j", "--jobs", "-c", "--cores")) for argument in arguments):
        arguments = ["-j", str(os.cpu_count() or 1), *arguments]
    status = snakemake(arguments, lock)
    made = (results / "tables" / "zero_shot.parquet").is_file()  # not where only some target was asked for
    if status == 0 and made and not QUIET & set(arguments):
        text = summary(results, config)
        print(text if sys.stdout.isatty() else re.sub(r"\x1b\[[\d;]*m", "", text))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
