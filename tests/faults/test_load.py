"""Hundreds of uploads at once, and hundreds that drip: others are answered, and nothing is left behind."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from amount import amount
from caption_server import Served, form, head, recording, served
from fuzzing import FOLDER

COUNT = amount(50, 500)
ROUNDS = amount(2, 3)
FLAT_MB = 40
MAY = {200, 408, 429, 503}


async def status_of(reader: asyncio.StreamReader) -> int:
    """The status of an answer, whose body is read to its end; 0 where the connection was closed without one."""
    line = b""
    try:
        line = await reader.readline()
        await reader.read()
    except ConnectionResetError:
        pass  # closed while more was being sent, which may overtake the answer
    return int(line.split()[1]) if line else 0


async def upload(port: int, body: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head(len(body)) + body)
    status = await status_of(reader)
    writer.close()
    return status


def in_time(port: int, body: bytes) -> bool:
    """Whether an upload is captioned by a server of little patience, at once or a little later on a busy machine."""
    return any(asyncio.run(upload(port, body)) == 200 for _ in range(5))


async def drip(port: int) -> int:
    """Send three bytes, and again, until there is an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head(100_000))
    asked = asyncio.create_task(status_of(reader))
    while not asked.done():
        with contextlib.suppress(ConnectionError):
            writer.write(b"--x")
            await writer.drain()
        await asyncio.wait([asked], timeout=1.0)
    writer.close()
    return asked.result()


async def look(port: int, seen: list[tuple[int, float]], over: asyncio.Event) -> None:
    """Ask for the state of the server again and again, as others would."""
    while not over.is_set():
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        seen.append((await status_of(reader), time.monotonic() - began))
        writer.close()
        await asyncio.sleep(0.1)


async def at_once(
    port: int, tasks: Sequence[Callable[[], Awaitable[int]]]
) -> tuple[Counter[int], list[tuple[int, float]]]:
    """Statuses of all tasks, and what another client saw meanwhile."""
    seen: list[tuple[int, float]] = []
    over = asyncio.Event()
    looking = asyncio.create_task(look(port, seen, over))
    statuses = Counter(await asyncio.gather(*(task() for task in tasks)))
    over.set()
    await looking
    return statuses, seen


def note(name: str, server: Served, statuses: Counter[int], seen: list[tuple[int, float]], memory: list[float]) -> None:
    """Write the figures of a test to ``build/fuzz``."""
    waits = sorted(wait for _, wait in seen)
    figures = {
        "uploads at once": COUNT,
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "others asked": len(seen),
        "others waited s": {"median": round(waits[len(waits) // 2], 3), "longest": round(waits[-1], 3)},
        "memory mb": [round(value) for value in memory],
        "open files": server.files,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


@pytest.mark.timeout(3_600)
def test_many_uploads_at_once(tmp_path: Path) -> None:
    body = form(recording())
    with served(tmp_path, upload_seconds=600) as server:
        assert asyncio.run(upload(server.port, body)) == 200
        files, memory, statuses = server.files, [], Counter[int]()
        seen: list[tuple[int, float]] = []
        for _ in range(ROUNDS):
            told, others = asyncio.run(at_once(server.port, [lambda: upload(server.port, body)] * COUNT))
            statuses += told
            seen += others
            memory.append(server.memory)
        assert asyncio.run(upload(server.port, body)) == 200
        settled = server.files_settle(files)
        note("uploads-at-once", server, statuses, seen, memory)
        assert set(statuses) <= MAY and statuses[200] >= ROUNDS and statuses.total() == ROUNDS * COUNT
        assert {status for status, _ in seen} == {200}
        assert memory[-1] - memory[0] < FLAT_MB and settled <= files
        assert not any("Traceback" in line for line in server.log), "".join(server.log)


@pytest.mark.timeout(3_600)
def test_many_uploads_that_drip(tmp_path: Path) -> None:
    body = form(recording())
    with served(tmp_path, upload_seconds=amount(5, 20)) as server:
        assert in_time(server.port, body)
        files, memory, statuses = server.files, [], Counter[int]()
        seen: list[tuple[int, float]] = []
        for _ in range(ROUNDS):
            fine = [lambda: upload(server.port, body)] * 2
            told, others = asyncio.run(at_once(server.port, [*[lambda: drip(server.port)] * COUNT, *fine]))
            statuses += told
            seen += others
            memory.append(server.memory)
        settled = server.files_settle(files)
        note("uploads-that-drip", server, statuses, seen, memory)
        assert (
            set(statuses) <= {*MAY, 0}
            and statuses[408] + statuses[0] >= ROUNDS * COUNT
            and statuses.total() == ROUNDS * (COUNT + 2)
        )
        assert {status for status, _ in seen} == {200}
        assert memory[-1] - memory[0] < FLAT_MB and settled <= files
        assert in_time(server.port, body)
        assert not any("Traceback" in line for line in server.log), "".join(server.log)
