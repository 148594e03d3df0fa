"""The part of ``aligncap caption`` for recordings of any length, ``--segment auto``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aligncap.serving.commands.terminal import note, say

if TYPE_CHECKING:
    from aligncap.serving.captioner import Captioner
    from aligncap.serving.segments import SegmentStyle
    from aligncap.speech.audio import Channel

STYLES: dict[str, SegmentStyle] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".srt": "srt",
    ".vtt": "vtt",
    ".txt": "text",
}


def segment_style(files: Sequence[Path], out: Path | None, as_json: bool) -> SegmentStyle:
    """Return the format that ``--json`` or the extension of ``--out`` asks for.

    Raises:
        ConfigError: The extension is of no format of segments, or subtitles are asked for of several recordings.
    """
    from aligncap.errors import ConfigError

    style = "json" if as_json else "text" if out is None else STYLES.get(out.suffix.lower())
    if style is None:
        raise ConfigError(f"--out {out}: its extension is none of {', '.join(STYLES)}; name one of these")
    if style in ("srt", "vtt") and len(files) != 1:
        raise ConfigError(f"--out {out}: subtitles are of one recording, got {len(files)}; name one, or write .jsonl")
    return style


def caption_long(
    files: Sequence[Path],
    load: Callable[[], Captioner],
    style: SegmentStyle,
    out: Path | None,
    language: str | None,
    max_new_tokens: int,
    channel: Channel,
) -> int:
    """Caption recordings segment by segment; returns the number of those that could not be read.

    Args:
        files: Recordings.
        load: Function that loads the captioner.
        style: Format.
        out: File to write, which appears once all is captioned; stdout where None.
        language: ISO 639-1 of the speech, or None.
        max_new_tokens: Longest caption in tokens.
        channel: What is heard of recordings of several channels.
    """
    from aligncap import artifacts
    from aligncap.errors import AudioError
    from aligncap.serving.segments import SegmentCaption, caption_segments, written

    failed, texts, captioner = 0, [], load()
    for path in files:
        own: list[SegmentCaption] = []
        try:
            for said in caption_segments(captioner, path, language, max_new_tokens, channel):
                own.append(said)
                if out is None:
                    sys.stdout.write("".join(written([said], style)))
                    sys.stdout.flush()
        except AudioError as error:
            failed += 1
            say(str(error))
            continue
        for warning in own[-1].warnings:
            say(f"{path}: {warning}")
        note(f"{path}: {len(own) - 1} segments in {own[-1].end_s:.0f} s")
        texts.append("".join(written(own, style)))
    if out is not None:
        artifacts.write_text("".join(texts), out)
    return failed
