"""POST /v1/captions: answers, limits, errors in words, the OpenAPI page, and SIGTERM."""

import concurrent.futures
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import soundfile
import uvicorn
from page_server import running
from tiny_captioner import OTHER, SAYS

from aligncap.config.languages import LANGUAGES
from aligncap.errors import ConfigError
from aligncap.serving.web.captions import Limits, caption_app, serve
from aligncap.serving.web.server import ServerError
from aligncap.serving.web.server import run as run_server
from aligncap.serving.web.uploads import describe


@pytest.fixture(scope="module")
def address(captioners):
    with running(caption_app(captioners, Limits(megabytes=0.5, seconds=10))) as url:
        yield url


def post(address, name, data, path="/v1/captions", **fields):
    return httpx.post(f"{address}{path}", files={"file": (name, data)}, data=fields, timeout=60)


def test_a_recording_becomes_json(address, sounds):
    answer = post(address, "loud.wav", (sounds / "loud.wav").read_bytes(), language="en")
    assert answer.status_code == 200
    found = answer.json()
    assert found["captions"] == [{"system": "kd", "caption": SAYS["high"], "finished": True}]
    assert (found["file"], found["duration_s"], found["transcript"]) == ("loud.wav", 1.5, "24000 samples")
    assert [(clue["kind"], clue["lemma"]) for clue in found["clues"]] == [("emotion", "angry"), ("level", "high")]


def test_a_second_system_is_asked_only_where_it_is_wanted(address, sounds):
    answer = post(address, "soft.flac", (sounds / "soft.flac").read_bytes(), compare="true").json()
    assert [(c["system"], c["caption"]) for c in answer["captions"]] == [("kd", SAYS["low"]), ("sft", OTHER["low"])]


