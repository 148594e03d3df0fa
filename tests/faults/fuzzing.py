"""The fuzzer's frame: hypothesis makes inputs, a process of its own reads them, and is watched from outside.

A crash of a library ends that process and not the fuzzer, and a hang is ended by it. `make test` tries a sample that is
the same every time; the long form tries for ``ALIGNCAP_FUZZ_MINUTES`` (10) minutes of processor time a target. What was
tried is written to ``build/fuzz/{target}.json``, and inputs that showed a fault to ``build/fuzz/{target}-{n}.bin``.
"""

import base64
import itertools
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amount import LONG
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "fuzz"
MINUTES = float(os.environ.get("ALIGNCAP_FUZZ_MINUTES", "10"))
HANG_CPU_S, HANG_S = 20.0, 300.0  # seconds of its processor, and on the clock of a machine that does other things
GROWTH_MB = 48  # between a fifth of the way and its end
PEAK_MB = 1_600
EACH = 500  # inputs of one seed of hypothesis
KEPT = 20  # faults whose input is kept


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process, now (VmRSS) or at most so far (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


class Worker:
    """A process of ``fuzz_worker.py``, started anew after it crashed or hung."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.used = 0.0  # processor seconds of processes that are gone
        self.log = tempfile.TemporaryFile()
        self._start()

    def _start(self) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/faults/fuzz_worker.py"), self.target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TZ": "UTC"},
        )
        assert self._read(4, time.monotonic() + 600) == b"\0\0\0\0", "the worker did not start"

    @property
    def cpu(self) -> float:
        """Processor seconds of all its processes."""
        return self.used + cpu_seconds(self.process.pid)

    def ask(self, data: bytes) -> dict[str, Any]:
        """Return what became of an input: its ``outcome`` is read, refused, fault, crash or hang."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(len(data).to_bytes(4, "big") + data)
            self.process.stdin.flush()
            size = int.from_bytes(self._read(4, time.monotonic() + HANG_S), "big")
            return json.loads(self._read(size, time.monotonic() + HANG_S))
        except (TimeoutError, EOFError, BrokenPipeError) as error:
            hung = isinstance(error, TimeoutError)
            self.close()
            self._start()
            return {"outcome": "hang" if hung else "crash", "told": f"{type(error).__name__}: {error}"}

    def _read(self, size: int, ends: float) -> bytes:
        assert self.process.stdout is not None
        number, found, began = self.process.stdout.fileno(), b"", cpu_seconds(self.process.pid)
        while len(found) < size:
            if select.select([number], [], [], 1.0)[0]:
                part = os.read(number, size - len(found))
                if not part:
                    raise EOFError(f"the process ended with {self.process.wait()}")
                found += part
            elif time.monotonic() > ends or cpu_seconds(self.process.pid) - began > max(HANG_CPU_S, 0):
                raise TimeoutError(f"after {cpu_seconds(self.process.pid) - began:.0f} s of its processor")
        return found

    def close(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.used += cpu_seconds(self.process.pid)
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass


class Record:
    """What was tried, and what came of it.

    Args:
        target: Name of the file in ``build/fuzz``.
        sample: Number of inputs in `make test`.
        cpu: Processor seconds of the process that reads the inputs.
        memory: Its memory in MB, now and at most.
        waits: Whether it mostly waits, so that the clock says when it is over and not the processor.
    """

    def __init__(
        self,
        target: str,
        sample: int,
        cpu: Callable[[], float],
        memory: Callable[[], tuple[float, float]],
        waits: bool = False,
    ) -> None:
        self.target, self.sample, self.cpu, self.memory, self.waits = target, sample, cpu, memory, waits
        self.outcomes: Counter[str] = Counter()
        self.faults: dict[str, int] = {}
        self.kept: list[str] = []
        self.began, self.own = time.monotonic(), time.process_time()
        self.first_cpu = cpu()
        self.early, self.now, self.peak, self.slowest = 0.0, 0.0, 0.0, 0.0

    @property
    def tried(self) -> int:
        """Number of inputs."""
        return self.outcomes.total()

    @property
    def seconds(self) -> float:
        """Processor time of both processes since the start."""
        return time.process_time() - self.own + self.cpu() - self.first_cpu

    @property
    def done(self) -> float:
        """The share of what is to be tried that is tried."""
        spent = time.monotonic() - self.began if self.waits else self.seconds
        return spent / (60 * MINUTES) if LONG else self.tried / self.sample

    def over(self) -> bool:
        """Whether all that was to be tried is tried."""
        return self.done >= 1

    def add(self, data: bytes, answer: dict[str, Any]) -> None:
        """Count an input, and keep it where it shows a fault."""
        outcome, told = answer["outcome"], answer.get("told", "")
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, answer.get("cpu", 0.0))
        if outcome in ("fault", "crash", "hang"):
            kind = f"{outcome}: {answer.get('kind', told)}"
            if kind not in self.faults and len(self.kept) < KEPT:
                FOLDER.mkdir(parents=True, exist_ok=True)
                (FOLDER / f"{self.target}-{len(self.kept)}.bin").write_bytes(data)
                self.kept.append(f"{kind}: {told[:300]}: {base64.b64encode(data[:120]).decode()}")
            self.faults[kind] = self.faults.get(kind, 0) + 1
            self.early = 0.0  # it may be another process now
        if self.tried % 50 == 0 or not LONG:
            self.now, peak = self.memory()
            self.peak = max(self.peak, peak)
            if self.done > 0.2 and not self.early:
                self.early = self.now
            if self.tried % 500 == 0:
                self.write()

    def write(self) -> dict[str, Any]:
        """Write what was tried to ``build/fuzz``, and return it."""
        found = {
            "target": self.target,
            "inputs": self.tried,
            "outcomes": dict(sorted(self.outcomes.items())),
            "cpu_minutes": round(self.seconds / 60, 2),
            "minutes": round((time.monotonic() - self.began) / 60, 2),
            "slowest_cpu_s": round(self.slowest, 2),
            "memory_mb": {"at a fifth": round(self.early), "end": round(self.now), "peak": round(self.peak)},
            "faults": self.faults,
            "kept": self.kept,
        }
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{self.target}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return found

    def check(self) -> None:
        """Assert that nothing crashed, hung, raised what it may not, or grew."""
        found = self.write()
        assert not self.faults, "\n".join(self.kept)
        assert self.peak < PEAK_MB, found["memory_mb"]
        # a sample is over before all that is loaded and held once has been
        assert not LONG or self.now - self.early < GROWTH_MB, found["memory_mb"]


def each(strategy: st.SearchStrategy[bytes], record: Record, trial: Callable[[bytes], dict[str, Any]]) -> None:
    """Try inputs of a strategy until the record is over, from one seed after the other."""
    for number in itertools.count():
        options = settings(
            max_examples=EACH if LONG else record.sample,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        @seed(number)
        @options
        @given(strategy)
        def one(data: bytes) -> None:
            if not record.over():
                record.add(data, trial(data))

        one()
        if record.over():
            return


def fuzz(target: str, strategy: st.SearchStrategy[bytes], sample: int) -> None:
    """Fuzz a target of ``fuzz_worker.py``.

    Args:
        target: Name of the target, before a dash where several share one.
        strategy: Its inputs.
        sample: Number of inputs in `make test`.
    """
    worker = Worker(target)
    try:
        worker.ask(b"")  # what is loaded once is loaded now
        record = Record(
            target,
            sample,
            lambda: worker.cpu,
            lambda: (memory_mb(worker.process.pid), memory_mb(worker.process.pid, "VmHWM")),
        )
        each(strategy, record, worker.ask)
        record.check()
    finally:
        worker.close()
        worker.log.close()
