"""The judge's endpoint away for a while, talking nonsense, sending elsewhere; and a key that it tries to get out."""

import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from chat_server import GOOD, KEY, Handler, Reply, after, completion, good, judge, serving
from made_up_items import items

from aligncap.config import OpenAiJudge
from aligncap.errors import JudgeError
from aligncap.preference.judges import openai
from aligncap.preference.judges.answers import BadAnswer, read_answer

pytestmark = pytest.mark.usefixtures("own_folder")


def test_the_defaults_outlast_an_endpoint_that_is_away_for_minutes():
    settings = OpenAiJudge()
    waits = [min(settings.backoff_s * 2**n, settings.max_wait_s) for n in range(settings.retries)]
    assert 0.5 * sum(waits) > 150 and sum(waits) > 300


def test_an_endpoint_that_is_away_and_back_costs_no_row_and_one_warning(caplog):
    caplog.set_level(logging.INFO, "aligncap")
    with serving(good) as server:
        url, port = server.url, server.server_address[1]
    back = threading.Event()

    def come_back():
        while not any("ConnectError" in message for message in caplog.messages):
            time.sleep(0.02)
        time.sleep(0.3)
        with serving(good, port):
            back.wait(20)

    thread = threading.Thread(target=come_back)
    thread.start()
    opinions = openai.score(judge(url, retries=9, backoff_s=0.02, concurrency=4, max_unscored=0), items(8))
    back.set()
    thread.join()
    assert [opinion.factuality for opinion in opinions] == [4] * 8
    away = [message for message in caplog.messages if "ConnectError" in message]
    assert len(away) == 1 and url in away[0] and "asked up to 9 times more" in away[0]
    assert sum("answers again" in message for message in caplog.messages) == 1


NONSENSE = {
    "HTML": Reply("<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"),
    "nothing": Reply(""),
    "cut": Reply(completion(GOOD)[:-30]),
    "endless brackets": Reply("[" * 100_000),
    "an infinite count of tokens": Reply('{"choices": [], "usage": {"prompt_tokens": 1e999}}'),
    "huge": Reply(completion(GOOD) + " " * openai.LARGEST),
    "gzip that is none": Reply(completion(GOOD), headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_asked_again_and_told_in_one_line(what):
    with serving(after(NONSENSE[what], 2)) as server:
        (opinion,) = openai.score(judge(server.url), items(1))
    assert opinion.factuality == 4 and len(server.requests) == 3
    with serving(lambda asked, number: NONSENSE[what]) as server, pytest.raises(JudgeError) as caught:
        openai.score(judge(server.url, retries=0, model="other"), items(1))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_token_counts_that_are_no_numbers_do_not_lose_an_answer_of_another_row():
    odd = completion(GOOD).replace("7", "1e999")
    with serving(after(Reply(odd))) as server:
        assert openai.score(judge(server.url), items(1))[0].factuality == 4


def test_a_reply_that_drips_ends_with_the_timeout(monkeypatch):
    plain = Handler.do_POST

    def drip(self):
        if len(self.server.requests) > 0:
            return plain(self)
        self.server.requests.append({})
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" ")
            time.sleep(0.1)

    monkeypatch.setattr(Handler, "do_POST", drip)
    with serving(good) as server:
        began = time.monotonic()
        (opinion,) = openai.score(judge(server.url, timeout_s=0.5), items(1))
    assert opinion.factuality == 4 and time.monotonic() - began < 2.5


@pytest.mark.parametrize("points", ["0", "5.01", "-1", "1e999", "-Infinity", "99999999999999999999"])
def test_points_out_of_range_are_asked_for_once_more(points):
    with serving(after(Reply(completion(GOOD.replace("4", points))))) as server:
        (opinion,) = openai.score(judge(server.url), items(1))
    assert opinion.factuality == 4 and len(server.requests) == 2


def test_a_huge_answer_is_not_searched_nor_sent_back_whole():
    huge = '{"a' * 100_000
    began = time.monotonic()
    with pytest.raises(BadAnswer, match="300,000 characters long, at most 20,000"):
        read_answer(huge)
    with serving(after(Reply(completion(huge)))) as server:
        assert openai.score(judge(server.url), items(1))[0].factuality == 4
    assert len(server.requests[1]["messages"][-2]["content"]) == openai.REPEATED
    assert time.monotonic() - began < 2


def test_what_an_answer_calls_its_fields_is_one_printable_line():
    with pytest.raises(BadAnswer) as caught:
        read_answer(json.dumps({"factuality": 4, "faithfulness": 5, "why": "x", "a\n\x1b[31mERROR" + "b" * 999: 1}))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_a_date_to_come_back_at_is_kept():
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # whole seconds
    with serving(after(Reply("", 503, {"Retry-After": moment}))) as server:
        openai.score(judge(server.url), items(1))
    assert 0.9 < server.times[1] - server.times[0] < 2.5


@pytest.mark.parametrize(
    "header", ["9" * 400, "Mon, 99 Foo 99999 99:99:99 GMT", "\x00", "Fri, 31 Dec 9999 23:59:59 -2359"]
)
def test_a_retry_after_of_any_kind_is_a_number(header):
    assert openai.retry_after(header, datetime(2026, 11, 23, tzinfo=UTC)) >= 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_the_key_nowhere(status):
    with serving(good) as other:
        elsewhere = Reply("", status, {"Location": f"{other.url}/chat/completions?key={KEY}"})
        with serving(lambda asked, number: elsewhere) as server, pytest.raises(JudgeError) as caught:
            openai.score(judge(server.url, concurrency=1), items(9))
    told = str(caught.value)
    assert other.requests == [] and len(server.requests) == 1
    assert f"HTTP {status}, a redirect to {other.url}" in told and "base_url" in told and KEY not in told


def test_a_key_that_comes_back_in_a_good_answer_is_not_kept(caplog):
    caplog.set_level(logging.DEBUG)
    spelled = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    for text in (f"it fits {KEY}", f"it fits {spelled}"):
        with serving(lambda asked, number, text=text: Reply(completion(GOOD.replace("it fits", text)))) as server:
            (opinion,) = openai.score(judge(server.url), items(1))
        assert opinion.rationale == "it fits ***"
    answers = [path.read_text() for path in Path("work").rglob("*.json")]
    assert len(answers) == 2 and all(KEY not in answer for answer in answers) and KEY not in caplog.text


def test_a_message_of_the_endpoint_is_printable_and_its_key_hidden_behind_blanks():
    text = "\x1b[2J\r\nbad\x07 key" + " " * 16_000 + KEY
    with serving(lambda asked, number: Reply(text, 401)) as server, pytest.raises(JudgeError) as caught:
        openai.score(judge(server.url), items(1))
    assert str(caught.value).isprintable() and "sk-" not in str(caught.value)
