"""Speech inputs of callers, and their conversion to samples by the project's one decoder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from aligncap.errors import AudioError
from aligncap.speech.audio import SAMPLE_RATE, Channel, Clip, decode

Sound = str | os.PathLike[str] | NDArray[Any] | Mapping[str, Any]
ARRAYS, RATES, FILES = ("array", "raw"), ("sampling_rate", "sample_rate"), ("path", "audio", "file")
WANTED = (
    "a path, a one-dimensional array at 16 kHz, or a mapping with 'array' and 'sampling_rate', with 'bytes', or with "
    "'path'"
)


class Recording(NamedTuple):
    """A recording to caption, as ``Captioner.prepare_clip`` takes it."""

    samples: NDArray[np.float32]
    language: str | None = None
    name: str = ""
    warnings: Sequence[str] = ()


def read_sound(sound: Sound, max_duration_s: float = 60.0, channel: Channel = "mix") -> tuple[str, Clip]:
    """Return name and samples of a sound.

    Args:
        sound: Path; array ``[n]`` of float (full scale 1) or integer samples, mono, 16 kHz; or a mapping as in
            ``datasets`` and ``transformers``: ``array`` (or ``raw``) with ``sampling_rate`` in Hz, ``bytes`` of a file,
            ``path``, or one of these under ``audio``. A ``path`` beside an array is its name.
        max_duration_s: Maximum duration in seconds; longer sounds are refused.
        channel: What is heard of a file of several channels.

    Returns:
        The name for messages, and the decoded sound.

    Raises:
        AudioError: The sound is none of these, or ``aligncap.speech.audio.decode`` refuses it.
    """
    if isinstance(sound, str | os.PathLike):
        return str(sound), decode(Path(sound), max_duration_s, channel)
    if isinstance(sound, np.ndarray):
        return _from_array("array", sound, SAMPLE_RATE, max_duration_s)
    if not isinstance(sound, Mapping):
        raise AudioError(f"a sound of type {type(sound).__name__}; give {WANTED}")
    name = str(sound.get("path") or "array")
    array = next((sound[key] for key in ARRAYS if sound.get(key) is not None), None)
    if array is not None:
        rate = next((sound[key] for key in RATES if sound.get(key)), SAMPLE_RATE)
        return _from_array(name, np.asarray(array), int(rate), max_duration_s)
    if sound.get("bytes"):
        return _through_file(name, lambda path: path.write_bytes(sound["bytes"]), max_duration_s, channel)
    inner = next((sound[key] for key in FILES if sound.get(key) is not None), None)
    if inner is None:
        raise AudioError(f"a mapping with {', '.join(map(str, sound)) or 'no keys'}; give {WANTED}")
    return read_sound(inner, max_duration_s, channel)


def _from_array(name: str, array: NDArray[Any], rate: int, max_duration_s: float) -> tuple[str, Clip]:
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise AudioError(
            f"{name}: an array of shape {list(array.shape)} and type {array.dtype}; give one dimension of float or "
            "integer samples (average the channels first)"
        )
    if array.dtype.kind in "iu":
        scale = np.iinfo(array.dtype)
        middle = 0 if array.dtype.kind == "i" else (scale.max + 1) / 2
        array = (array.astype(np.float64) - middle) / ((scale.max - scale.min + 1) / 2)
    samples = array.astype(np.float32)
    return _through_file(name, lambda path: soundfile.write(path, samples, rate, "FLOAT", format="WAV"), max_duration_s)


def _through_file(name: str, write: Any, max_duration_s: float, channel: Channel = "mix") -> tuple[str, Clip]:
    """Read a sound through a file, so that it is checked and resampled as files are."""
    with tempfile.TemporaryDirectory(prefix="aligncap-") as folder:
        path = Path(folder) / "sound"
        try:
            write(path)
            return name, decode(path, max_duration_s, channel)
        except AudioError as error:
            raise AudioError(str(error).replace(str(path), name)) from None
        except (soundfile.LibsndfileError, ValueError, OverflowError) as error:
            raise AudioError(f"{name}: no sound can be made of it ({error}); give {WANTED}") from None
