"""The caption service: one worker thread that decodes waiting requests together.

The next batch gathers while one batch runs, and for a moment behind it, so a request to an idle server waits for no
other. Every accepted request is answered, also while the server shuts down.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aligncap.captioner.model import CaptionModel
from aligncap.clues.doubt import settle
from aligncap.config import Doubt
from aligncap.errors import AlignCapError, AudioError
from aligncap.serving.captioner import PreparedClip
from aligncap.serving.streaming import stream

logger = logging.getLogger(__name__)

Event = dict[str, Any]
# Share of a batch's time in which those who have got their captions may ask again and come into the next batch.
GATHERING = 0.03
BROKEN = "the captioner failed on this recording; the server's log says why"


class Ears(Protocol):
    """The part of ``Captioner`` that the service needs."""

    model: CaptionModel
    hearing: str
    doubt: Doubt
    threads: int

    def prepare_clip(self, samples: NDArray[np.float32], language: str | None = None) -> PreparedClip:
        """Compute features, clues and transcript, as ``Captioner.prepare_clip``."""
        ...


class BusyError(AlignCapError):
    """An error for requests beyond the limit of waiting ones."""


class ClosingError(AlignCapError):
    """An error for requests during the shutdown."""


@dataclass(eq=False)
class Job:
    """One recording to caption.

    ``tell`` is called from threads of the service, by one at a time. It first gets ``{"event": "heard", "clues",
    "transcript", "familiarity", "warnings"}``, then for each system ``{"event": "caption", "system", "text", "done",
    "finished"}`` at every new word, or only at its end where the captioner settles what is in doubt, and at last
    ``{"event": "done"}``.
    After a failure it gets ``{"event": "error", "message", "status"}`` in place of all further events; the status is
    422 for a recording that cannot be captioned, such as one without speech.
    """

    samples: NDArray[np.float32]  # [n], mono, 16 kHz
    systems: Sequence[str]
    language: str | None
    tell: Callable[[Event], None]
    abandoned: threading.Event = field(default_factory=threading.Event)  # set when nobody reads the events any more


class CaptionService:
    """The service that captions jobs in one thread, several at once.

    Args:
        captioners: Name of a system -> its captioner, the main one first.
        max_batch: Maximum number of recordings decoded at once.
        max_waiting: Maximum number of waiting recordings; more are refused.
        max_new_tokens: Maximum length of a caption in tokens.
    """

    def __init__(self, captioners: Mapping[str, Ears], max_batch: int, max_waiting: int, max_new_tokens: int) -> None:
        self.captioners = dict(captioners)
        self._max_batch, self._max_new_tokens = max_batch, max_new_tokens
        self._waiting: queue.Queue[Job | None] = queue.Queue(max_waiting)
        self._closing = False
        self._lock = threading.Lock()
        self._worker = threading.Thread(target=self._run, name="captions", daemon=True)
        self._worker.start()

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for the running batch to end."""
        return self._waiting.qsize()

    def submit(self, job: Job) -> None:
        """Accept a job, which gets its events from then on.

        Raises:
            BusyError: Too many jobs wait.
            ClosingError: ``close`` was called.
        """
        with self._lock:
            if self._closing:
                raise ClosingError("the server is shutting down; try again in a moment")
            try:
                self._waiting.put_nowait(job)
            except queue.Full:
                raise BusyError(f"{self.waiting} recordings are waiting already; try again in a moment") from None

    def close(self) -> None:
        """Caption the accepted jobs, refuse new ones, and end the thread."""
        with self._lock:
            if not self._closing:
                self._closing = True
                threading.Thread(target=self._waiting.put, args=(None,)).start()  # the queue may be full
        self._worker.join()

    def _run(self) -> None:
        ended, gathered = False, 0.0
        while not ended:
            taken = [self._waiting.get()]
            time.sleep(max(0.0, gathered - time.monotonic()))
            while taken[-1] is not None and len(taken) < self._max_batch:
                try:
                    taken.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            ended = taken[-1] is None
            begun = time.monotonic()
            self._caption([job for job in taken if job is not None and not job.abandoned.is_set()])
            gathered = time.monotonic() + GATHERING * (time.monotonic() - begun)

    def _caption(self, jobs: Sequence[Job]) -> None:
        from aligncap.speech.parallel import in_shares

        heard: dict[tuple[Job, str], PreparedClip] = {}
        for system, captioner in self.captioners.items():
            asked = [job for job in jobs if system in job.systems]
            for job, own in zip(asked, self._hear_each(asked, captioner, heard), strict=True):
                if own is not None:
                    heard[job, captioner.hearing] = own
            able = [(job, heard[job, captioner.hearing]) for job in asked if (job, captioner.hearing) in heard]
            if not able:
                continue
            try:
                in_shares(partial(self._speak, system, captioner), able, captioner.threads)
            except Exception:
                logger.exception("%s: a batch of %d failed", system, len(able))
                for job, _ in able:
                    job.abandoned.set()
                    job.tell({"event": "error", "message": BROKEN, "status": 500})
        for job in jobs:
            if not job.abandoned.is_set():
                job.tell({"event": "done"})

    def _hear_each(
        self, jobs: Sequence[Job], captioner: Ears, heard: dict[tuple[Job, str], PreparedClip]
    ) -> Iterator[PreparedClip | None]:
        """Yield what is heard of each job, None of one that fails or is abandoned; ``heard`` says what is known."""
        from aligncap.speech.parallel import each_in_a_thread

        known = {job for job, _ in heard}

        def hear(job: Job) -> PreparedClip | None:
            return heard.get((job, captioner.hearing)) or self._hear(job, captioner, job not in known)

        return each_in_a_thread(hear, jobs, captioner.threads)

    def _hear(self, job: Job, captioner: Ears, first: bool) -> PreparedClip | None:
        if job.abandoned.is_set():
            return None
        try:
            found = captioner.prepare_clip(job.samples, job.language)
        except AudioError as error:
            job.abandoned.set()
            job.tell({"event": "error", "message": str(error), "status": 422})
            return None
        except Exception:
            logger.exception("a recording of %d samples could not be heard", len(job.samples))
            job.abandoned.set()
            job.tell({"event": "error", "message": BROKEN, "status": 500})
            return None
        if first:
            clues = [clue.to_dict() for clue in found.clues]
            doubt = {"familiarity": found.familiarity, "warnings": list(found.warnings)}
            job.tell({"event": "heard", "clues": clues, "transcript": found.transcript, **doubt})
        return found

    def _speak(self, system: str, captioner: Ears, able: Sequence[tuple[Job, PreparedClip]]) -> None:
        import torch

        model, doubt = captioner.model, captioner.doubt
        jobs, heard = zip(*able, strict=True)

        with torch.no_grad():
            prompts = model.speech_prompts([own.example for own in heard])
        said: list[list[int]] = [[] for _ in jobs]
        texts = [""] * len(jobs)
        for tokens in stream(model, prompts, self._max_new_tokens):
            if all(job.abandoned.is_set() for job in jobs):
                return
            for row, token in tokens.items():
                said[row].append(token)
                finished = token == model.end_id
                done = finished or len(said[row]) == self._max_new_tokens
                text = model.decode(said[row])
                if done:
                    text, finished = settle(text, finished, heard[row].clues, doubt)
                elif doubt.way != "say":
                    continue  # what is in doubt is known at the end
                # A word may grow with the next token, so only whole words are shown, and the full text at the end.
                words = text if done else text.rpartition(" ")[0]
                if done or words != texts[row]:
                    texts[row] = words
                    event = {"event": "caption", "system": system, "text": words, "done": done, "finished": finished}
                    jobs[row].tell(event)
