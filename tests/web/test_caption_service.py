"""The worker behind the caption page: batches, errors of one request, the waiting line, and closing."""

import threading

import numpy as np
import pytest
from tiny_captioner import OTHER, SAYS, TinyCaptioner

from aligncap.config import Doubt
from aligncap.serving.web.service import BusyError, CaptionService, ClosingError, Job

LOUD, SOFT = np.full(16_000, 0.9, np.float32), np.full(8_000, 0.01, np.float32)


class Listener:
    """Collects a job's events."""

    def __init__(self, samples, systems=("kd",), language=None) -> None:
        self.events, self.over = [], threading.Event()
        self.job = Job(samples, systems, language, self.tell)

    def tell(self, event) -> None:
        self.events.append(event)
        if event["event"] in ("done", "error"):
            self.over.set()

    def wait(self) -> "Listener":
        assert self.over.wait(60)
        return self

    def said(self, system="kd") -> list[dict]:
        return [event for event in self.events if event["event"] == "caption" and event["system"] == system]


class Held(TinyCaptioner):
    """Hears nothing before it is let go, so that requests wait together."""

    def __init__(self, like: TinyCaptioner) -> None:
        self.model, self.seconds = like.model, 0.0
        self.gate, self.started, self.heard = threading.Event(), threading.Event(), []

    def prepare_clip(self, samples, language=None):
        self.started.set()
        assert self.gate.wait(60)
        self.heard.append(len(samples))
        return super().prepare_clip(samples, language)


@pytest.fixture
def service(captioners):
    own = CaptionService(captioners, max_batch=8, max_waiting=8, max_new_tokens=40)
    yield own
    own.close()


def test_a_caption_comes_word_by_word_after_the_clues(service):
    listener = Listener(LOUD)
    service.submit(listener.job)
    events = listener.wait().events
    assert [event["event"] for event in events[:1] + events[-1:]] == ["heard", "done"]
    assert [clue["probability"] for clue in events[0]["clues"]] == [0.62, 0.91]
    texts = [event["text"] for event in listener.said()]
    words = SAYS["high"].split()
    assert texts == [" ".join(words[:n]) for n in range(1, len(words) + 1)]
    assert [event["done"] for event in listener.said()] == [False] * (len(words) - 1) + [True]
    assert listener.said()[-1]["finished"]


@pytest.mark.parametrize(
    ("doubt", "said"),
    [
        (Doubt(way="hedge", below=0.9), "A loud, perhaps angry voice."),
        (Doubt(way="omit", below=0.9), "The voice is loud."),
        (Doubt(way="omit", below=0.6), SAYS["high"]),
    ],
)
def test_a_caption_whose_doubt_is_settled_is_told_once(captioners, monkeypatch, doubt, said):
    monkeypatch.setattr(captioners["kd"], "doubt", doubt)
    service = CaptionService(captioners, max_batch=8, max_waiting=8, max_new_tokens=40)
    listener = Listener(LOUD)
    service.submit(listener.job)
    told = listener.wait().said()
    service.close()
    assert [(event["text"], event["done"], event["finished"]) for event in told] == [(said, True, True)]


def test_two_systems_caption_what_was_heard_once(captioners):
    held = Held(captioners["kd"])
    held.gate.set()
    service = CaptionService({"kd": held, "sft": captioners["sft"]}, 8, 8, 40)
    listener = Listener(SOFT, ("kd", "sft"))
    service.submit(listener.job)
    listener.wait()
    service.close()
    assert [listener.said(s)[-1]["text"] for s in ("kd", "sft")] == [SAYS["low"], OTHER["low"]]
    assert [event["event"] for event in listener.events].count("heard") == 1 and held.heard == [len(SOFT)]


def test_requests_that_wait_together_are_decoded_together_and_get_their_own(captioners):
    held = Held(captioners["kd"])
    held.threads = 1  # which have one batch, and two have two
    service = CaptionService({"kd": held}, max_batch=4, max_waiting=8, max_new_tokens=40)
    passes = []
    hook = held.model.llm.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    first = Listener(LOUD)
    service.submit(first.job)
    assert held.started.wait(60)
    rest = [Listener(sound) for sound in (SOFT, LOUD, SOFT, LOUD)]
    for listener in rest:
        service.submit(listener.job)
    held.gate.set()
    first.wait()
    alone = len(passes)
    texts = [listener.wait().said()[-1]["text"] for listener in rest]
    hook.remove()
    service.close()
    assert texts == [SAYS["low"], SAYS["high"]] * 2
    assert len(passes) - alone < 2 * alone, "four requests in one batch cost about as many passes as one"


def test_a_recording_that_breaks_the_captioner_ends_in_words_and_harms_no_other(service):
    broken, fine = Listener(LOUD, language="la"), Listener(LOUD)
    for listener in (broken, fine):
        service.submit(listener.job)
    assert broken.wait().events == [{"event": "error", "message": broken.events[0]["message"], "status": 500}]
    assert fine.wait().said()[-1]["text"] == SAYS["high"]


def test_closing_answers_what_was_accepted_and_refuses_the_rest(captioners):
    held = Held(captioners["kd"])
    service = CaptionService({"kd": held}, max_batch=1, max_waiting=3, max_new_tokens=40)
    listeners = [Listener(LOUD) for _ in range(4)]
    service.submit(listeners[0].job)
    assert held.started.wait(60)
    for listener in listeners[1:]:
        service.submit(listener.job)
    with pytest.raises(BusyError, match="3 recordings are waiting"):
        service.submit(Listener(LOUD).job)
    closing = threading.Thread(target=service.close)
    closing.start()
    while not service._closing:
        pass
    with pytest.raises(ClosingError, match="shutting down"):
        service.submit(Listener(LOUD).job)
    held.gate.set()
    closing.join(60)
    assert not closing.is_alive()
    assert [listener.wait().said()[-1]["text"] for listener in listeners] == [SAYS["high"]] * 4
