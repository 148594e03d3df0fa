"""The judge `openai` against an endpoint on this machine: slow, refusing, broken, talkative, wrong, gone."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chat_server import GOOD, KEY, VARIABLE, Reply, after, completion, good, judge, serving
from made_up_items import items

from aligncap.errors import JudgeError
from aligncap.preference.judges import openai, rubric
from aligncap.preference.judges.answers import BadAnswer, read_answer
from aligncap.tracking import runs as tracking

pytestmark = pytest.mark.usefixtures("own_folder")


def kept():
    return sorted(Path("work").rglob("*.json"))


def test_scores_come_back_in_order_and_say_why():
    def reply(asked, number):
        text = asked["messages"][-1]["content"]
        points = int(text.split("caption number ")[1][0]) + 1
        return Reply(completion(json.dumps({"factuality": points, "faithfulness": 2, "why": f"number {points}"})))

    with serving(reply) as server:
        opinions = openai.score(judge(server.url, request={"temperature": 0.5, "max_tokens": None}), items(5))
    assert [o.factuality for o in opinions] == [1, 2, 3, 4, 5]
    assert opinions[4].rationale == "number 5"
    assert opinions[4].overall == pytest.approx((0.4 * 5 + 0.3 * 2) / 0.7)
    asked = server.requests[0]
    assert asked["model"] == "m" and asked["temperature"] == 0.5 and "max_tokens" not in asked
    assert set(server.paths) == {"/v1/chat/completions"} and set(server.keys) == {f"Bearer {KEY}"}


def test_the_prompt_holds_rubric_facts_and_caption():
    with serving(good) as server:
        openai.score(judge(server.url), items(1))
    system, user = (message["content"] for message in server.requests[0]["messages"])
    assert "Factuality, 1 to 5" in system and "Faithfulness, 1 to 5" in system
    assert "emotion: sad (strong)" in user and "level low" in user
    assert """words spoken: "she said 'no' to me\"""" in user
    assert 'grade: "caption number 0"' in user and "$" not in user


def test_equal_prompts_are_asked_for_once():
    with serving(good) as server:
        opinions = openai.score(judge(server.url), items(1) * 7)
    assert len(opinions) == 7 and len(server.requests) == 1


def test_requests_run_side_by_side_but_no_more_than_told():
    together = threading.Barrier(3, timeout=5)

    def reply(asked, number):
        together.wait()  # goes on only once three are there at the same time
        return Reply(completion(GOOD))

    with serving(reply) as server:
        openai.score(judge(server.url, concurrency=3), items(6))
    assert server.most == 3


