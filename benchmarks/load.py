"""The caption server under load: clients that each send one recording after another, on loopback.

Starts `aligncap serve` with a checkpoint, then 1, 8 and 64 clients in turn, each for a while, and prints captions a
second, latencies, errors, refusals (429 with Retry-After) and how the server's memory grows. At the end the server gets
SIGTERM while clients wait: every accepted request must be answered. With `--against`, another checkout's server is
loaded first by one client, and again at the end, so that both are measured in one run; nobody else may use the machine.

    python benchmarks/load.py pretrained recordings/*.wav --seconds 300 --out build/load.md
    python benchmarks/load.py … --against ../checkout-of-707f353 --against-checkpoint its/checkpoint
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from aligncap import artifacts
from aligncap.evaluation.wording import markdown_table

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    "code",
    "clients",
    "captions/s",
    "median s",
    "99th percentile s",
    "refused",
    "errors",
    "memory MB",
    "grown MB",
)
Row = list[str]


def megabytes(process: psutil.Process) -> float:
    """Return the memory that the server and its children hold."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 1e6


async def client(
    http: httpx.AsyncClient, sounds: Iterator[tuple[str, bytes]], until: float, seen: Counter, took: list[float]
) -> None:
    """Send recordings until the time is over; a refused one is sent again when the server says so."""
    while time.monotonic() < until:
        name, data = next(sounds)
        begun = time.monotonic()
        try:
            answer = await http.post("/v1/captions", files={"file": (name, data)})
        except httpx.HTTPError as error:
            seen[type(error).__name__] += 1
            continue
        seen[answer.status_code] += 1
        if answer.status_code == 200:
            took.append(time.monotonic() - begun)
        elif answer.status_code == 429:
            await asyncio.sleep(float(answer.headers["Retry-After"]))


async def stage(address: str, files: list[Path], clients: int, seconds: float) -> tuple[Counter, list[float]]:
    """Run so many clients for so long."""
    loaded = itertools.cycle([(path.name, path.read_bytes()) for path in files])
    seen, took = Counter(), []
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits) as http:
        until = time.monotonic() + seconds
        await asyncio.gather(*(client(http, loaded, until, seen, took) for _ in range(clients)))
    return seen, took


async def drained(address: str, files: list[Path], process: subprocess.Popen, clients: int = 8) -> Counter:
    """Send SIGTERM while clients wait; what each of them got."""
    async with httpx.AsyncClient(base_url=address, timeout=600) as http:

        async def ask(path: Path) -> int:
            files = {"file": (path.name, path.read_bytes())}
            return (await http.post("/v1/captions", files=files)).status_code

        asked = [asyncio.create_task(ask(files[n % len(files)])) for n in range(clients)]
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        return Counter(await asyncio.gather(*asked))


@contextlib.contextmanager
def served(checkpoint: Path, models: Path, code: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """Yield address and process of a server of one checkout's code, warm."""
    line = [sys.executable, "-m", "aligncap.serving.cli", "serve", "--alone", "--port", "0"]
    line += ["--model", str(checkpoint.resolve()), "--models", str(models.resolve())]
    there = os.environ | {"PYTHONPATH": str(code.resolve())}
    with subprocess.Popen(line, cwd=code, env=there, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(found[1] for text in process.stderr if (found := re.search(r"is on (http://\S+)", text)))
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the server
        try:
            yield address, process
        finally:
            process.terminate()


def measured(
    name: str, server: tuple[str, subprocess.Popen], arguments: argparse.Namespace, clients: int, seconds: float
) -> Row:
    """Load a server with so many clients and return the line of the table."""
    address, process = server[0], psutil.Process(server[1].pid)
    asyncio.run(stage(address, arguments.files, clients, arguments.warm))
    before, begun = megabytes(process), time.monotonic()
    seen, took = asyncio.run(stage(address, arguments.files, clients, seconds))
    seconds, held = time.monotonic() - begun, megabytes(process)
    errors = sum(count for status, count in seen.items() if status not in (200, 429))
    return [
        name,
        str(clients),
        f"{seen[200] / seconds:.2f}",
        f"{statistics.median(took):.2f}" if took else "–",
        f"{statistics.quantiles(took, n=100)[98]:.2f}" if len(took) > 1 else "–",
        str(seen[429]),
        str(errors),
        f"{held:.0f}",
        f"{held - before:+.0f}",
    ]


def main() -> None:
    """Start, load, stop and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("files", nargs="+", type=Path, help="recordings that clients send in turn")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--warm", type=float, default=20, help="seconds of the same load before each measurement")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--against", type=Path, help="another checkout, whose server one client loads, a fifth as long")
    parser.add_argument("--against-checkpoint", type=Path, help="a checkpoint that its code reads")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[Row] = []

    def before() -> None:
        if arguments.against is not None:
            with served(arguments.against_checkpoint, arguments.models, arguments.against) as server:
                rows.append(measured(arguments.against.name, server, arguments, 1, arguments.seconds / 5))

    before()
    with served(arguments.checkpoint, arguments.models, ROOT) as server:
        for clients in arguments.clients:
            rows.append(measured("this", server, arguments, clients, arguments.seconds))
        ended = asyncio.run(drained(server[0], arguments.files, server[1]))
        code = server[1].wait(120)
    before()
    text = "\n".join(
        [
            f"# Load, {arguments.seconds:g} s each",
            "",
            *markdown_table("l" + "r" * (len(COLUMNS) - 1), COLUMNS, rows),
            f"SIGTERM with 8 waiting: answers {dict(ended)}, exit {code}.",
            "",
        ]
    )
    artifacts.write_text(text, arguments.out)
    print(text)


if __name__ == "__main__":
    main()
