"""Requests that a website, a slow sender or a hostile file name could make; docs/security.md lists them."""

import contextlib
import dataclasses
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from page_server import running
from starlette.datastructures import Headers
from tiny_captioner import SAYS, TinyCaptioner

from aligncap.errors import AudioError, ConfigError
from aligncap.serving.web.annotation import annotation_app, load_tasks
from aligncap.serving.web.answers import Answers
from aligncap.serving.web.captions import Limits, caption_app
from aligncap.serving.web.guard import comes_from_elsewhere
from aligncap.serving.web.service import CaptionService
from aligncap.serving.web.uploads import read_upload

HOSTILE = '<img src=x onerror=alert(1)>"\n\x1b[31m2026 ERROR\r\u2028.wav'


@pytest.fixture(scope="module")
def captions(captioners) -> Iterator[str]:
    with running(caption_app(captioners, Limits(megabytes=0.5, seconds=10, upload_seconds=1.0))) as url:
        yield url


@pytest.fixture
def annotation(results, tmp_path) -> Iterator[str]:
    tasks = load_tasks(results, ["kd", "sft"], None, [], None)
    with running(annotation_app(tasks, Answers(tmp_path / "a.sqlite"))) as url:
        yield url


def send(url: str, data: bytes, name: str = "x.wav", path: str = "/v1/captions", **headers: str) -> httpx.Response:
    return httpx.post(f"{url}{path}", files={"file": (name, data)}, headers=headers, timeout=60)


ELSEWHERE = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port of this machine": {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    "an old browser": {"Origin": "https://evil.example"},
    "an old browser on this machine": {"Origin": "http://127.0.0.1:1"},
    "a page without an origin": {"Origin": "null"},
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_another_website_cannot_post(captions, annotation, sounds, what):
    loud = (sounds / "loud.wav").read_bytes()
    for path in ("/v1/captions", "/v1/captions/stream"):
        answer = send(captions, loud, path=path, **ELSEWHERE[what])
        assert answer.status_code == 403 and "another website" in answer.json()["detail"]
    given = {"annotator": "ann", "task": "x", "choice": "a", "plays": 1}
    for path, body in (("/v1/answers", given), ("/v1/back", {"annotator": "ann"})):
        assert httpx.post(f"{annotation}{path}", json=body, headers=ELSEWHERE[what]).status_code == 403


def test_the_page_itself_and_programs_can_post(captions, sounds):
    loud = (sounds / "loud.wav").read_bytes()
    own = [{}, {"Sec-Fetch-Site": "same-origin", "Origin": captions}, {"Origin": captions}, {"Sec-Fetch-Site": "none"}]
    assert [send(captions, loud, **headers).status_code for headers in own] == [200] * 4
    behind_a_proxy = Headers({"host": "127.0.0.1", "origin": "https://a.example", "sec-fetch-site": "same-origin"})
    assert not comes_from_elsewhere(behind_a_proxy)


@pytest.mark.parametrize(
    "host", ["rebound.example.org", "127.0.0.1.evil.example", "localhost.evil.example", "", "0.0.0.0"]
)
def test_a_name_that_points_here_reaches_neither_page(captions, annotation, host):
    for url in (captions, annotation):
        assert httpx.get(url, headers={"Host": host}).status_code == 400


def test_every_answer_has_the_headers(captions, annotation, sounds):
    seen = [
        httpx.get(captions),
        httpx.get(f"{captions}/docs"),
        httpx.get(f"{captions}/nowhere"),
        httpx.get(f"{captions}/static/captions.js"),
        httpx.get(captions, headers={"Host": "rebound.example.org"}),
        send(captions, b"%PDF-1.4"),
        send(captions, b"", Origin="null"),
        send(captions, (sounds / "loud.wav").read_bytes(), path="/v1/captions/stream"),
        httpx.get(annotation),
        httpx.get(f"{annotation}/audio/x"),
    ]
    assert [answer.status_code for answer in seen] == [200, 200, 404, 200, 400, 422, 403, 200, 200, 404]
    for answer in seen:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer" and headers["permissions-policy"].startswith("microphone")
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
        assert not [name for name in headers if name.startswith("access-control")]
    assert "unsafe" not in seen[0].headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/v1/captions", "/v1/captions/stream"])
