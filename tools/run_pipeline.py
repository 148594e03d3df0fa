"""Run the pipeline, one run at a time in a checkout: `python tools/run_pipeline.py [--no-audio] [Snakemake's own]`.

What plain `snakemake` lacks: after `kill -9` it stops with LockException although nobody is at work. Here a lock of the
operating system, which dies with its holder, says whether somebody is; if not, Snakemake's own is cleared first. And
what it prints goes to a log file, while the terminal shows what a person wants to know of it (tools/run_display.py).
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

from run_display import Display
from run_progress import Progress, benchmarks

from aligncap.config import AlignCapConfig, Optimisation
from aligncap.errors import AlignCapError
from aligncap.job import HELD_VARIABLE, held_run, hold_run
from aligncap.storage import MAKING, storing
from aligncap.systems import corpus_names, lineage, load

PLUGINS = Path("tools", "logger")  # of Snakemake's, for nobody but the Snakemake that is started here
LOCKS = Path(".snakemake", "locks")
NO_AUDIO = "--no-audio"  # our own: the report holds no recordings
# What runs no job: its text is for the terminal, and the results need no lock.
QUIET = set(
    "--dry-run --dryrun --lint --unlock --dag --rulegraph --filegraph --d3dag --summary --detailed-summary --report "
    "--list-rules --list-target-rules --list-changes --help --version -S -D -l -h -v".split()
)
DRY = re.compile(r"-[a-zA-Z]*n[a-zA-Z]*")  # -n, also in one word with other flags, such as -np
DEAREST = 5  # stages that the summary names, where the run has shown them all


def read_arguments(arguments: list[str]) -> tuple[AlignCapConfig, list[str]]:
    """The configuration that the arguments give, and the arguments with which Snakemake sees it, too.

    Of several --config or --configfile Snakemake heeds the last one only, so all become one. Our own NO_AUDIO becomes a
    value of the config.
    """
    place = arguments.index("--") if "--" in arguments else len(arguments)
    options, targets = [a for a in arguments[:place] if a != NO_AUDIO], arguments[place:]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[])
    parser.add_argument("--config", "-C", nargs="+", action="extend", default=[])
    known, rest = parser.parse_known_args(options)
    if len(options) < place:
        known.config.append('report={"audio": false}')
    for option, values in (("--configfile", known.configfile), ("--config", known.config)):
        rest += [option, *values] if values else []
    return load("config.yaml", *known.configfile, assignments=known.config), [*rest, *targets]


def runs_nothing(arguments: list[str]) -> bool:
    """Whether Snakemake is only asked for a plan, a picture or a list."""
    return any(argument in QUIET or DRY.fullmatch(argument) for argument in arguments)


def results_of(config: AlignCapConfig) -> Path:
    """The experiment's folder."""
    return Path("results") / config.experiment


