"""A chat endpoint on this machine that misbehaves as told."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aligncap.config import Judge

GOOD = '{"factuality": 4, "faithfulness": 5, "why": "it fits"}'


def completion(content):
    """Body of a chat completion."""
    return json.dumps({"choices": [{"message": {"content": content}}], "usage": {"prompt_tokens": 7}})


class Reply:
    """What the server does with one request.

    Args:
        body: text or bytes of the reply.
        status: of the reply.
        headers: further ones.
        sleep: seconds before it, as a server that is too slow.
        announced: bytes that Content-Length promises, where that is more than come.
    """

    def __init__(self, body, status=200, headers=None, sleep=0.0, announced=None):
        self.body = body if isinstance(body, bytes) else body.encode()
        self.status, self.headers, self.sleep = status, headers or {}, sleep
        self.announced = announced or len(self.body)


class ChatServer(ThreadingHTTPServer):
    """Answers what ``reply`` says; ``reply`` is given the request body and its number, from 0."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, reply: Callable[[dict, int], Reply], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.reply = reply
        self.requests: list[dict] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.lock = threading.Lock()
        self.now = self.most = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address) -> None:  # a client that gave up waiting
        pass


class Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(asked)
            self.server.keys.append(self.headers["Authorization"])
            self.server.paths.append(self.path)
            self.server.times.append(time.monotonic())
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        try:
            reply = self.server.reply(asked, number)
            time.sleep(reply.sleep)
        finally:
            with self.server.lock:
                self.server.now -= 1
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(reply.announced), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serving(reply: Callable[[dict, int], Reply], port: int = 0) -> Iterator[ChatServer]:
    """A running server; shut down at the end, its port free again."""
    server = ChatServer(reply, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


KEY = "sk-very-secret-0123456789"
VARIABLE = "ALIGNCAP_TEST_KEY"


def judge(url, **changed):
    """The judge ``openai`` at a server of this machine, with short waits."""
    fast = {"model": "m", "key_variable": VARIABLE, "timeout_s": 5, "retries": 2, "backoff_s": 0.01, "max_wait_s": 3}
    return Judge(name="openai", openai={"base_url": url, **fast, **changed})


def good(asked, number):
    return Reply(completion(GOOD))


def after(first, count=1):
    """A reply function: ``first`` for the first ``count`` requests, then good ones."""
    return lambda asked, number: first if number < count else good(asked, number)