def test_a_file_name_is_data(captions, sounds, path):
    """Neither HTML for a browser that sniffs, nor lines of an event stream, nor what a terminal obeys."""
    answer = send(captions, b"%PDF-1.4", HOSTILE, path)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/json"
    told = answer.json()["detail"]
    assert told.isprintable() and "a PDF" in told
    fine = send(captions, (sounds / "loud.wav").read_bytes(), HOSTILE, path)
    assert fine.status_code == 200 and fine.headers["content-type"].startswith(
        ("application/json", "text/event-stream")
    )
    assert "\x1b" not in fine.text


def test_a_name_in_an_error_is_short_and_printable():
    with pytest.raises(AudioError) as caught:
        read_upload("a\nb\x1b[2J" + "c" * 5000 + "/../d\re\x00.wav", b"%PDF-1.4", 60)
    assert str(caught.value).startswith("d?e?.wav: this file is a PDF")
    with pytest.raises(AudioError) as caught:
        read_upload("c" * 5000, b"%PDF-1.4", 60)
    assert len(str(caught.value)) < 300


class Sly(TinyCaptioner):
    """Hears words and says a caption that would be HTML or an event of its own."""

    said = "<script>alert(1)</script>\n\nevent: done\ndata: {}"

    def __init__(self, like: TinyCaptioner) -> None:
        self.model, self.seconds = like.model, 0.0

    def prepare_clip(self, samples, language=None):
        return dataclasses.replace(super().prepare_clip(samples, language), transcript=self.said)


def test_words_and_captions_are_data(captioners, sounds, monkeypatch):
    monkeypatch.setattr(captioners["kd"].model, "decode", lambda ids: Sly.said)
    with running(caption_app({"kd": Sly(captioners["kd"])}, Limits())) as url:
        loud = (sounds / "loud.wav").read_bytes()
        whole, streamed = send(url, loud), send(url, loud, path="/v1/captions/stream")
    assert whole.headers["content-type"] == "application/json" and whole.json()["transcript"] == Sly.said
    kinds = [line for line in streamed.text.splitlines() if line.startswith("event:")]
    assert kinds[:2] == ["event: audio", "event: heard"] and kinds.count("event: done") == 1
    data = [line[5:] for line in streamed.text.splitlines() if line.startswith("data:")]
    assert all(json.loads(line) is not None for line in data) and len(data) == len(kinds)


@pytest.mark.parametrize("charset", ["utf-7", "undefined", "idna", "unicode_escape", "UTF-16", "", "\xff"])
def test_a_form_of_another_character_set_is_refused(captions, sounds, charset):
    """In UTF-7 a file name can hold what no answer can, and Python's codec "undefined" raises on everything."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="+2AA-.wav"\r\n\r\n'
    body += (sounds / "loud.wav").read_bytes() + b"\r\n--x--\r\n"
    kind = f"multipart/form-data; boundary=x; charset={charset}".encode("latin-1")
    answer = httpx.post(f"{captions}/v1/captions", content=body, headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == 415 and "send it in UTF-8" in answer.json()["detail"]
    kind = b"multipart/form-data; charset=UTF-8; boundary=x"
    answer = httpx.post(f"{captions}/v1/captions", content=body, headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == 200 and answer.json()["file"] == "+2AA-.wav"


BODIES = {
    "a lone surrogate as a name": (b'{"annotator": "\\ud800", "task": "x", "choice": "a", "plays": 1}', 422),
    "a lone surrogate as a choice": (b'{"annotator": "ann", "task": "x", "choice": "\\ud800", "plays": 1}', 422),
    "a lone surrogate as a task": (b'{"annotator": "ann", "task": "\\ud800", "choice": "a", "plays": 1}', 404),
    "a lone surrogate as a key": (b'{"\\ud800": 1}', 422),
    "SQL": (b'{"annotator": "x\'; DROP TABLE answers; --", "task": "x", "choice": "a", "plays": 1}', 422),
    "HTML": (b'{"annotator": "<b>x</b>", "task": "x", "choice": "a", "plays": 1}', 422),
    "no end of brackets": (b"[" * 9_000, 400),
    "a number too large": (b'{"annotator": "ann", "task": "x", "choice": "a", "plays": 1' + b"0" * 400 + b"}", 422),
    "NaN": (b'{"annotator": "ann", "task": "x", "choice": "a", "plays": NaN}', 422),
    "a list": (b"[1, 2]", 422),
    "no JSON": (b"annotator=ann", 422),
    "no UTF-8": (b'{"annotator": "\xff"}', 400),
    "nothing": (b"", 422),
    "too much": (b" " * 20_000, 413),
}


@pytest.mark.parametrize("what", BODIES)
def test_an_answer_that_is_none_is_refused(annotation, what):
    body, status = BODIES[what]
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{annotation}/v1/answers", content=body, headers=headers, timeout=60)
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.text and "DROP" not in answer.text
    assert httpx.get(f"{annotation}/v1/question?annotator=ann").json()["done"] == 0


@contextlib.contextmanager
def connection(url: str, head: str) -> Iterator[socket.socket]:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        raw.sendall(head.replace("\n", "\r\n").encode())
        yield raw


UPLOAD = """POST /v1/captions HTTP/1.1
Host: 127.0.0.1
Content-Type: multipart/form-data; boundary=x
Content-Length: {size}

