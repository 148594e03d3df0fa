"""The command ``aligncap caption``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aligncap.serving.commands.segments import caption_long, segment_style
from aligncap.serving.commands.terminal import (
    DoubtBelowOption,
    DoubtOption,
    ModelOption,
    ModelsOption,
    doubt_of,
    note,
    quiet_libraries,
    say,
    taking,
)
from aligncap.serving.locations import PRETRAINED

if TYPE_CHECKING:
    from aligncap.config import Doubt
    from aligncap.errors import AudioError
    from aligncap.serving.captioner import Captioner, PreparedClip
    from aligncap.serving.folders import CaptionTable
    from aligncap.serving.sounds import Recording
    from aligncap.speech.audio import Channel

INTERRUPTED = 130  # exit code by which shells report Ctrl-C

Report = Callable[[str | None], None]  # called for each file, with the reason if it could not be read


@dataclass(frozen=True)
class CaptionOptions:
    """Options of ``aligncap caption``."""

    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Files, folders, quoted patterns; - reads a list of paths from stdin."),
    ] = None
    watch: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead of FILE: a folder, and whatever comes into it until Ctrl-C."),
    ] = None
    model: ModelOption = PRETRAINED
    models: ModelsOption = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write .jsonl, .csv or .parquet, or go on with it; of segments .jsonl, .txt, .srt or .vtt.",
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines: caption, clues, transcript …")] = False
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV for spreadsheets; one column a tag.")] = False
    as_parquet: Annotated[bool, typer.Option("--parquet", help="Parquet, into --out.")] = False
    batch_size: Annotated[int, typer.Option(min=1, help="Clips that the LLM captions at once.")] = 16
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="ISO 639-1 of the speech (default: detected).")
    ] = None
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest caption, in tokens.")] = 40
    max_duration: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Longer files are refused (default: 60; --segment auto: none)."),
    ] = None
    channel: Annotated[
        Literal["mix", "left", "right", "split"],
        typer.Option(help="Of a file of several channels: their mean, one of them, or a caption for each of two."),
    ] = "mix"
    segment: Annotated[
        Literal["off", "auto"],
        typer.Option(help="auto: recordings of any length, cut at pauses; a caption of each segment and of the whole."),
    ] = "off"
    doubt: DoubtOption = "say"
    doubt_below: DoubtBelowOption = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary; errors only.")] = False

    @property
    def heard(self) -> Channel:
        """What is heard of a file; of ``split`` the file's name says which channel."""
        return "mix" if self.channel == "split" else self.channel


