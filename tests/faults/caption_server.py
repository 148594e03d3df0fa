"""A caption server with a tiny captioner in a process of its own, whose memory and files can be counted."""

import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from fuzzing import ROOT, memory_mb

SCRIPT = ROOT / "tests/web/tiny_captioner.py"


class Served:
    """A running server.

    Attributes:
        process: Its process.
        port: Its port on loopback.
        log: Lines of its log so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.log = process, []
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line)
            if found := re.search(r"is on http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("".join(self.log))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    @property
    def memory(self) -> float:
        """Its memory in MB."""
        return memory_mb(self.process.pid)

    @property
    def files(self) -> int:
        """Number of its open files and connections."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def files_settle(self, most: int, within_s: float = 60) -> int:
        """Return the number of open files once it is ``most`` or less, or after a while."""
        ends = time.monotonic() + within_s
        while self.files > most and time.monotonic() < ends:
            time.sleep(0.2)
        return self.files


@contextmanager
def served(folder: Path, upload_seconds: float) -> Iterator[Served]:
    """Serve a tiny captioner that takes uploads of at most ``upload_seconds``."""
    process = subprocess.Popen(
        [sys.executable, SCRIPT, folder, "0", str(upload_seconds)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.wait()


def recording(seconds: float = 0.5) -> bytes:
    """A WAV file of a tone."""
    stream = io.BytesIO()
    soundfile.write(stream, 0.5 * np.sin(np.arange(int(16_000 * seconds)) / 10), 16_000, format="WAV")
    return stream.getvalue()


def form(data: bytes, name: str = "x.wav") -> bytes:
    """A multipart body with one file."""
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--x--\r\n"


def head(size: int, path: str = "/v1/captions") -> bytes:
    """The head of an upload of ``size`` bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {size}\r\n\r\n"
    ).encode()
