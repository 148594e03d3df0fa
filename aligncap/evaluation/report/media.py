"""Recordings and spectrograms as data addresses, small enough to be embedded in the page."""

from __future__ import annotations

import base64
import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from aligncap.speech.audio import SAMPLE_RATE, Samples

# MP3 is played by every browser, even on old phones without Ogg, and equal samples give equal bytes (libsndfile draws
# the serial number of an Ogg stream from the clock).
QUALITY = 0.8  # libsndfile's compression level, 0 best to 1 smallest
WINDOW, FFT, HOP = 512, 1024, 160  # samples: 32 ms, zero-padded to 64 ms, every 10 ms
BANDS, LOWEST_HZ, HIGHEST_HZ = 80, 60.0, 8000.0
COLUMNS = 480  # of a picture; longer clips have several frames in one column
RANGE_DB = 70.0


def recording(samples: Samples) -> str:
    """Encode a clip as MP3.

    Args:
        samples: Samples [n], mono, 16 kHz, full scale 1.
    """
    stream = io.BytesIO()
    soundfile.write(stream, samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=QUALITY)
    return _address("audio/mpeg", stream.getvalue())


def spectrogram(samples: Samples) -> str:
    """Draw a clip's mel spectrogram as WebP: time to the right, 60 Hz to 8 kHz upwards, 70 dB from black to white."""
    from matplotlib.image import imsave

    stream = io.BytesIO()
    level = levels(samples)
    imsave(
        stream,
        level,
        vmin=-RANGE_DB,
        vmax=0.0,
        cmap="magma",
        origin="lower",
        format="webp",
        pil_kwargs={"quality": 60, "method": 6},
    )
    return _address("image/webp", stream.getvalue())


def levels(samples: Samples) -> NDArray[np.float64]:
    """Return the level of each mel band per column in dB below the clip's loudest, [BANDS, at most COLUMNS]."""
    from transformers.audio_utils import mel_filter_bank, power_to_db, window_function
    from transformers.audio_utils import spectrogram as power_of

    bands = mel_filter_bank(FFT // 2 + 1, BANDS, LOWEST_HZ, HIGHEST_HZ, SAMPLE_RATE)
    window = window_function(WINDOW, "hann")
    power = power_of(samples, window, WINDOW, HOP, FFT, pad_mode="constant", mel_filters=bands)
    step = -(-power.shape[1] // COLUMNS)
    columns = [power[:, start : start + step].mean(axis=1) for start in range(0, power.shape[1], step)]
    return power_to_db(np.stack(columns, axis=1), reference=max(power.max(), 1e-10), db_range=RANGE_DB)


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