@taking(CaptionOptions)
def caption(options: CaptionOptions) -> None:
    """Say how the speaker of each file sounds, in one sentence.

    With --out a large folder can be captioned in several runs: the same command continues where it stopped, files that
    have a caption are skipped, and the table is complete at any time. Files that cannot be read are named on stderr and
    tried again next time. With --watch a file is captioned once it has stopped growing, and the table is written
    whenever all files so far are captioned; Ctrl-C ends it.

    A file of more than a minute is refused, because a caption is of one way to speak. With --segment auto a recording
    may be hours long: it is cut at its pauses, each segment has a caption with its times, and the last one is of the
    whole. --out is then .jsonl, .txt, .srt or .vtt (subtitles), and is written at the end.

    Exit code: 0, all has a caption; 1, a file or a segment has none; 2, nothing could be done; 130, interrupted.

    Examples:
      aligncap caption speech.wav
      aligncap caption calls/ --out calls.parquet --batch-size 32
      aligncap caption 'calls/**/*.opus' --json | jq -r .caption
      find calls -name '*.wav' -print0 | aligncap caption - --csv
      aligncap caption --segment auto call.mp3 --out call.srt
      aligncap caption --segment auto --channel split two_speakers.wav --json
      aligncap caption --watch inbox/ --out captions.jsonl
    """
    from aligncap.errors import AlignCapError, ConfigError
    from aligncap.serving.captioner import checkpoint_name, marked
    from aligncap.serving.folders import CaptionTable, arrivals, by_length, extensions, find_files

    if bool(options.files) == (options.watch is not None):
        raise ConfigError("caption: give FILE..., or --watch DIR")
    listed = os.fsdecode(sys.stdin.buffer.read()) if "-" in (options.files or []) else ""  # a name may be no UTF-8
    found, passed = find_files(options.files or [], listed)
    found = _channels(found, options)
    segments = segment_style(found, options) if options.segment == "auto" else None
    if passed and not options.quiet:
        files = f"{passed.total()} file{'s' if passed.total() > 1 else ''}"
        note(f"passed over {files} by extension: {extensions(passed)}; name a file to have it read all the same")
    out, quiet = options.out, options.quiet
    style: Any = _style(options) if segments is None else "json"
    if not options.model.is_dir():
        raise AlignCapError(
            f"{options.model}: no such checkpoint folder; train one with 'make demo', or name one with --model"
        )
    doubt = doubt_of(options.doubt, options.doubt_below)
    name = marked(checkpoint_name(options.model), doubt)
    load = cache(lambda: _load(options.model, options.models, doubt))  # loaded only once there is a readable file
    if segments is not None:
        try:
            failed = caption_long(found, load, segments, options)
        except KeyboardInterrupt:
            note("interrupted" + (f"; nothing was written to {out}" if out else ""))
            raise typer.Exit(INTERRUPTED) from None
        if failed:
            raise typer.Exit(1)
        return
    writing: CaptionTable | nullcontext[None] = CaptionTable(out, style, name) if out else nullcontext()
    with writing as table:
        keep = table.append if table is not None else _printer(style)

        def work(todo: Sequence[Path]) -> int:
            started = time.monotonic()
            with _progress(len(todo), quiet, table is None) as report:
                failed = _caption_files(load, todo, options, name, keep, report)
            if not quiet:
                took = f"{time.monotonic() - started:.0f} s" + (f", {out}" if out else "")
                note(f"captioned {len(todo) - failed} of {len(todo)} files in {took}")
            return failed

        if options.watch is not None:
            if not quiet:
                note(f"{options.watch}: is watched; Ctrl-C ends it")
            failed = _follow((_channels(files, options) for files in arrivals(options.watch)), table, work)
        else:
            todo = found if table is None else by_length(table.missing(found))
            if not quiet and len(todo) < len(found):
                note(f"{out}: goes on, {len(found) - len(todo)} of {len(found)} files are captioned or named twice")
            try:
                failed = work(todo) if todo else 0
            except KeyboardInterrupt:
                note("interrupted" + (f"; the same command goes on ({out} holds what is done)" if out else ""))
                raise typer.Exit(INTERRUPTED) from None
    if failed:
        raise typer.Exit(1)


def _follow(come: Iterable[list[Path]], table: CaptionTable | None, work: Callable[[Sequence[Path]], int]) -> int:
    """Caption files as they arrive, until Ctrl-C; returns the number of unreadable files."""
    from aligncap.serving.folders import by_length

    failed = 0
    seen: list[Path] = []
    try:
        for files in come:
            seen += files
            todo = files if table is None else by_length(sorted(set(table.missing(seen)).intersection(files)))
            failed += work(todo) if todo else 0
            if table is not None:
                table.save()
    except KeyboardInterrupt:
        pass
    return failed


def _channels(files: list[Path], options: CaptionOptions) -> list[Path]:
    """Return each file twice, as its left and its right channel, where this is asked for."""
    from aligncap.speech.audio import SIDES

    return [Path(f"{file}#{side}") for file in files for side in SIDES] if options.channel == "split" else files


def _style(options: CaptionOptions) -> Any:
    from aligncap.errors import ConfigError
    from aligncap.serving.folders import FORMATS

    out = options.out
    formats = {"json": options.as_json, "csv": options.as_csv, "parquet": options.as_parquet}
    asked = [style for style, wanted in formats.items() if wanted]
    if len(asked) > 1:
        raise ConfigError(f"--{' --'.join(asked)}: give one of them")
    if out is None:
        if asked == ["parquet"]:
            raise ConfigError("--parquet: is no text for stdout; name a file with --out")
        return asked[0] if asked else "text"
    style = asked[0] if asked else FORMATS.get(out.suffix.lower())
    if style is None:
        raise ConfigError(f"--out {out}: extension '{out.suffix}', expected {', '.join(FORMATS)}; or give the format")
    return style


