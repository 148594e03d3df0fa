"""Conversion of an upload to samples, or to a sentence that explains its problem."""

from __future__ import annotations

import codecs
import os
import tempfile
from pathlib import Path

import numpy as np

from aligncap.errors import AudioError
from aligncap.speech.audio import Clip, Samples, decode

LONGEST_NAME = 120  # characters of a file name that a message shows
PEAKS = 160  # bars of the waveform
KINDS = "WAV, FLAC, Ogg, MP3, M4A and WebM"
# Signatures of files that are no recordings: offset, bytes, and the common name.
SIGNATURES = (
    (0, b"%PDF", "a PDF"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xff\xd8\xff", "a picture (JPEG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (8, b"WEBP", "a picture (WebP)"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"\x1f\x8b", "a compressed archive (gzip)"),
    (0, b"7z\xbc\xaf", "a compressed archive (7z)"),
    (0, b"Rar!", "a compressed archive (RAR)"),
    (0, b"\xd0\xcf\x11\xe0", "an old office document"),
    (0, b"{\\rtf", "a text document (RTF)"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"PAR1", "a table (Parquet)"),
)


def describe(head: bytes) -> str | None:
    """Return the kind of a file that is surely no recording, by its first bytes, such as "a PDF" or "text"."""
    for offset, signature, name in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # a letter may be cut at the end
    except UnicodeDecodeError:
        return None
    if text.lstrip()[:1] == "<":
        return "a web page or XML"
    return "text" if text.strip() and not any(c < " " and c not in "\t\n\r" for c in text) else None


def shown_name(name: str) -> str:
    """Return the last part of a sender's file name, without what a terminal or a log would obey, such as line ends."""
    printable = "".join(c if c.isprintable() else "?" for c in Path(name.replace("\\", "/")).name)
    return printable[:LONGEST_NAME] or "the upload"


def read_upload(name: str, data: bytes, max_seconds: float) -> Clip:
    """Decode an uploaded file.

    Args:
        name: Name that the sender gives it, used in messages only and never as a path.
        data: Content of the file.
        max_seconds: Maximum duration of a recording in seconds.

    Raises:
        AudioError: The file is no recording, corrupt, silent, too short or too long; the message has the sender's name.
    """
    shown = shown_name(name)
    if kind := describe(data[:512]):
        raise AudioError(f"{shown}: this file is {kind}, not a recording; {KINDS} can be read")
    handle, path = tempfile.mkstemp(prefix="aligncap-upload-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        return decode(path, max_seconds)
    except AudioError as error:
        what, _, _ = str(error).removeprefix(f"{path}: ").rpartition("; ")  # the remedy in the message is for corpora
        if "not audio" in what:
            what = "this is not a recording, or it is damaged"
        elif "at most" in what:
            what = what.replace("are read", "are taken")
        raise AudioError(f"{shown}: {what}; {KINDS} of up to {max_seconds:g} s can be read") from None
    finally:
        Path(path).unlink(missing_ok=True)


def peaks(samples: Samples, bars: int = PEAKS) -> list[float]:
    """Return loudness over time for a picture of the waveform: ``bars`` peaks of equal spans, the loudest is 1."""
    spans = np.array_split(np.abs(samples), min(bars, len(samples)))
    highest = np.array([float(span.max()) for span in spans])
    return [round(float(value), 3) for value in highest / max(float(highest.max()), 1e-9)]
