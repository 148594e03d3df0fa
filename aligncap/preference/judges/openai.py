"""The judge ``openai``: any OpenAI-compatible chat endpoint reads the scoring prompt and answers in JSON.

An answer that cannot be used is asked for once more; after that the row is unscored, never guessed. The key comes from
the environment variable that the config names, goes into the request's header and nowhere else.
"""

from __future__ import annotations

import email.utils
import logging
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import httpx

from aligncap.config import Judge, OpenAiJudge
from aligncap.errors import JudgeError
from aligncap.preference.facts import Item, Opinion, opinion
from aligncap.preference.judges import rubric
from aligncap.preference.judges.answers import Answer, AnswerCache, BadAnswer, prompt_key, read_answer
from aligncap.progress import track

logger = logging.getLogger(__name__)

SECTION = "preference.judge.openai"
# Not work/{rule}/{digest}: an answer belongs to its prompt, whichever rule or system asks for it.
CACHE = Path("work") / "judge_openai"
TRIED_AGAIN = (408, 409, 425, 429)  # and 5xx
EXCERPT = 160  # characters of an endpoint's message that are shown

Messages = list[dict[str, str]]


class GaveUp(Exception):
    """This row stays without a score; says why."""


class Stopped(Exception):
    """The run ends; nothing more is asked."""