def _load(model: Path, models: Path | None, doubt: Doubt) -> Captioner:
    from aligncap.serving.captioner import Captioner

    quiet_libraries()
    return Captioner.load(model, models, doubt=doubt)


def _printer(style: str) -> Callable[[Sequence[dict[str, Any]]], None]:
    from aligncap.serving.folders import format_rows

    first = True

    def keep(rows: Sequence[dict[str, Any]]) -> None:
        nonlocal first
        if style == "text":
            text = "".join(f"{row['path']}: {row['caption']}\n" for row in rows)
        else:
            text = format_rows(rows, style, first)  # type: ignore[arg-type]
        first = False
        sys.stdout.write(text)
        sys.stdout.flush()

    return keep


def _caption_files(
    load: Callable[[], Captioner],
    files: Sequence[Path],
    options: CaptionOptions,
    name: str,
    keep: Callable[[Sequence[dict[str, Any]]], None],
    report: Report,
) -> int:
    """Caption batch by batch; returns the number of unreadable files."""
    from aligncap.errors import AudioError

    failed = 0
    for start in range(0, len(files), options.batch_size):
        heard = []
        for own in _hear(load, files[start : start + options.batch_size], options):
            if isinstance(own, AudioError):
                failed += 1
                remedy = "give --segment auto, or raise --max-duration"
                report(str(own).replace("cut it or raise max_duration_s", remedy))
                continue
            heard.append(own)
            for warning in own.warnings:
                say(f"{own.name}: {warning}")
            report(None)
        described = load().describe_each(heard, options.max_new_tokens) if heard else []
        lost = [own for own in described if isinstance(own, AudioError)]
        for problem in lost:
            say(str(problem))
        failed += len(lost)
        if said := [own for own in described if not isinstance(own, AudioError)]:
            keep([{**vars(own), "model": name} for own in said])
    return failed


def _hear(
    load: Callable[[], Captioner], files: Sequence[Path], options: CaptionOptions
) -> Iterator[PreparedClip | AudioError]:
    """Yield what is heard of each file, or its error; the captioner is loaded for the first that can be read."""
    from aligncap.errors import AudioError

    read = (_read(file, options) for file in files)
    for first in read:
        if isinstance(first, AudioError):
            yield first
        else:
            yield from load().prepare_each(chain([first], read))


def _read(path: Path, options: CaptionOptions) -> Recording | AudioError:
    from aligncap.errors import AudioError
    from aligncap.serving.captioner import MAX_DURATION_S
    from aligncap.serving.folders import require_utf8
    from aligncap.serving.sounds import Recording, read_sound

    try:
        require_utf8(path)
        _, clip = read_sound(path, options.max_duration or MAX_DURATION_S, options.heard)
    except AudioError as error:
        return error
    return Recording(clip.samples, options.language, str(path), clip.warnings)


@contextmanager
def _progress(total: int, quiet: bool, printing: bool) -> Iterator[Report]:
    """Show a bar on stderr if it is a terminal that shows nothing else, or else a line for every tenth."""
    if sys.stderr.isatty() and not quiet and not (printing and sys.stdout.isatty()):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("captions", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        # With redirection, text for stdout would appear on stderr.
        with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as bar:
            task = bar.add_task("", total=total)

            def advance(problem: str | None) -> None:
                if problem:
                    console.print(f"aligncap: {problem}")
                bar.advance(task)

            yield advance
        return
    count = 0

    def tell(problem: str | None) -> None:
        nonlocal count
        count += 1
        if problem:
            say(problem)
        if not quiet and total > 10 and count * 10 // total > (count - 1) * 10 // total:
            note(f"{count} of {total}")

    yield tell
