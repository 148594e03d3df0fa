"""Speech synthesis with espeak-ng, whose library and data are in the wheel ``espeakng-loader``.

The library keeps state from one utterance to the next, and seeds its noise from the clock. So that equal jobs give
equal samples, the noise is seeded here and the jobs of a corpus go, in order, to one fresh process,
``python -m aligncap.corpora.espeak``. It reads a JSON list of jobs from stdin and writes, for each, a 4-byte
little-endian count and as many 16-bit samples to stdout.
"""

from __future__ import annotations

import ctypes
import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from aligncap.errors import CorpusError

SAMPLE_RATE = 22_050
# Constants of speak_lib.h
_SYNCHRONOUS, _DONT_EXIT, _UTF8_SSML = 2, 0x8000, 0x11
_RATE, _PITCH, _RANGE = 1, 3, 4
_NAMES = {"en-gb": "en"}  # the library does not find this language by its code
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Speech:
    """The text, voice and prosody of one utterance to be spoken."""

    text: str  # SSML, or text without markup characters
    voice: str  # language, "+", variant, such as en-us+f3
    rate: int  # words a minute, 80-450; 175 is usual
    pitch: int  # 0-100; 50 is the voice's own
    pitch_range: int  # 0-100; 0 is monotone, 50 is usual


class _Engine:
    """The loaded library, of which a process has one."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
        self.variants = {path.name for path in (Path(data) / "voices" / "!v").iterdir()}
        if self.library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT) != SAMPLE_RATE:
            raise CorpusError(f"espeak-ng does not start with its data in '{data}'; install espeakng-loader again")
        self._blocks: list[NDArray[np.int16]] = []
        self._callback = _CALLBACK(self._keep)  # stored here, because the library holds a bare pointer to it
        self.library.espeak_SetSynthCallback(self._callback)

    def _keep(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def set_voice(self, voice: str) -> None:
        language, plus, variant = voice.partition("+")
        name = _NAMES.get(language, language) + plus + variant
        # The library accepts an unknown variant without an error and speaks with the plain voice.
        if (plus and variant not in self.variants) or self.library.espeak_SetVoiceByName(name.encode()) != 0:
            raise CorpusError(
                f"voices: espeak-ng has no voice '{voice}'; name one such as en-us+f3, with a variant of "
                f"{', '.join(sorted(v for v in self.variants if len(v) == 2))}"
            )

    def speak(self, job: Speech) -> NDArray[np.int16]:
        self._blocks.clear()
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(0))
        self.set_voice(job.voice)
        for parameter, value in ((_RATE, job.rate), (_PITCH, job.pitch), (_RANGE, job.pitch_range)):
            self.library.espeak_SetParameter(parameter, value, 0)
        text = job.text.encode() + b"\0"
        if self.library.espeak_Synth(text, len(text), 0, 1, 0, _UTF8_SSML, None, None) != 0:
            raise CorpusError(f"espeak-ng cannot say {job.text!r} with voice '{job.voice}'; choose another voice")
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)


def speak_all(jobs: Sequence[Speech]) -> Iterator[NDArray[np.float32]]:
    """Speak the jobs in order, in a fresh process.

    Yields:
        Samples ``[n]`` for each job, at 22,050 Hz, full scale 1.

    Raises:
        CorpusError: espeak-ng is missing, or does not know a voice.
    """
    command = [sys.executable, "-m", "aligncap.corpora.espeak"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
        worker.stdin.write(json.dumps([asdict(job) for job in jobs]).encode())
        worker.stdin.close()
        try:
            for _ in jobs:
                head = worker.stdout.read(4)
                if len(head) < 4:
                    reason = worker.stderr.read().decode(errors="replace").strip().splitlines()
                    raise CorpusError(reason[-1] if reason else "espeak-ng stopped without a word; run it again")
                data = worker.stdout.read(2 * struct.unpack("<I", head)[0])
                yield np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        finally:
            worker.kill()


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    jobs = [Speech(**job) for job in json.loads(requests.read())]
    engine = _Engine()
    for voice in dict.fromkeys(job.voice for job in jobs):
        engine.set_voice(voice)
    for job in jobs:
        samples = engine.speak(job)
        answers.write(struct.pack("<I", len(samples)) + samples.astype("<i2").tobytes())
        answers.flush()


if __name__ == "__main__":
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except CorpusError as problem:
        sys.exit(str(problem))
    except ImportError:
        sys.exit("espeak-ng is not installed; pip install espeakng-loader")
