"""The caption server under load: clients that each send one recording after another, on loopback.

Starts `aligncap serve` with a checkpoint, then 1, 8 and 64 clients in turn, each for a while, and prints captions a
second, latencies, errors, refusals (429 with Retry-After) and how the server's memory grows. At the end the server gets
SIGTERM while clients wait: every accepted request must be answered.

    python benchmarks/load.py pretrained recordings/*.wav --seconds 300 --out build/load.md
"""

import argparse
import asyncio
import itertools
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from aligncap import artifacts
from aligncap.evaluation.wording import markdown_table

COLUMNS = ("clients", "captions/s", "median s", "99th percentile s", "refused", "errors", "memory MB", "grown MB")


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
            answer = await http.post("/v1/captions", files={"file": (name, data)}, data={"language": "en"})
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
            return (await http.post("/v1/captions", files=files, data={"language": "en"})).status_code

        asked = [asyncio.create_task(ask(files[n % len(files)])) for n in range(clients)]
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        return Counter(await asyncio.gather(*asked))


def main() -> None:
    """Start, load, stop and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("files", nargs="+", type=Path, help="recordings that clients send in turn")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    line = [sys.executable, "-m", "aligncap.serving.cli", "serve", "--alone", "--port", "0"]
    rows = []
    with subprocess.Popen([*line, "--model", str(arguments.checkpoint)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(found[1] for text in process.stderr if (found := re.search(r"is on (http://\S+)", text)))
        server = psutil.Process(process.pid)
        asyncio.run(stage(address, arguments.files, 1, 5))  # warm
        for clients in arguments.clients:
            before, begun = megabytes(server), time.monotonic()
            seen, took = asyncio.run(stage(address, arguments.files, clients, arguments.seconds))
            seconds, held = time.monotonic() - begun, megabytes(server)
            errors = sum(count for status, count in seen.items() if status not in (200, 429))
            rows.append(
                [
                    str(clients),
                    f"{seen[200] / seconds:.2f}",
                    f"{statistics.median(took):.2f}",
                    f"{statistics.quantiles(took, n=100)[98]:.2f}" if len(took) > 1 else "–",
                    str(seen[429]),
                    str(errors),
                    f"{held:.0f}",
                    f"{held - before:+.0f}",
                ]
            )
        ended = asyncio.run(drained(address, arguments.files, process))
        code = process.wait(120)
    text = "\n".join(
        [
            f"# Load, {arguments.seconds:g} s each",
            "",
            *markdown_table("r" * len(COLUMNS), COLUMNS, rows),
            f"SIGTERM with 8 waiting: answers {dict(ended)}, exit {code}.",
            "",
        ]
    )
    artifacts.write_text(text, arguments.out)
    print(text)


if __name__ == "__main__":
    main()