"""


def status_of(raw: socket.socket) -> int:
    answer = http.client.HTTPResponse(raw)
    answer.begin()
    return answer.status


def test_an_upload_that_drips_times_out(captions):
    with connection(captions, UPLOAD.format(size=10_000)) as raw:
        began, sending = time.monotonic(), threading.Event()
        raw.sendall(b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n')

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not sending.wait(0.1):
                    raw.sendall(b"-")

        thread = threading.Thread(target=drip)
        thread.start()
        status = status_of(raw)
        sending.set()
        thread.join()
    assert status == 408 and 0.8 < time.monotonic() - began < 5


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(captions):
    began = time.monotonic()
    with connection(captions, UPLOAD.format(size=10**12)) as raw:  # and not a byte of it
        assert status_of(raw) == 413
    assert time.monotonic() - began < 0.9, "else it waited for the body"


class Held(TinyCaptioner):
    """Hears nothing before it is let go."""

    def __init__(self, like: TinyCaptioner) -> None:
        self.model, self.seconds = like.model, 0.0
        self.gate, self.started = threading.Event(), threading.Event()

    def prepare_clip(self, samples, language=None):
        self.started.set()
        assert self.gate.wait(60)
        return super().prepare_clip(samples, language)


def test_beyond_the_waiting_line_it_is_429_and_in_the_shutdown_503(captioners, sounds, monkeypatch):
    loud, held, services, statuses = (sounds / "loud.wav").read_bytes(), Held(captioners["kd"]), [], []
    plain = CaptionService.__init__

    def noted(self, *arguments):
        services.append(self)
        plain(self, *arguments)

    monkeypatch.setattr(CaptionService, "__init__", noted)
    with running(caption_app({"kd": held}, Limits(waiting=1, batch=1))) as url:
        threads = [threading.Thread(target=lambda: statuses.append(send(url, loud).status_code)) for _ in range(2)]
        threads[0].start()
        assert held.started.wait(60)
        threads[1].start()
        while httpx.get(f"{url}/healthz").json()["waiting"] < 1:
            time.sleep(0.02)
        for path in ("/v1/captions", "/v1/captions/stream"):
            answer = send(url, loud, path=path)
            assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
            assert "1 recordings are waiting" in answer.json()["detail"]
        closing = threading.Thread(target=services[0].close)
        closing.start()
        while not services[0]._closing:
            time.sleep(0.01)
        answer = send(url, loud)
        assert answer.status_code == 503 and "retry-after" in answer.headers and "shutting" in answer.json()["detail"]
        held.gate.set()
        for thread in [*threads, closing]:
            thread.join()
    assert statuses == [200, 200]


def test_a_job_that_nobody_waits_for_is_abandoned(captioners, sounds, monkeypatch):
    held, jobs = Held(captioners["kd"]), []
    plain = CaptionService.submit
    monkeypatch.setattr(CaptionService, "submit", lambda self, job: (jobs.append(job), plain(self, job))[1])
    with running(caption_app({"kd": held}, Limits())) as url:
        sent = {"file": ("x.wav", (sounds / "loud.wav").read_bytes())}
        with httpx.stream("POST", f"{url}/v1/captions/stream", files=sent, timeout=60) as answer:
            parts = answer.iter_text()  # kept, for a lost iterator closes the connection
            assert "event: audio" in next(parts)
            assert held.started.wait(60) and not jobs[0].abandoned.is_set()
        abandoned = jobs[0].abandoned.wait(10)
        held.gate.set()
    assert abandoned


def test_an_upload_without_time_is_a_mistake():
    with pytest.raises(ConfigError, match="limits.upload_seconds: got 0"):
        Limits(upload_seconds=0)


def test_a_good_upload_is_captioned_after_all_of_this(captions, sounds):
    answer = send(captions, (sounds / "loud.wav").read_bytes())
    assert answer.json()["captions"][0]["caption"] == SAYS["high"]
