"""The part of ``aligncap caption`` for recordings of any length, ``--segment auto``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.serving.commands.terminal import note, say

if TYPE_CHECKING:
    from aligncap.serving.captioner import Captioner
    from aligncap.serving.commands.caption import CaptionOptions
    from aligncap.serving.segments import SegmentCaption, SegmentStyle

STYLES: dict[str, SegmentStyle] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".srt": "srt",
    ".vtt": "vtt",
    ".txt": "text",
}
TOLD_S = 300  # seconds of sound after which a line says how far the captions are, where they go into a file


def segment_style(files: Sequence[Path], options: CaptionOptions) -> SegmentStyle:
    """Return the format that ``--json`` or the extension of ``--out`` asks for.

    Raises:
        ConfigError: An option does not go with segments, the extension is of no format of theirs, subtitles are asked
            for of several recordings, or the file of ``--out`` is there.
    """
    from aligncap.errors import ConfigError

    out = options.out
    if options.watch is not None:
        raise ConfigError("--segment auto: takes FILE..., not --watch")
    for option, given in {"--csv": options.as_csv, "--parquet": options.as_parquet}.items():
        if given:
            raise ConfigError(
                f"{option}: segments are text, JSON or subtitles; give --json, or --out with .srt or .vtt"
            )
    style = "json" if options.as_json else "text" if out is None else STYLES.get(out.suffix.lower())
    if style is None:
        raise ConfigError(f"--out {out}: its extension is none of {', '.join(STYLES)}; name one of these")
    if style in ("srt", "vtt") and len(files) != 1:
        remedy = "give --channel left, then --channel right" if options.channel == "split" else "name one"
        raise ConfigError(
            f"--out {out}: subtitles are of one recording and channel, got {len(files)}; {remedy}, or write .jsonl"
        )
    if out is not None and out.exists():  # a table of captions, perhaps, which segments do not continue
        raise ConfigError(f"--out {out}: is there already, and segments continue no file; name another, or delete it")
    return style


def caption_long(
    files: Sequence[Path], load: Callable[[], Captioner], style: SegmentStyle, options: CaptionOptions
) -> int:
    """Caption recordings segment by segment; returns the number of those that have no caption, or a gap.

    With ``--out`` the file appears once all is captioned.

    Args:
        files: Recordings.
        load: Function that loads the captioner.
        style: Format.
        options: What was asked for.
    """
    from aligncap import artifacts
    from aligncap.errors import AudioError
    from aligncap.serving.folders import require_utf8
    from aligncap.serving.segments import written

    failed, texts = 0, []
    for path in files:
        own: list[SegmentCaption] = []
        problem = ""
        try:
            require_utf8(path)
            for said in _captions(path, load, options):
                own.append(said)
                if said.problem:
                    say(said.problem)
                if options.out is None:
                    sys.stdout.write("".join(written([said], style)))
                    sys.stdout.flush()
        except AudioError as error:
            problem = _as_option(str(error))
            say(problem)
        gaps = [said for said in own if said.problem]
        failed += bool(problem or gaps)
        if not problem:
            whole = own[-1]
            for warning in whole.warnings:
                say(f"{path}: {warning}")
            if not options.quiet:
                note(f"{path}: {len(own) - len(gaps) - 1} segments in {whole.end_s:.0f} s")
        texts.append("".join(written(own, style)) if own else "")
    if options.out is not None and any(texts):
        artifacts.write_text("".join(texts), options.out)
    return failed


def _captions(path: Path, load: Callable[[], Captioner], options: CaptionOptions) -> Iterator[SegmentCaption]:
    """Yield the captions of a recording, and say now and then how far they are, where nothing else shows it."""
    from aligncap.serving.segments import caption_segments, clock
    from aligncap.speech.audio import Reading, fault_of

    with fault_of(path):
        reading = Reading(path, options.max_duration or math.inf, options.heard)
    asked = (options.language, options.max_new_tokens, options.batch_size)
    told = TOLD_S
    for said in caption_segments(load(), reading, *asked):
        yield replace(said, problem=_as_option(said.problem))
        if said.end_s >= told and not said.whole and options.out is not None and not options.quiet:
            length = f" of {clock(reading.promised.seconds)}" if reading.promised.seconds else ""
            note(f"{path}: captioned up to {clock(said.end_s)}{length}")
            told += TOLD_S * (1 + int((said.end_s - told) // TOLD_S))


def _as_option(problem: str) -> str:
    return problem.replace("max_duration_s", "--max-duration")