def test_the_stream_is_server_sent_events(address, sounds):
    answer = post(address, "loud.wav", (sounds / "loud.wav").read_bytes(), "/v1/captions/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = re.findall(r"event: (\w+)\s+data: (.*)", answer.text)
    assert [kind for kind, _ in events][:3] == ["audio", "heard", "caption"] and events[-1][0] == "done"
    peaks = json.loads(events[0][1])["peaks"]
    assert max(peaks) == 1 and len(peaks) == 160
    assert json.loads(events[-2][1])["text"] == SAYS["high"]


def test_a_recording_without_speech_is_told_so(address, sounds):
    sound = (sounds / "loud.wav").read_bytes()
    words = "no speech was found in 1.0 s of sound; give a clip of a voice"
    answer = post(address, "tone.wav", sound, language="mi")
    assert (answer.status_code, answer.json()["detail"]) == (422, words)
    streamed = post(address, "tone.wav", sound, "/v1/captions/stream", language="mi").text
    assert json.loads(re.findall(r"event: error\s+data: (.*)", streamed)[0])["message"] == words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("paper.wav", "paper.wav: this file is a PDF, not a recording"),
        ("silent.wav", "silent.wav: silent"),
        ("long.wav", "long.wav: 12.0 s long, at most 10 s are taken"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/captions", "/v1/captions/stream"])
def test_what_is_wrong_with_a_file_is_said_in_words(address, sounds, name, words, path):
    answer = post(address, name, (sounds / name).read_bytes(), path)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(words)
    assert "/tmp" not in answer.text and "corpus" not in answer.text


def test_what_a_telephone_codes_is_captioned_and_an_unknown_coding_is_said_in_words(address, sounds, tmp_path):
    samples, rate = soundfile.read(sounds / "loud.wav")
    soundfile.write(tmp_path / "phone.wav", samples, rate, "GSM610")
    assert post(address, "phone.wav", (tmp_path / "phone.wav").read_bytes()).status_code == 200
    strange = bytearray((sounds / "loud.wav").read_bytes())
    strange[20:22] = b"zz"
    answer = post(address, "strange.wav", bytes(strange))
    assert answer.status_code == 422 and answer.json()["detail"].startswith("strange.wav: ")
    assert "codec that is not known" in answer.json()["detail"]


def test_other_mistakes_have_a_sentence_and_a_status(address, sounds):
    loud = (sounds / "loud.wav").read_bytes()
    assert post(address, "x", b"").json()["detail"].startswith("x: 0 bytes")
    assert post(address, "../../etc/x", b"\x00\x01" * 99).json()["detail"].startswith("x: this is not a recording")
    assert "klingon" in post(address, "loud.wav", loud, language="klingon").json()["detail"]
    assert post(address, "loud.wav", loud, language="nb").status_code == 200
    assert httpx.post(f"{address}/v1/captions").json() == {"detail": "file: Field required"}
    assert post(address, "loud.wav", loud, language="la").status_code == 500
    assert post(address, "big.wav", b"\x00" * 510_001).status_code == 413
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
    endless = (head if n == 0 else b"\x00" * 100_000 for n in range(100))  # no Content-Length tells its size
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert httpx.post(f"{address}/v1/captions", content=endless, headers=headers, timeout=60).status_code == 413


def test_it_answers_to_loopback_names_only(address):
    assert httpx.get(address, headers={"Host": "rebound.example.org"}).status_code == 400
    assert httpx.get(address).headers["content-security-policy"].startswith("default-src 'none'")


def test_health_systems_and_openapi(address):
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok", "systems": ["kd", "sft"], "waiting": 0}
    told = httpx.get(f"{address}/v1/systems").json()
    assert told["limits"] == {"megabytes": 0.5, "seconds": 10} and told["languages"]["de"] == "german"
    assert told["languages"]["jv"] == "javanese" and set(told["languages"]) <= LANGUAGES
    described = httpx.get(f"{address}/openapi.json").json()
    answers = described["paths"]["/v1/captions"]["post"]["responses"]
    assert {"200", "413", "422", "500", "503"} <= set(answers)
    page = httpx.get(f"{address}/docs").text
    assert not re.findall(r"(?:src|href)=[\"']https?:", page)
    for asset in re.findall(r"(?:src|href)=\"(/[^\"]+)\"", page):
        assert httpx.get(f"{address}{asset}").status_code == 200, asset


def test_concurrent_requests_all_get_their_own_caption(address, sounds):
    files = {SAYS["high"]: (sounds / "loud.wav").read_bytes(), SAYS["low"]: (sounds / "soft.flac").read_bytes()}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        asked = [(wanted, pool.submit(post, address, "x", data)) for _ in range(6) for wanted, data in files.items()]
        assert all(found.result().json()["captions"][0]["caption"] == wanted for wanted, found in asked)


def test_sigterm_finishes_what_was_accepted_and_takes_no_more(sounds, tmp_path):
    script = Path(__file__).parent / "tiny_captioner.py"
    process = subprocess.Popen([sys.executable, script, tmp_path, "0.3", "60"], stderr=subprocess.PIPE, text=True)
    try:
        address = next(found[0] for line in process.stderr if (found := re.findall(r"is on (http://\S+)", line)))
        assert httpx.get(f"{address}/healthz", timeout=60).json()["status"] == "ok"
        loud = (sounds / "loud.wav").read_bytes()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(post, address, "loud.wav", loud) for _ in range(6)]
            while httpx.get(f"{address}/healthz").json()["waiting"] < 2:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            answers = [found.result() for found in asked]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz")
    finally:
        process.kill()
        process.stderr.close()


def test_the_address_takes_connections_before_the_server_runs(captioners, monkeypatch):
    def visit(_, sockets):
        socket.create_connection(sockets[0].getsockname(), timeout=5).close()

    monkeypatch.setattr(uvicorn.Server, "run", visit)
    with pytest.raises(ServerError, match="did not start"):
        run_server(caption_app(captioners, Limits()), "127.0.0.1", 0)


def test_a_taken_port_and_senseless_limits_are_one_line(captioners, tmp_path):
    with running(caption_app(captioners, Limits())) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}: .*choose another"):
            run_server(caption_app(captioners, Limits()), "127.0.0.1", port)
    with pytest.raises(ConfigError, match="limits.seconds: got 0"):
        Limits(seconds=0)
    with pytest.raises(ConfigError, match="compared with itself"):
        serve(tmp_path / "kd", tmp_path / "kd")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.4", "a PDF"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "a picture (WebP)"),
        (b"PK\x03\x04", "a ZIP archive or an office document"),
        (b"<!doctype html>", "a web page or XML"),
        ("Grüße, hört".encode()[:-5], "text"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00", None),
        (b"OggS\x00\x02", None),
        (b"\xff\xfb\x90\x00", None),
        (b"", None),
    ],
)
def test_files_are_known_by_their_first_bytes(head, kind):
    assert describe(head) == kind