TROUBLES = {
    "429": Reply("slow down", 429),
    "500": Reply("oops", 500),
    "503": Reply("", 503),
    "half a body": Reply(completion(GOOD)[:40], announced=len(completion(GOOD))),
    "truncated JSON": Reply(completion(GOOD)[:40]),
    "other JSON": Reply('{"object": "error"}'),
    "no text": Reply(b'{"choices": "\xff"}'),
    **{str(status): Reply("", status) for status in (408, 409, 425)},
    "a list": Reply("[]"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_passing_trouble_is_tried_again(trouble):
    with serving(after(TROUBLES[trouble], 2)) as server:
        (opinion,) = openai.score(judge(server.url), items(1))
    assert (opinion.factuality, opinion.faithfulness, len(server.requests)) == (4, 5, 3)


def test_a_timeout_is_tried_again():
    with serving(after(Reply(completion(GOOD), sleep=1.0))) as server:
        (opinion,) = openai.score(judge(server.url, timeout_s=0.2), items(1))
    assert opinion.factuality == 4 and len(server.requests) == 2


def test_waits_grow_and_differ(monkeypatch):
    waits = []
    monkeypatch.setattr(openai.Endpoint, "_sleep", lambda self, seconds: waits.append(seconds))
    with serving(lambda asked, number: Reply("", 500)) as server, pytest.raises(JudgeError, match="HTTP 500"):
        openai.score(judge(server.url, retries=5, backoff_s=0.1, max_wait_s=0.9), items(1))
    waits = [wait for wait in waits if wait]
    assert len(waits) == 5 and len(set(waits[:4])) == 4
    assert (
        all(0.5 * 0.1 * 2**n <= wait <= 1.5 * 0.1 * 2**n for n, wait in enumerate(waits[:3])) and 0.8 <= waits[4] <= 0.9
    )


def test_retry_after_is_honoured_by_every_request():
    with serving(after(Reply("", 429, {"Retry-After": "1"}))) as server:
        opinions = openai.score(judge(server.url, concurrency=1), items(3))
    assert [o.factuality for o in opinions] == [4, 4, 4]
    assert server.times[1] - server.times[0] >= 0.9


def test_who_is_told_to_wait_too_long_gives_the_row_up():
    with serving(after(Reply("", 429, {"Retry-After": "3600"}))) as server:
        settings = judge(server.url, concurrency=1, max_unscored=0.5)
        opinions = openai.score(settings, items(2))
    assert sorted(o.factuality is None for o in opinions) == [False, True]
    assert any("asked to wait 3600 s" in o.rationale for o in opinions)
    assert server.times[-1] - server.times[0] < 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("7", 7), ("1.5", 1.5), ("soon", 0), ("-3", 0), ("Mon, 23 Nov 2026 10:00:30 GMT", 30)],
)
def test_retry_after_in_both_forms(header, seconds):
    assert openai.retry_after(header, datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"Sure! Here is my grade:\n```json\n{GOOD}\n```\nHope that helps {{smile}}.",
        f"{GOOD} and again {GOOD}",
        '{"note": 1} ' + GOOD,
        GOOD.replace("4,", "4.0,"),
    ],
)
def test_an_answer_is_found_in_prose(text):
    answer = read_answer(text)
    assert (answer.factuality, answer.faithfulness, answer.why) == (4, 5, "it fits")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("4 and 5", "no JSON object"),
        (GOOD[:-12], "no JSON object"),
        ('{"factuality": 4, "why": "x"}', "faithfulness"),
        ('{"factuality": "4", "faithfulness": 5, "why": "x"}', "factuality"),
        ('{"factuality": true, "faithfulness": 5, "why": "x"}', "factuality"),
        ('{"factuality": 6, "faithfulness": 5, "why": "x"}', "factuality"),
        ('{"factuality": NaN, "faithfulness": 5, "why": "x"}', "factuality"),
        ('{"factuality": null, "faithfulness": 5, "why": "x"}', "factuality"),
        ('{"factuality": 4, "faithfulness": 5, "why": " "}', "why"),
        ('{"factuality": 4, "faithfulness": 5, "why": "x", "style": 3}', "style"),
        (f"[{GOOD}, {GOOD.replace('4', '1')}]", "two different"),
        ('{"score": ' + GOOD + "}", "score|factuality"),
    ],
)
def test_anything_else_is_no_answer(text, problem):
    with pytest.raises(BadAnswer, match=problem):
        read_answer(text)


def test_a_bad_answer_is_asked_for_once_more():
    with serving(after(Reply(completion('{"factuality": 9}')))) as server:
        (opinion,) = openai.score(judge(server.url), items(1))
    assert opinion.factuality == 4
    first, second = (request["messages"] for request in server.requests)
    assert second[: len(first)] == first
    assert second[-2] == {"role": "assistant", "content": '{"factuality": 9}'}
    assert "cannot be used: factuality" in second[-1]["content"]


@pytest.mark.parametrize("content", ['{"factuality": 4, "faith', "I cannot grade people.", None, ""])
def test_a_second_bad_answer_leaves_the_row_unscored_and_nothing_is_kept(content):
    def reply(asked, number):
        bad = "number 1" in asked["messages"][1]["content"]
        return Reply(completion(content if bad else GOOD))

    with serving(reply) as server:
        opinions = openai.score(judge(server.url, max_unscored=0.5), items(3))
    assert [o.overall is None for o in opinions] == [False, True, False]
    assert (opinions[1].factuality, opinions[1].faithfulness) == (None, None)
    assert opinions[1].rationale.startswith("unscored: no usable answer when asked twice")
    assert len(server.requests) == 4 and len(kept()) == 2


def test_a_refused_row_is_unscored_without_further_tries():
    with serving(after(Reply('{"error": "content filter"}', 400))) as server:
        opinions = openai.score(judge(server.url, concurrency=1, max_unscored=0.5), items(2))
    assert len(server.requests) == 2
    assert [o.rationale for o in opinions if o.overall is None] == ['unscored: HTTP 400: {"error": "content filter"}']


def test_too_many_unscored_rows_are_one_error_that_comes_early():
    with serving(lambda asked, number: Reply(completion("no"))) as server:
        with pytest.raises(JudgeError, match=r"3 of 20 captions stay unscored.*max_unscored \(0.1\)") as caught:
            openai.score(judge(server.url, concurrency=1), items(20))
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 6, "three rows, each asked twice, and no more"


@pytest.mark.parametrize(("status", "remedy"), [(401, VARIABLE), (403, VARIABLE), (404, "openai.model")])
def test_an_endpoint_that_refuses_ends_the_run_at_once(status, remedy):
    with serving(lambda asked, number: Reply(f'{{"error": "bad key {KEY}"}}', status)) as server:
        with pytest.raises(JudgeError, match=remedy) as caught:
            openai.score(judge(server.url, concurrency=1), items(9))
    assert KEY not in str(caught.value) and "***" in str(caught.value)
    assert len(server.requests) == 1


