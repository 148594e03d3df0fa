"""The caption server is fuzzed over a socket: bytes that are no HTTP, damaged requests, and forms with odd fields."""

import json
import select
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from amount import LONG
from caption_server import Served, form, recording, served
from fuzz_inputs import damaged, damages, recordings
from fuzzing import Record, cpu_seconds, each, memory_mb
from hypothesis import strategies as st

PATIENCE_S = 4.0
WAIT_S = 120.0  # for an answer, on a machine that does other things
SHOWN = 25  # after so many inputs others are asked for
PATHS = ["/v1/captions", "/v1/captions/stream", "/", "/healthz", "/docs", "/v1/systems", "/static/captions.js"]
ODD_PATHS = [
    "/static/../../../etc/passwd",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "/static/%00",
    "//",
    "*",
    "/?" + "x" * 9_000,
]
OURS = ("/aligncap/", "/starlette/", "/fastapi/")  # in the traceback of a request that came through to the application
METHODS = ["POST", "POST", "POST", "GET", "HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT", "X"]
letters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


def multipart(parts: list[tuple[str, str, str, bytes]], boundary: str, ends: bool) -> bytes:
    """A form of parts: name, file name, further header, content."""
    body = b""
    for name, file, header, data in parts:
        told = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        told += f'; filename="{file}"' if file else ""
        told += f"\r\n{header}" if header else ""
        body += told.encode("utf-8", "replace") + b"\r\n\r\n" + data + b"\r\n"
    return body + (f"--{boundary}--\r\n".encode() if ends else b"")


