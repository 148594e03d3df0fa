"""The judge ``openai``: any OpenAI-compatible chat endpoint reads the scoring prompt and answers in JSON.

After an answer that cannot be used the endpoint is asked once more; if that fails, the caption stays unscored. The key
is read from the environment variable that the config names, and is used only in the request's header.
"""

from __future__ import annotations

import email.utils
import json
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
from aligncap.preference.facts import JudgedCaption, Opinion, opinion
from aligncap.preference.judges import rubric
from aligncap.preference.judges.answers import Answer, AnswerCache, BadAnswer, prompt_key, read_answer
from aligncap.progress import track

logger = logging.getLogger(__name__)

SECTION = "preference.judge.openai"
# The folder is not work/{rule}/{digest}, because an answer depends on its prompt, not on the rule or system that asks.
CACHE = Path("work") / "judge_openai"
TRIED_AGAIN = (408, 409, 425, 429)  # and 5xx
EXCERPT = 160  # characters of an endpoint's message that are shown
REPEATED = 2_000  # characters of a bad answer that the endpoint reads again
LARGEST = 1_000_000  # bytes of a reply; a completion of 300 tokens has some 2,000

Messages = list[dict[str, str]]


class GaveUp(Exception):
    """Error after which a caption stays unscored; its message is the reason."""


class TooLarge(Exception):
    """Error for a reply that is larger than ``LARGEST``."""


class Stopped(Exception):
    """Error that ends waiting requests when the run stops."""


