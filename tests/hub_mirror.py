"""A small Hugging Face hub on loopback: what huggingface_hub asks of the real one, answered from files made here.

Large files are redirected to a second address with a signature, as the hub does it, and each request is kept.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".gguf", ".pt")
PAGE = 3  # files that the list of a tree has before it goes on at another address


def commit_of(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


@dataclass
class Repository:
    """Files of each commit, names of commits, and who may read them."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    private: bool = False
    gated: bool = False
    absent: set[str] = field(default_factory=set)  # files that are listed and not there
    damaged: set[str] = field(default_factory=set)  # files that come with another byte
    held: set[str] = field(default_factory=set)  # files whose second half is never sent
    cuts: dict[str, list[int]] = field(default_factory=dict)  # file -> after how many bytes each answer breaks off


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    host: str  # "hub" or "store"
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Hub:
    """The two servers, and what they have."""

    endpoint: str
    store: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, set[str]] = field(default_factory=dict)  # token -> repositories that it may read
    requests: list[Request] = field(default_factory=list)

    def bodies(self, host: str) -> list[Request]:
        return [r for r in self.requests if r.host == host and r.method == "GET" and not r.path.startswith("/api/")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    host: str

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.hub.requests.append(
            Request(self.host, self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        )
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if self.host == "store":
            self._store(*parts)
        elif parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:])
        else:
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _send(self, status: int, body: bytes = b"", cut: int | None = None, **headers: str) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def _refuse(self, status: int, code: str | None, told: str) -> None:
        self._send(
            status,
            json.dumps({"error": told}).encode(),
            X_Error_Message=told,
            **({"X_Error_Code": code} if code else {}),
        )

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _readable(self, name: str) -> Repository | None:
        """The repository, where there is one that may be known of; otherwise the refusal is sent."""
        if name in self.hub.moved:
            self._send(307, Location=self.path.replace(name, self.hub.moved[name]))
            return None
        token = self._token()
        if token is not None and token not in self.hub.tokens:
            self._refuse(401, None, "Invalid credentials in Authorization header")
            return None
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and name not in self.hub.tokens.get(token or "", ())):
            if token is None:
                self._refuse(401, None, "Invalid username or password.")
            else:
                self._refuse(404, "RepoNotFound", "Repository not found")
            return None
        return repository

    def _api(self, name: str, rest: list[str]) -> None:
        if (repository := self._readable(name)) is None:
            return
        commit = self._commit(repository, rest[1])
        if commit is None:
            return
        files = repository.commits[commit]
        if rest[0] == "revision":
            names = [{"rfilename": file} for file in files]
            told = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "siblings": names}
            self._send(200, json.dumps(told).encode(), Content_Type="application/json")
            return
        assert rest[0] == "tree", rest
        begin = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        listed = [_entry(file, files[file]) for file in sorted(files)[begin : begin + PAGE]]
        more = {}
        if begin + PAGE < len(files):
            page = f"{self.hub.endpoint}/api/models/{name}/tree/{rest[1]}?recursive=true&cursor={begin + PAGE}"
            more = {"Link": f'<{page}>; rel="next"'}
        self._send(200, json.dumps(listed).encode(), Content_Type="application/json", **more)

    def _commit(self, repository: Repository, revision: str) -> str | None:
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if (repository := self._readable(name)) is None:
            return
        token = self._token()
        if repository.gated and name not in self.hub.tokens.get(token or "", ()):
            told = f"Access to model {name} is restricted. {'Please log in.' if token is None else 'Ask for access.'}"
            self._refuse(401 if token is None else 403, "GatedRepo", told)
            return
        if (commit := self._commit(repository, revision)) is None:
            return
        data = repository.commits[commit].get(file)
        if data is None or file in repository.absent:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X_Repo_Commit": commit, "Accept_Ranges": "bytes"}
        if not file.endswith(LARGE):
            self._send(200, data, ETag=f'"{_blob(data)}"', **headers)
            return
        digest = hashlib.sha256(data).hexdigest()
        place = f"{self.hub.store}/{name}/{commit}/{file}?Signature=secret"
        self._send(302, Location=place, X_Linked_ETag=f'"{digest}"', X_Linked_Size=str(len(data)), **headers)

    def _store(self, owner: str, name: str, commit: str, *file: str) -> None:
        path = "/".join(file)
        repository = self.hub.repositories[f"{owner}/{name}"]
        data = repository.commits[commit][path]
        if path in repository.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        status, begin = 200, 0
        headers = {"ETag": '"of the store"', "Accept_Ranges": "bytes"}
        if asked := self.headers.get("Range"):
            begin = int(asked.removeprefix("bytes=").partition("-")[0])
            status, headers["Content_Range"] = 206, f"bytes {begin}-{len(data) - 1}/{len(data)}"
        cuts = repository.cuts.get(path)
        if path in repository.held:
            self._send(status, data[: len(data) // 2], Content_Length=str(len(data)))
            while path in repository.held:
                time.sleep(0.05)
            return
        self._send(status, data[begin:], cuts.pop(0) if cuts else None, **headers)


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _blob(data)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub whose large files are at another host name."""
    servers = []
    hub = Hub("", "")
    for host in ("hub", "store"):
        handler = type(f"_{host}", (_Handler,), {"hub": hub, "host": host})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.endpoint, hub.store = (
        f"http://{name}:{s.server_port}" for name, s in zip(("127.0.0.1", "localhost"), servers, strict=True)
    )
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