def request(method: str, path: str, headers: list[str], body: bytes, size: int | None, chunked: bool) -> bytes:
    """A request; ``size`` is a length that it lies about."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body) if size is None else size}")
    if chunked:
        body = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 999]), body[i : i + 999]) for i in range(0, len(body), 999))
        body += b"0\r\n\r\n"
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


def requests() -> st.SearchStrategy[bytes]:
    """Requests as programs and websites send them, and as nobody does."""
    sound = st.one_of(
        st.just(recording(0.2)),
        st.sampled_from(recordings()),
        st.builds(damaged, st.sampled_from(recordings()), damages),
    )
    content = st.one_of(
        sound, sound, st.binary(max_size=400), st.sampled_from([b"", b"en", b"true", b"%PDF-1.4", b"x" * 70_000])
    )
    name = st.one_of(
        st.sampled_from(["file", "file", "file", "language", "compare", "", "file[]", "x" * 3_000]), letters
    )
    file = st.one_of(st.sampled_from(["x.wav", "x.wav", "", "../../x", "<img src=x>", "a%00b"]), letters)
    header = st.one_of(
        st.sampled_from(
            [
                "",
                "",
                "Content-Type: audio/wav",
                "Content-Type: text/html; charset=utf-7",
                "Content-Transfer-Encoding: base64",
            ]
        ),
        letters,
    )
    part = st.tuples(name, file, header, content)
    bodies = st.builds(
        multipart, st.lists(part, max_size=4), st.sampled_from(["x", "x", "y", "--", "b" * 70]), st.booleans()
    )
    kinds = ["multipart/form-data; boundary=x"] * 4 + [
        "multipart/form-data",
        "application/json",
        "multipart/form-data; boundary=" + "b" * 300,
        "multipart/mixed; boundary=x",
    ]
    more = st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "Origin: null",
                    "Sec-Fetch-Site: cross-site",
                    "Host: x",
                    "Content-Length: 5",
                    "Expect: 100-continue",
                    "Range: bytes=0-",
                    "Upgrade: websocket",
                ]
            ),
            letters,
        ),
        max_size=2,
    )
    kinds += [f"multipart/form-data; boundary=x; charset={name}" for name in ("utf-8", "utf-7", "undefined", "idna")]
    headers = st.builds(lambda kind, own: [f"Content-Type: {kind}", *own], st.sampled_from(kinds), more)
    size = st.one_of(*[st.none()] * 5, st.integers(-5, 10**13))
    path = st.one_of(*[st.sampled_from(PATHS[:2])] * 4, st.sampled_from(PATHS), st.sampled_from(ODD_PATHS))
    whole = st.builds(request, st.sampled_from(METHODS), path, headers, bodies, size, st.booleans())
    good = st.builds(
        lambda path, file, data: request(
            "POST", path, ["Content-Type: multipart/form-data; boundary=x"], form(data, file), None, False
        ),
        st.sampled_from(PATHS[:2]),
        letters.filter(lambda text: '"' not in text),
        sound,
    )
    return st.one_of(whole, whole, good, st.builds(damaged, whole, damages), st.binary(max_size=300))


def exchange(port: int, data: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server closes the connection."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as raw:
        try:
            raw.sendall(data)
            if not select.select([raw], [], [], PATIENCE_S)[0]:
                raw.shutdown(socket.SHUT_WR)  # it waits for more; at once this would abandon a good upload
            while part := raw.recv(65_536):
                found += part
        except ConnectionError:
            pass  # refused before it was read
    return found


def trial(server: Served, data: bytes, count: list[int]) -> dict[str, Any]:
    """What became of one request."""
    began = time.monotonic()
    try:
        answer = exchange(server.port, data)
        count[0] += 1
        if count[0] % SHOWN == 0:
            state = exchange(server.port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert state.startswith(b"HTTP/1.1 200"), state[:200]
    except TimeoutError:
        return {"outcome": "hang", "told": f"no end after {time.monotonic() - began:.0f} s"}
    except (OSError, AssertionError) as error:
        return {"outcome": "crash", "told": f"{server.process.poll()}: {error!r}"}
    top, _, body = answer.partition(b"\r\n\r\n")
    status = int(top.split()[1]) if top.startswith(b"HTTP/1.") else 0
    if wrong := [line for line in server.log if "Traceback" in line]:
        told = "".join(server.log[server.log.index(wrong[0]) :])
        server.log.clear()
        ours = any(name in told for name in OURS)
        if "in send_400_response" in told and not ours:  # uvicorn answers a HEAD with a body, fails, and closes
            return {"outcome": "refused"}
        return {"outcome": "fault", "kind": told.strip().splitlines()[-1][:120], "told": told[-300:]}
    if status >= 500 and status != 503:
        return {"outcome": "fault", "kind": str(status), "told": repr(answer[:300])}
    if b"application/json" in top and status and not data.startswith(b"HEAD") and b"chunked" not in top:
        json.loads(body)
    return {"outcome": "read" if 200 <= status < 300 else "refused"}


@pytest.mark.timeout(36_000 if LONG else 600)
def test_the_server(tmp_path: Path) -> None:
    with served(tmp_path, upload_seconds=2) as server:
        pid, count = server.process.pid, [0]
        assert exchange(server.port, request("GET", "/docs", [], b"", None, False)).startswith(b"HTTP/1.1 200")
        files = server.files
        record = Record(
            "http", 40, lambda: cpu_seconds(pid), lambda: (memory_mb(pid), memory_mb(pid, "VmHWM")), waits=True
        )
        each(requests(), record, lambda data: trial(server, data, count))
        record.check()
        assert server.files_settle(files + 2) <= files + 2


@pytest.mark.timeout(300)
def test_a_body_that_is_no_http_is_refused_without_a_traceback(tmp_path: Path) -> None:
    """Found by the fuzzer: the server has answered it already when the application wants to."""
    head = b"DELETE /v1/captions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(tmp_path, upload_seconds=2) as server:
        answer = exchange(server.port, head + b"no size of a chunk\r\n")
        assert answer.startswith(b"HTTP/1.1 400")
        assert exchange(server.port, request("GET", "/healthz", [], b"", None, False)).startswith(b"HTTP/1.1 200")
        assert not [line for line in server.log if "Traceback" in line]