def waited(process: subprocess.Popen[bytes], display: Display | None = None) -> int:
    """The exit status of Snakemake, which gets a Ctrl-C itself and ends its jobs."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if display is not None:
                display.interrupted()


def snakemake(arguments: list[str], locks: tuple[int, ...]) -> int:
    """Run Snakemake, which keeps the locks if this process is killed before it; its exit status."""
    with subprocess.Popen([sys.executable, "-m", "snakemake", *arguments], pass_fds=locks) as process:
        return waited(process)


def displayed(arguments: list[str], locks: tuple[int, ...], display: Display) -> int:
    """Run Snakemake the same way with its text in the log file and its events on the display; its exit status."""
    reader, writer = os.pipe()
    ours = ["--logger", "aligncap", "--logger-aligncap-pipe", str(writer)]
    paths = [path for path in (os.environ.get("PYTHONPATH"), str(PLUGINS.resolve())) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "snakemake", *ours, *arguments]
    with (
        display.log.open("ab") as log,
        subprocess.Popen(
            command, pass_fds=(*locks, writer), stdout=log, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        os.close(writer)
        follower = threading.Thread(target=display.follow, args=(reader,))  # a Ctrl-C is for the main one
        follower.start()
        status = waited(process, display)
        follower.join()
    return status


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


def summary(results: Path, config: AlignCapConfig, most: int | None) -> str:
    """Stages with what they were asked for, zero-shot table and where the report lies.

    Args:
        results: the experiment's folder.
        config: its configuration.
        most: number of stages to name, those that took longest; None: all.
    """
    from aligncap.evaluation.tables.render import render_terminal

    spent = {stage: sum(seconds) for stage, seconds in benchmarks(results / "benchmarks").items()}
    asked = budget(config)
    order = sorted(spent.items(), key=lambda s: -s[1])
    lines = [f"  {stage:<18}{seconds:8.1f} s  {asked.get(stage, '')}".rstrip() for stage, seconds in order[:most]]
    if others := order[len(lines) :]:
        lines.append(f"  {f'{len(others)} others':<18}{sum(seconds for _, seconds in others):8.1f} s")
    lines.append(f"  {'together':<18}{sum(spent.values()):8.1f} s")
    table = str(render_terminal(results / "tables" / "zero_shot.parquet")).rstrip()
    return "\n".join(["", *lines, "", table, "", f"report: {results / 'report.html'}"])


def run(arguments: list[str], locks: tuple[int, ...], config: AlignCapConfig, again: str) -> int:
    """Run and summarise; the exit status.

    Args:
        arguments: Snakemake's.
        locks: descriptors of the locks that the run holds.
        config: the configuration that the arguments give.
        again: the command that continues the run.
    """
    results, quiet = results_of(config), runs_nothing(arguments)
    if quiet or os.environ.get("VERBOSE", "0") not in ("", "0"):
        status, most = snakemake(arguments, locks), None
        over = status == 0 and not quiet
    else:
        log = Path("logs") / config.experiment / "run.log"
        with storing(log, MAKING):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.touch()
        display = Display(Progress(benchmarks(results / "benchmarks")), log, again, sys.stdout)
        display.open()
        status, most = displayed(arguments, locks, display), DEAREST
        over = display.close(status)
    if over and (results / "tables" / "zero_shot.parquet").is_file():  # not where only some target was asked for
        text = summary(results, config, most)
        print(text if sys.stdout.isatty() else re.sub(r"\x1b\[[\d;]*m", "", text))
    return status


def clear(arguments: list[str]) -> None:
    """Clear the locks of a Snakemake that was killed, and its records of what it was to make and is not there.

    So Snakemake knows that a file was not removed by a person (rules/gaps.smk), also where it was killed between the
    removal and its own note of it.
    """
    told = [path.read_text(encoding="utf-8").splitlines() for path in LOCKS.glob("*.output.lock")]
    missing = sorted({name for names in told for name in names if not Path(name).exists()})
    asks = [["--unlock"], ["--cleanup-metadata", *missing, "--cores", "1"]]
    for ask in asks if missing else asks[:1]:
        subprocess.run([sys.executable, "-m", "snakemake", *ask, *arguments], capture_output=True, check=False)


def start(arguments: list[str], config: AlignCapConfig, again: str) -> int:
    """Take the locks, clear those of a Snakemake that was killed, and run; the exit status. Arguments as ``run``."""
    locks = hold_run(None if runs_nothing(arguments) else results_of(config))
    os.environ[HELD_VARIABLE] = held_run()
    if any(LOCKS.glob("*")):
        clear(arguments)
    numbered = ("-j", "--jobs", "-c", "--cores", "--profile", "--workflow-profile")  # a profile says how many at once
    if not any(argument.startswith(numbered) for argument in arguments):
        arguments = ["-j", str(os.cpu_count() or 1), *arguments]
    return run(arguments, locks, config, again)


def main(arguments: list[str]) -> int:
    """Refuse, or run and summarise; the exit status."""
    again = os.environ.get("RUN_AGAIN") or shlex.join([sys.executable.removeprefix(f"{os.getcwd()}/"), *sys.argv])
    os.chdir(Path(__file__).resolve().parent.parent)
    try:
        config, arguments = read_arguments(arguments)
        return start(arguments, config, again)
    except AlignCapError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
