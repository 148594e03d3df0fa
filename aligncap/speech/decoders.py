"""The two decoders of audio files: libsndfile where it is exact, FFmpeg (PyAV) for all else.

The content determines the format, never the extension. Both yield blocks of samples of every channel, so that channels
are mixed in one place. FFmpeg is given an open file, no other protocol and no container that names further files, so
that no playlist makes it read anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from aligncap.errors import AudioError
from aligncap.speech.containers import promise

BLOCK = 65_536  # samples of all channels read at once
HEADER = 4096  # bytes; a longer file holds more than a header
ENDLESS = 1 << 62  # libsndfile's number of frames where a stream does not tell
# Formats whose frame count libsndfile only estimates, and which it takes other streams for.
INEXACT = ("MP3", "MPEG")
# FFmpeg's names of the containers that are read.
CONTAINERS = (
    "aa,aac,ac3,aea,aiff,alaw,amr,amrnb,amrwb,apc,ape,asf,ast,au,avi,bfstm,brstm,caf,dsf,dts,dtshd,eac3,f32be,f32le,flac,"
    "flv,g722,gsm,iff,ilbc,ircam,loas,m4v,matroska,webm,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mulaw,nist,"
    "nut,oga,ogg,oma,osq,qcp,rm,rso,shn,sln,smjpeg,sox,swf,tak,truehd,tta,voc,vqf,w64,wav,wsvqa,wtv,wv,xa,xwma"
)
# Containers whose header tells how long they are; elsewhere FFmpeg guesses by the bit rate.
TELLING = ("mov", "matroska", "asf", "flac", "wav", "w64", "aiff", "caf", "wv", "tta", "ape", "au")

Block = NDArray[np.float32]  # [n, channels]


class Unreadable(Exception):
    """This decoder cannot read the file; the other one may."""


class Promised(NamedTuple):
    """What is known of a recording before it is decoded.

    Attributes:
        rate: Sample rate in Hz; None where only decoding tells.
        seconds: Length in seconds; None where unknown.
        complete: False where the file is known to end before its sound does.
    """

    rate: int | None
    seconds: float | None
    complete: bool = True


class Piece(NamedTuple):
    """A block of samples with its sample rate in Hz, which may change within a file."""

    block: Block
    rate: int


Decoding = Iterator[Promised | Piece]  # what is promised, first, then the pieces


def by_soundfile(file: Path) -> Decoding:
    """Decode with libsndfile.

    Raises:
        Unreadable: It cannot read the file, or not exactly.
    """
    head = _head(file, 2)
    if head == b"ID" or (head[:1] == b"\xff" and head[1:] >= b"\xe0"):  # AAC too, which it would take for MP3
        raise Unreadable("MPEG")
    told = promise(file)
    if told.streams > 1:
        raise Unreadable("several Ogg streams")
    try:
        with file.open("rb") as stream, soundfile.SoundFile(stream) as opened:
            if opened.format in INEXACT or opened.subtype.startswith(INEXACT):
                raise Unreadable("MPEG")
            if opened.frames == 0 and file.stat().st_size > HEADER:
                raise Unreadable("its header promises no samples")
            known = opened.frames if opened.frames < ENDLESS else None
            seconds = told.seconds or (None if known is None else known / opened.samplerate)
            yield Promised(opened.samplerate, seconds, told.complete)
            read = 0
            while known is None or read < known:
                # `read` gives what there is; `blocks` would repeat its whole buffer where less came than was promised
                block = opened.read(max(1, BLOCK // opened.channels), dtype="float32", always_2d=True)
                if len(block) == 0:
                    break
                read += len(block)
                yield Piece(block, opened.samplerate)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, OverflowError, TypeError) as error:
        raise Unreadable(one_line(getattr(error, "error_string", error))) from error


def by_ffmpeg(file: Path) -> Decoding:
    """Decode the first audio stream with FFmpeg; packets that it cannot decode are left out.

    Raises:
        Unreadable: It cannot read the file.
        AudioError: The file is a recording, but of a codec that is not known.
    """
    import av

    options = {"protocol_whitelist": "none", "format_whitelist": CONTAINERS}
    try:
        with file.open("rb") as opened, av.open(opened, options=options, metadata_errors="ignore") as container:
            streams = container.streams.audio
            if not streams:
                raise AudioError(f"{file}: has no audio stream; name the recording itself")
            stream = next((own for own in streams if getattr(own, "codec_context", None) is not None), None)
            if stream is None:
                raise AudioError(f"{file}: its audio has a codec that is not known; convert it to WAV, FLAC or Ogg")
            length = _length(container, stream, file)
            # where a length is told, what is decoded shows whether all of it is there
            complete = length is not None or promise(file).complete
            yield Promised(stream.codec_context.sample_rate or None, length, complete)
            resampler, shape = None, None
            for frame in _frames(container, stream):
                own = (frame.format.name, frame.layout.name, frame.sample_rate)
                if own != shape:  # joined files may change in the middle
                    # packed, because the array of a planar frame of more than 8 channels reads memory of others
                    resampler, shape = av.AudioResampler(format="flt"), own
                assert resampler is not None
                for part in resampler.resample(frame):
                    channels = part.layout.nb_channels
                    yield Piece(part.to_ndarray().reshape(-1, channels).astype(np.float32), frame.sample_rate)
    except (av.error.FFmpegError, ValueError, OverflowError, ArithmeticError) as error:
        raise Unreadable(one_line(getattr(error, "strerror", None) or error)) from error


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the decoded frames of a stream; a damaged packet costs itself alone."""
    import av

    heard = False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            if not heard:
                raise
            return  # the file ends in the middle of a packet
        if packet is None:
            return
        try:
            for frame in packet.decode():
                heard = True
                yield frame
        except av.error.InvalidDataError:
            continue


def told_seconds(file: Path) -> float | None:
    """Return the length in seconds that a file tells without being decoded; None where it tells none or is not read."""
    for decoder in (by_soundfile, by_ffmpeg):
        try:
            promised = next(decoder(file))
        except (Unreadable, AudioError, OSError):
            continue
        return promised.seconds if isinstance(promised, Promised) else None
    return None


def _length(container: Any, stream: Any, file: Path) -> float | None:
    """Return the length in seconds that the container tells, None where FFmpeg would have to guess."""
    names = container.format.name.split(",")
    telling = any(name in TELLING for name in names) or ("mp3" in names and _has_frame_count(file))
    if not telling or container.duration is None:
        return None
    length = container.duration / 1e6
    if stream.duration is not None and stream.time_base is not None:
        length = min(length, float(stream.duration * stream.time_base))  # a video may be longer than its sound
    return length if length > 0 else None


def _head(file: Path, size: int) -> bytes:
    with file.open("rb") as stream:
        return stream.read(size)


def _has_frame_count(file: Path) -> bool:
    head = _head(file, 65_536)
    return b"Xing" in head or b"Info" in head or b"VBRI" in head


def one_line(error: object) -> str:
    """Return a library's message as one line without its full stop."""
    return " ".join(str(error).split()).rstrip(".")