def retry_after(header: str | None, now: datetime | None = None) -> float:
    """Seconds that a ``Retry-After`` header asks for, in either of its two forms; 0 for none or an unreadable one."""
    text = (header or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


class Endpoint:
    """A chat endpoint that is asked by several threads at once.

    Args:
        settings: where it is and how patiently it is asked.

    Raises:
        JudgeError: the environment variable of the key is not set.
    """

    def __init__(self, settings: OpenAiJudge) -> None:
        self.settings = settings
        self.tokens: Counter[str] = Counter()
        self._key = _key(settings)
        self._lock = threading.Lock()
        self._open_at = 0.0  # told to wait, every thread waits
        self._stop = threading.Event()
        self._client = httpx.Client(
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            limits=httpx.Limits(max_connections=settings.concurrency),
        )

    def stop(self) -> None:
        """Ask nothing more: threads that wait raise ``Stopped``."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, request: Mapping[str, Any]) -> str:
        """The text of an answer.

        Args:
            request: body of the request.

        Raises:
            GaveUp: the request was refused, or every try failed.
            JudgeError: the endpoint refuses this client altogether.
            Stopped: the run ends.
        """
        reason = ""
        for attempt in range(self.settings.retries + 1):
            self._wait_for_gate()
            asked_to_wait = 0.0
            try:
                reply = self._client.post("chat/completions", json=request)
            except httpx.RequestError as error:
                reason = f"{type(error).__name__}: {self._shown(str(error))}"
            else:
                if reply.status_code == 200:
                    text = self._text_of(reply)
                    if text is not None:
                        return text
                    reason = f"no chat completion in the reply: {self._shown(reply.text)}"
                elif reply.status_code >= 500 or reply.status_code in TRIED_AGAIN:
                    reason = f"HTTP {reply.status_code}"
                    asked_to_wait = retry_after(reply.headers.get("Retry-After"))
                else:
                    self._refused(reply)
            if attempt < self.settings.retries:
                self._back_off(attempt, asked_to_wait, reason)
        raise GaveUp(f"{reason} ({self.settings.retries + 1} tries)")

    def _text_of(self, reply: httpx.Response) -> str | None:
        """Content of the first choice, empty where the model said nothing; None for what is no chat completion."""
        try:
            body = reply.json()
            content = body["choices"][0]["message"].get("content")
            used = body.get("usage") or {}
            with self._lock:
                self.tokens.update({k: int(used.get(k) or 0) for k in ("prompt_tokens", "completion_tokens")})
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        return content if isinstance(content, str) else ""

    def _refused(self, reply: httpx.Response) -> NoReturn:
        told = f"HTTP {reply.status_code}: {self._shown(reply.text)}"
        if reply.status_code in (401, 403):
            remedy = f"check the key in ${self.settings.key_variable}" if self._key else f"set {SECTION}.key_variable"
        elif reply.status_code == 404:
            remedy = f"check {SECTION}.base_url and {SECTION}.model"
        else:  # such as 400 for a caption that a content filter stops: one row's trouble
            raise GaveUp(told)
        raise JudgeError(f"{self.settings.base_url}: {told}; {remedy}")

    def _back_off(self, attempt: int, asked_to_wait: float, reason: str) -> None:
        settings = self.settings
        if asked_to_wait > settings.max_wait_s:
            raise GaveUp(f"{reason}, asked to wait {asked_to_wait:.0f} s, more than {SECTION}.max_wait_s")
        if asked_to_wait:
            with self._lock:
                self._open_at = max(self._open_at, time.monotonic() + asked_to_wait)
        own = settings.backoff_s * 2**attempt * random.uniform(0.5, 1.5)
        logger.debug("%s, next try in %.1f s", reason, max(min(own, settings.max_wait_s), asked_to_wait))
        self._sleep(max(min(own, settings.max_wait_s), asked_to_wait))

    def _wait_for_gate(self) -> None:
        while True:
            with self._lock:
                left = self._open_at - time.monotonic()
            self._sleep(max(0.0, left))
            if left <= 0:
                return

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _shown(self, text: str) -> str:
        """One short line of an endpoint's words; should it repeat the key, not that."""
        text = text.replace(self._key, "***") if self._key else text
        return " ".join(text.split())[:EXCERPT]


def _key(settings: OpenAiJudge) -> str:
    if settings.key_variable is None:
        return ""
    key = os.environ.get(settings.key_variable, "").strip()
    if not key:
        raise JudgeError(
            f"{SECTION}.key_variable: ${settings.key_variable} is not set; export it, or set the key to null "
            "where the endpoint wants none"
        )
    if not key.isascii() or not key.isprintable():
        raise JudgeError(f"{SECTION}.key_variable: ${settings.key_variable} holds what is no key; set it again")
    return key


def request_of(settings: OpenAiJudge, messages: Messages) -> dict[str, Any]:
    """Body of a request."""
    extra = {name: value for name, value in settings.request.items() if value is not None}
    return {**extra, "model": settings.model, "messages": messages}


def _answer(endpoint: Endpoint, messages: Messages) -> Answer:
    """Ask, and once more where the answer cannot be used."""
    text = endpoint.ask(request_of(endpoint.settings, messages))
    try:
        return read_answer(text)
    except BadAnswer as problem:
        # Some endpoints refuse an empty message.
        said = [{"role": "assistant", "content": text.strip() or "(nothing)"}]
        told = [{"role": "user", "content": rubric.again(str(problem))}]
        text = endpoint.ask(request_of(endpoint.settings, [*messages, *said, *told]))
    try:
        return read_answer(text)
    except BadAnswer as problem:
        raise GaveUp(f"no usable answer when asked twice: {problem}") from problem


def score(settings: Judge, items: Sequence[Item]) -> list[Opinion]:
    """Opinions of an endpoint's model, in the order of ``items``; equal prompts are asked for once.

    Args:
        settings: the endpoint, and the weights of the two scores.
        items: captions with what is known of their clips; this text leaves the process, and nothing else does.

    Raises:
        JudgeError: no key, the endpoint refuses it, or more rows than ``max_unscored`` stay without a score. What was
            answered until then is kept, so a rerun asks only for the rest.
    """
    own = settings.openai
    prompts = [rubric.messages(item) for item in items]
    keys = [prompt_key(own.base_url, request_of(own, messages)) for messages in prompts]
    rows = Counter(keys)
    cache = AnswerCache(CACHE)
    answers = {key: kept for key in rows if (kept := cache.get(key)) is not None}
    waiting = {key: messages for key, messages in zip(keys, prompts, strict=True) if key not in answers}
    logger.info("%s: %d captions, %d prompts, %d answers kept", own.model, len(items), len(rows), len(answers))
    reasons = _ask_all(own, waiting, rows, cache, answers) if waiting else {}
    opinions = []
    for key in keys:
        if key in answers:
            answer = answers[key]
            opinions.append(opinion(settings, answer.factuality, answer.faithfulness, answer.why))
        else:
            opinions.append(Opinion(None, None, None, f"unscored: {reasons[key]}"))
    return opinions


def _ask_all(
    settings: OpenAiJudge,
    waiting: Mapping[str, Messages],
    rows: Counter[str],
    cache: AnswerCache,
    answers: dict[str, Answer],
) -> dict[str, str]:
    """Fill ``answers``, each kept on disk as it comes; the reasons of prompts that stay without one."""
    endpoint = Endpoint(settings)
    allowed = settings.max_unscored * rows.total()
    reasons: dict[str, str] = {}
    counting = threading.Lock()

    def ask(key: str) -> Answer | None:
        try:
            answer = _answer(endpoint, waiting[key])
        except GaveUp as problem:
            with counting:
                reasons[key] = str(problem)
                unscored = sum(rows[k] for k in reasons)
            if unscored > allowed:
                raise JudgeError(
                    f"{settings.base_url}: {unscored} of {rows.total()} captions stay unscored, "
                    f"more than {SECTION}.max_unscored ({settings.max_unscored}); last reason: {problem}; "
                    "run again once that is mended: answers so far are kept"
                ) from None
            return None
        cache.put(key, answer)
        return answer

    def ask_or_stop(key: str) -> Answer | None:
        try:
            return ask(key)
        except JudgeError:
            endpoint.stop()  # not first where the error arrives: this thread would take the next prompt before that
            raise

    with ThreadPoolExecutor(settings.concurrency) as pool:
        futures: dict[Future[Answer | None], str] = {pool.submit(ask_or_stop, key): key for key in waiting}
        try:
            for future in track(as_completed(futures), "judge", len(futures)):
                try:
                    answer = future.result()
                except Stopped:  # why, the thread that stopped the others says
                    continue
                if answer is not None:
                    answers[futures[future]] = answer
        finally:
            endpoint.stop()
            pool.shutdown(cancel_futures=True)
            endpoint.close()
    used = endpoint.tokens
    logger.info(
        "%s: %d answers, %d prompts unscored; %d prompt and %d answer tokens",
        *(settings.model, len(waiting) - len(reasons), len(reasons)),
        *(used["prompt_tokens"], used["completion_tokens"]),
    )
    for key, reason in list(reasons.items())[:3]:
        logger.warning("unscored (%d captions): %s", rows[key], reason)
    return reasons