def retry_after(header: str | None, now: datetime | None = None) -> float:
    """Parse a ``Retry-After`` header in either of its forms into seconds; 0 where it is missing or cannot be read."""
    text = (header or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


class Endpoint:
    """A client of a chat endpoint for several threads.

    Args:
        settings: URL, key variable, retries and waiting times.

    Raises:
        JudgeError: The environment variable of the key is not set.
    """

    def __init__(self, settings: OpenAiJudge) -> None:
        self.settings = settings
        self.tokens: Counter[str] = Counter()
        self._key = _key(settings)
        self._lock = threading.Lock()
        self._open_at = 0.0  # when the endpoint asks one thread to wait, all threads wait until then
        self._away = False  # whether its silence has been told
        self._stop = threading.Event()
        self._client = httpx.Client(
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            limits=httpx.Limits(max_connections=settings.concurrency),
            follow_redirects=False,  # the key is for this address alone
        )

    def stop(self) -> None:
        """Stop all requests: waiting threads raise ``Stopped``."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, request: Mapping[str, Any]) -> str:
        """Send a request and return the text of the answer.

        Args:
            request: Body of the request.

        Raises:
            GaveUp: The request was refused, or every try failed.
            JudgeError: The endpoint refuses all requests of this client.
            Stopped: The run was stopped.
        """
        reason = ""
        for attempt in range(self.settings.retries + 1):
            self._wait_for_gate()
            asked_to_wait = 0.0
            try:
                reply, body = self._post(request)
            except (httpx.RequestError, TooLarge) as error:
                reason = f"{type(error).__name__}: {self._shown(str(error))}"
            else:
                if reply.status_code == 200:
                    text = self._text_of(body)
                    if text is not None:
                        self._tell(back=True)
                        return self.masked(text)
                    reason = f"no chat completion in the reply: {self._shown(_decoded(body))}"
                elif reply.status_code >= 500 or reply.status_code in TRIED_AGAIN:
                    reason = f"HTTP {reply.status_code}"
                    asked_to_wait = retry_after(reply.headers.get("Retry-After"))
                else:
                    self._refused(reply, _decoded(body))
            if attempt < self.settings.retries:
                self._tell(reason)
                self._back_off(attempt, asked_to_wait, reason)
        raise GaveUp(f"{reason} ({self.settings.retries + 1} tries)")

    def _post(self, request: Mapping[str, Any]) -> tuple[httpx.Response, bytes]:
        """Return the reply and its body, which may take ``timeout_s`` and ``LARGEST`` bytes in all."""
        ends = time.monotonic() + self.settings.timeout_s
        body = bytearray()
        with self._client.stream("POST", "chat/completions", json=request) as reply:
            for chunk in reply.iter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise TooLarge(f"a reply of more than {LARGEST:,} bytes")
                if time.monotonic() > ends:
                    raise httpx.ReadTimeout(f"the reply took more than {self.settings.timeout_s:g} s")
        return reply, bytes(body)

    def _tell(self, reason: str = "", back: bool = False) -> None:
        """Tell once that the endpoint does not answer, and once that it does again."""
        with self._lock:
            if self._away is not back:
                return
            self._away = not back
        settings = self.settings
        if back:
            logger.info("%s: answers again", settings.base_url)
        else:
            logger.warning("%s: %s; asked up to %d times more", settings.base_url, reason, settings.retries)

    def _text_of(self, reply: bytes) -> str | None:
        """Return the content of the first choice, "" where it is empty, or None where the reply is no completion."""
        try:
            body = json.loads(reply)
            content = body["choices"][0]["message"].get("content")
            used = body.get("usage") or {}
            with self._lock:
                self.tokens.update({k: int(used.get(k) or 0) for k in ("prompt_tokens", "completion_tokens")})
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        return content if isinstance(content, str) else ""

    def _refused(self, reply: httpx.Response, text: str) -> NoReturn:
        told = f"HTTP {reply.status_code}: {self._shown(text)}"
        if 300 <= reply.status_code < 400:
            told = f"HTTP {reply.status_code}, a redirect to {self._shown(reply.headers.get('Location', 'nowhere'))}"
            remedy = f"it is not followed, for the key would go along; set {SECTION}.base_url to the right address"
        elif reply.status_code in (401, 403):
            remedy = f"check the key in ${self.settings.key_variable}" if self._key else f"set {SECTION}.key_variable"
        elif reply.status_code == 404:
            remedy = f"check {SECTION}.base_url and {SECTION}.model"
        else:  # this caption alone fails, for example with 400 from a content filter
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

    def masked(self, text: str) -> str:
        """Return a text of the endpoint with the key replaced should it contain it."""
        return text.replace(self._key, "***") if self._key else text

    def _shown(self, text: str) -> str:
        """Shorten an endpoint's message to one line that can be printed, without the key."""
        printable = "".join(c if c.isprintable() else " " for c in self.masked(text))
        return " ".join(printable.split())[:EXCERPT]


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", "replace")


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
    """Return the body of a request."""
    extra = {name: value for name, value in settings.request.items() if value is not None}
    return {**extra, "model": settings.model, "messages": messages}


def _answer(endpoint: Endpoint, messages: Messages) -> Answer:
    """Ask for an answer, and ask once more where it cannot be used."""
    text = endpoint.ask(request_of(endpoint.settings, messages))
    try:
        answer = read_answer(text)
    except BadAnswer as problem:
        # Some endpoints refuse an empty message.
        said = [{"role": "assistant", "content": text.strip()[:REPEATED] or "(nothing)"}]
        told = [{"role": "user", "content": rubric.part("again", problem=str(problem))}]
        text = endpoint.ask(request_of(endpoint.settings, [*messages, *said, *told]))
        try:
            answer = read_answer(text)
        except BadAnswer as worse:
            raise GaveUp(f"no usable answer when asked twice: {worse}") from worse
    return answer.model_copy(update={"why": endpoint.masked(answer.why)})  # JSON may have spelled the key otherwise


def score(settings: Judge, items: Sequence[JudgedCaption]) -> list[Opinion]:
    """Return the opinions of an endpoint's model, in the order of ``items``; equal prompts are sent only once.

    Args:
        settings: Endpoint, and weights of the two scores.
        items: Captions with the facts of their utterances. Only this text is sent to the endpoint.

    Raises:
        JudgeError: The key is missing, the endpoint refuses it, or more captions than ``max_unscored`` stay unscored.
            Answers received before are cached, so that a rerun asks only for the rest.
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
    """Fill ``answers`` and cache each when it arrives; return the reasons of the prompts that stay without one."""
    endpoint = Endpoint(settings)
    allowed = settings.max_unscored * rows.total()
    reasons: dict[str, str] = {}
    counting = threading.Lock()

    def ask(key: str) -> Answer | None:
        try:
            answer = _answer(endpoint, waiting[key])
        except JudgeError:
            endpoint.stop()  # stop here: this thread would take the next prompt before the caller sees the error
            raise
        except GaveUp as problem:
            with counting:
                reasons[key] = str(problem)
                unscored = sum(rows[k] for k in reasons)
            if unscored > allowed:
                endpoint.stop()
                raise JudgeError(
                    f"{settings.base_url}: {unscored} of {rows.total()} captions stay unscored, "
                    f"more than {SECTION}.max_unscored ({settings.max_unscored}); last reason: {problem}; "
                    "run again once that is mended: answers so far are kept"
                ) from None
            return None
        cache.put(key, answer)
        return answer

    with ThreadPoolExecutor(settings.concurrency) as pool:
        futures: dict[Future[Answer | None], str] = {pool.submit(ask, key): key for key in waiting}
        try:
            for future in track(as_completed(futures), "judge", len(futures)):
                try:
                    answer = future.result()
                except Stopped:  # the thread that stopped the others raises the reason
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
