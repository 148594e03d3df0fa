"""Recordings in many formats for tests, made by libsndfile and FFmpeg: a tone of 3 s, full scale 0.4."""

from pathlib import Path

import numpy as np
import soundfile

RATE, SECONDS = 16_000, 3
TIME = np.arange(SECONDS * RATE) / RATE
TONE = (0.4 * np.sin(2 * np.pi * 220 * TIME) * np.minimum(1, 4 * TIME)).astype(np.float32)

# Containers and codings of libsndfile; others of its names are written by it, but not read from an open file.
BY_SOUNDFILE = [
    (container, coding)
    for container in sorted(soundfile.available_formats())
    for coding in sorted(soundfile.available_subtypes(container))
    if container not in ("RAW", "SD2", "XI")
    and coding not in ("DWVW_12", "DWVW_16", "DWVW_24", "DWVW_N", "MPEG_LAYER_I", "MPEG_LAYER_II")
    and (container, coding) != ("WAV", "MPEG_LAYER_III")
]
# Codec, container and sample rate of FFmpeg, as the wheel of PyAV has them.
BY_FFMPEG = [
    ("aac", "adts", RATE),
    ("aac", "mp4", RATE),
    ("aac", "matroska", RATE),
    ("aac", "mpegts", RATE),
    ("aac", "3gp", RATE),
    ("aac", "flv", RATE),
    ("aac", "latm", RATE),
    ("ac3", "ac3", 32_000),
    ("adpcm_g722", "wav", RATE),
    ("adpcm_g726", "wav", 8_000),
    ("adpcm_ima_wav", "wav", RATE),
    ("adpcm_ms", "wav", RATE),
    ("adpcm_yamaha", "wav", RATE),
    ("alac", "caf", RATE),
    ("alac", "ipod", RATE),
    ("eac3", "eac3", 32_000),
    ("flac", "matroska", RATE),
    ("flac", "ogg", RATE),
    ("libmp3lame", "mp3", RATE),
    ("libopus", "matroska", 48_000),
    ("libopus", "ogg", 48_000),
    ("libopus", "webm", 48_000),
    ("mp2", "mp2", 32_000),
    ("mp2", "mpegts", 32_000),
    ("pcm_alaw", "au", RATE),
    ("pcm_s16be", "aiff", RATE),
    ("pcm_s16le", "avi", RATE),
    ("pcm_s16le", "mov", RATE),
    ("pcm_s16le", "nut", RATE),
    ("pcm_s24le", "matroska", RATE),
    ("pcm_f32le", "w64", RATE),
    ("ra_144", "rm", 8_000),
    ("tta", "tta", RATE),
    ("wavpack", "wv", RATE),
]


def encode(
    path: Path,
    codec: str,
    container: str,
    rate: int = RATE,
    sound: np.ndarray = TONE,
    layout: str = "mono",
    live: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a sound at 16 kHz, ``[n]`` or ``[channels, n]``, through FFmpeg; one channel is copied to all of them.

    What is ``live`` has no length in its header, as what a browser records. ``options`` are those of the container and
    of the codec.
    """
    import av

    with av.open(str(path), "w", format=container, options=(options or {}) | ({"live": "1"} if live else {})) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout, options={"strict": "-2"} | (options or {}))
        coding = stream.codec_context
        coding.open()
        count = len(av.AudioLayout(layout).channels)
        channels = sound if sound.ndim == 2 else np.tile(sound, (count, 1))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout=layout)
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=coding.format.name, layout=layout, rate=rate)
        queue = av.AudioFifo()
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            queue.write(part)
        size = coding.frame_size or 1024
        while (part := queue.read(size)) is not None:
            out.mux(stream.encode(part))
        if (part := queue.read(0, True)) is not None:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


def without_frame_count(path: Path) -> Path:
    """Take the frame that tells their number off an MP3 file."""
    data = path.read_bytes()
    tag = data.find(b"Xing") if b"Xing" in data else data.index(b"Info")
    path.write_bytes(data[data.index(b"\xff\xf3", tag) :])
    return path


def amr(path: Path, seconds: float = SECONDS, wide: bool = False) -> Path:
    """Write an AMR file of noise: each frame of 20 ms is a header and random bits."""
    magic, header, size = (b"#!AMR-WB\n", 0x44, 60) if wide else (b"#!AMR\n", 0x3C, 31)
    generator = np.random.default_rng(0)
    frames = [bytes([header]) + generator.bytes(size) for _ in range(round(50 * seconds))]
    path.write_bytes(magic + b"".join(frames))
    return path


def patched(path: Path, place: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[place : place + len(value)] = value
    path.write_bytes(data)
    return path