def test_no_endpoint_at_all():
    with serving(good) as server:
        url = server.url
    with pytest.raises(JudgeError, match="ConnectError.*3 tries"):
        openai.score(judge(url), items(2))


def test_a_missing_key_is_one_line_and_no_key_may_be_right(monkeypatch):
    monkeypatch.delenv(VARIABLE)
    with serving(good) as server:
        with pytest.raises(JudgeError, match=rf"\${VARIABLE} is not set"):
            openai.score(judge(server.url), items(1))
        openai.score(judge(server.url, key_variable=None), items(1))
    assert server.keys == [None]


def test_a_server_that_dies_half_way_costs_only_the_rest():
    with serving(good) as server:
        url, port = server.url, server.server_address[1]
        openai.score(judge(url), items(4))
    with pytest.raises(JudgeError, match="stay unscored"):
        openai.score(judge(url, concurrency=2), items(10))
    assert len(kept()) == 4
    with serving(good, port) as server:
        opinions = openai.score(judge(url), items(10))
    assert len(server.requests) == 6 and [o.factuality for o in opinions] == [4] * 10
    assert openai.score(judge(url), items(10)) == opinions, "no server is needed where all is kept"


def test_a_judge_that_is_killed_half_way_resumes(tmp_path):
    """SIGKILL of the process that asks, once five of twelve answers are out."""
    process: list[subprocess.Popen] = []
    ready = threading.Event()

    def reply(asked, number):
        ready.wait(20)
        if number == 5:
            process[0].kill()
        return good(asked, number)

    with serving(reply) as server:
        settings = judge(server.url, concurrency=1)
        code = (
            f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
            "from made_up_items import items\nfrom aligncap.config import Judge\n"
            "from aligncap.preference.judges import openai\n"
            f"openai.score(Judge.model_validate_json({settings.model_dump_json()!r}), items(12))"
        )
        path = str(Path(openai.__file__).parents[3])
        process.append(
            subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
        )
        ready.set()
        assert process[0].wait(120) == -9
        before = len(server.requests)
        assert len(kept()) == 5
        opinions = openai.score(settings, items(12))
    assert len(server.requests) - before == 12 - 5
    assert [o.factuality for o in opinions] == [4] * 12


def test_an_answer_that_was_cut_short_on_disk_is_asked_for_again():
    with serving(good) as server:
        openai.score(judge(server.url), items(2))
        first, _ = kept()
        first.write_text(first.read_text()[:20])
        openai.score(judge(server.url), items(2))
    assert len(server.requests) == 3


def test_another_model_or_wording_is_another_answer():
    with serving(good) as server:
        openai.score(judge(server.url), items(1))
        openai.score(judge(server.url, model="other"), items(1))
        openai.score(judge(server.url, request={"temperature": 1.0}), items(1))
        openai.score(judge(server.url, retries=7, timeout_s=1), items(1))
    assert len(server.requests) == 3


def test_the_key_appears_nowhere(caplog, tmp_path, monkeypatch):
    """Not in logs of any level, in what is kept on disk, in parameters, in tracking."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(tracking.URI_VARIABLE, f"sqlite:///{tmp_path}/mlruns/mlflow.db")

    def reply(asked, number):
        if number % 2:
            return Reply(f"quota of {KEY}", 500)
        return Reply(completion(GOOD if number else f"{KEY}?"))

    with serving(reply) as server:
        settings = judge(server.url, retries=12, max_unscored=0)
        with tracking.tracked("judge_scores", "kd/openai", {"judge": settings.model_dump(mode="json")}):
            opinions = openai.score(settings, items(6))
    assert set(server.keys) == {f"Bearer {KEY}"}, "else nothing is shown"
    assert KEY not in caplog.text and KEY not in repr(opinions) and KEY not in settings.model_dump_json()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept() and all(KEY.encode() not in path.read_bytes() for path in files)


def test_another_wording_of_the_prompt_is_other_code(tmp_path):
    sys.path[:0] = [str(Path(__file__).parents[3] / "rules")]
    import code_digest

    modules = code_digest.closure(Path(__file__).parents[3] / "workflow_scripts" / "judge_scores.py")
    copied = Path(shutil.copytree(modules["aligncap.preference.judges.rubric"].parent, tmp_path / "judges"))
    before = code_digest.module_digest.__wrapped__(copied / "rubric.py")
    wording = copied / "prompts" / rubric.PROMPT
    wording.write_text(wording.read_text() + "Be strict.")
    assert code_digest.module_digest.__wrapped__(copied / "rubric.py") != before
