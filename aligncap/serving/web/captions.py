"""The server of ``aligncap serve``: the caption page and ``POST /v1/captions`` (docs/pages.md).

Annotations are evaluated here (no ``__future__`` import), because FastAPI could not find names local to a function.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field

from aligncap.config import Doubt
from aligncap.config.languages import LANGUAGES
from aligncap.errors import AlignCapError, AudioError, ConfigError, message
from aligncap.serving.web import server
from aligncap.serving.web.guard import UPLOAD_SECONDS
from aligncap.serving.web.service import BusyError, CaptionService, ClosingError, Ears, Event, Job
from aligncap.serving.web.uploads import peaks, read_upload
from aligncap.speech.audio import Clip

logger = logging.getLogger(__name__)
MEGABYTE = 1_000_000
FORM_OVERHEAD = 10_000  # bytes that multipart needs around the file


@dataclass(frozen=True)
class Limits:
    """The limits of one server.

    Attributes:
        megabytes: Maximum size of an upload.
        seconds: Maximum duration of a recording.
        waiting: Number of recordings that may wait; further ones get 429.
        batch: Number of recordings decoded at once.
        max_new_tokens: Maximum length of a caption in tokens.
        upload_seconds: Seconds that an upload may take.
    """

    megabytes: float = 25.0
    seconds: float = 60.0
    waiting: int = 64
    batch: int = 8
    max_new_tokens: int = 40
    upload_seconds: float = UPLOAD_SECONDS

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ConfigError(f"limits.{name}: got {value}, want more than 0")


class ClueFound(BaseModel):
    """A clue that the voice gives, before any caption."""

    kind: str = Field(description="emotion, intensity, level, pitch, rate, timbre or pause")
    word: str
    lemma: str
    intensity: str
    negated: bool
    probability: float = Field(description="of the clue tagger, calibrated, 0-1")


class SystemCaption(BaseModel):
    """The caption of one system."""

    system: str
    caption: str
    finished: bool = Field(description="false where the length limit cut it off")


class CaptionedRecording(BaseModel):
    """The captions, clues and transcript of one recording."""

    file: str = Field(description="as the sender named it")
    duration_s: float
    transcript: str = Field(description="by the speech recogniser; in English where the checkpoint translates")
    clues: list[ClueFound]
    captions: list[SystemCaption] = Field(description="the main system first")
    familiarity: float = Field(description="how like the training speech it sounds, 0-1")
    warnings: list[str] = Field(description="what a reader of the captions should know")


class Problem(BaseModel):
    """A description of the problem in one sentence."""

    detail: str


@dataclass(frozen=True)
class Recording:
    """A decoded request that can be captioned."""

    name: str
    clip: Clip
    systems: list[str]
    language: str | None


@dataclass(frozen=True)
class Accepted:
    """A request whose recording waits to be captioned, and the queue of its events."""

    asked: Recording
    told: asyncio.Queue[Event]


def languages() -> dict[str, str]:
    """Return ISO 639 code -> English name of the languages that Whisper knows, in the order of their names."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES as SPOKEN

    names = {"jv" if code == "jw" else code: name for code, name in SPOKEN.items()}  # jw is Whisper's own for jv
    return dict(sorted(names.items(), key=lambda item: item[1]))


def caption_app(captioners: Mapping[str, Ears], limits: Limits, host: str = "127.0.0.1") -> FastAPI:
    """Make the web application for one or more captioners.

    Args:
        captioners: Name of a system -> its captioner; the first is the main one, the others are for comparison.
        limits: Limits of size, duration, queue and batch.
        host: Address on which it will be served.
    """
    spoken = languages()
    names = list(captioners)
    decoding = asyncio.Semaphore(limits.batch)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = CaptionService(captioners, limits.batch, limits.waiting, limits.max_new_tokens)
        yield
        await run_in_threadpool(app.state.service.close)

    app: FastAPI = FastAPIOffline(
        title="AlignCap",
        description="Speech in, one sentence out that says how the speaker sounds. Captions are guesses about a voice.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        max_body_size=int(limits.megabytes * MEGABYTE) + FORM_OVERHEAD,
    )
    server.dress(app, "captions.html", host, limits.upload_seconds)

    @app.exception_handler(AlignCapError)
    async def problem(request: Request, error: AlignCapError) -> JSONResponse:
        status = 429 if isinstance(error, BusyError) else 503 if isinstance(error, ClosingError) else 422
        return JSONResponse({"detail": str(error)}, status, {"Retry-After": "2"} if status != 422 else None)

    async def recording(
        file: Annotated[UploadFile, File(description="one recording; the content decides, not the name")],
        language: Annotated[str | None, Form(description="ISO 639-1 of the speech; left out: detected")] = None,
        compare: Annotated[bool, Form(description="also by the systems of --compare")] = False,
    ) -> Recording:
        """Return the decoded upload, or refuse a recording that cannot be captioned, with a sentence."""
        if language and language not in LANGUAGES:
            raise AudioError(f"language: '{language}' is no ISO 639-1 code; write en or zh, say, or leave it out")
        name = message(file.filename or "recording")
        async with decoding:  # many may have arrived; memory holds this many of them, the others wait on disk
            data = await file.read()
            if len(data) > limits.megabytes * MEGABYTE:
                raise HTTPException(413, f"larger than {limits.megabytes:g} MB")
            clip = await run_in_threadpool(read_upload, name, data, limits.seconds)
        return Recording(name, clip, names if compare else names[:1], language or None)

    async def accepted(request: Request, asked: Annotated[Recording, Depends(recording)]) -> AsyncIterator[Accepted]:
        """Queue a recording before the answer begins; its job is abandoned when nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[Event] = asyncio.Queue()

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(told.put_nowait, event)

        job = Job(asked.clip.samples, asked.systems, asked.language, tell)
        request.app.state.service.submit(job)
        try:
            yield Accepted(asked, told)
        finally:
            job.abandoned.set()

    async def events(taken: Accepted) -> AsyncIterator[Event]:
        """Yield the events of one job; warnings of the recording itself come before those of what was heard."""
        while True:
            event = await taken.told.get()
            if event["event"] == "heard":
                event["warnings"] = [*taken.asked.clip.warnings, *event["warnings"]]
            yield event
            if event["event"] in ("done", "error"):
                return

    known: dict[int | str, dict[str, Any]] = {
        413: {"description": "too large"},
        422: {"model": Problem, "description": "not a recording that can be used; the detail says why"},
        403: {"model": Problem, "description": "sent by another website"},
        408: {"model": Problem, "description": "the upload took too long"},
        429: {"model": Problem, "description": "too many wait; Retry-After says when to come back"},
        500: {"model": Problem, "description": "the captioner failed"},
        503: {"model": Problem, "description": "the server is shutting down"},
    }

    @app.post("/v1/captions", responses=known, summary="Caption one recording")
    async def captions(taken: Annotated[Accepted, Depends(accepted)]) -> CaptionedRecording:
        asked = taken.asked
        heard: Event = {}
        said: dict[str, SystemCaption] = {}
        async for event in events(taken):
            if event["event"] == "error":
                raise HTTPException(event["status"], event["message"])
            if event["event"] == "heard":
                heard = event
            elif event["event"] == "caption":
                said[event["system"]] = SystemCaption(
                    system=event["system"], caption=event["text"], finished=event["finished"]
                )
        return CaptionedRecording(
            file=asked.name,
            duration_s=asked.clip.duration_s,
            transcript=heard["transcript"],
            clues=heard["clues"],
            captions=[said[system] for system in asked.systems],
            familiarity=heard["familiarity"],
            warnings=heard["warnings"],
        )

    @app.post(
        "/v1/captions/stream",
        response_class=EventSourceResponse,
        responses={code: known[code] for code in known if code != 500},
        summary="Caption one recording word by word",
    )
    async def captions_stream(taken: Annotated[Accepted, Depends(accepted)]) -> AsyncIterator[ServerSentEvent]:
        """Send server-sent events, of which the last is ``done``, or ``error`` with a message.

        ``audio`` (duration_s, peaks of the waveform) comes first, then ``heard`` (clues, transcript, familiarity,
        warnings), then ``caption`` (system, text so far, done, finished) at every new word.
        """
        clip = taken.asked.clip
        yield ServerSentEvent(event="audio", data={"duration_s": clip.duration_s, "peaks": peaks(clip.samples)})
        async for event in events(taken):
            yield ServerSentEvent(event=event["event"], data=event)

    @app.get("/v1/systems", summary="Systems, limits and languages of this server")
    async def systems() -> dict[str, Any]:
        return {
            "systems": names,
            "limits": {"megabytes": limits.megabytes, "seconds": limits.seconds},
            "languages": spoken,
        }

    @app.get("/healthz", summary="Is the server up, and how many recordings wait?")
    async def health(request: Request) -> dict[str, Any]:
        return {"status": "ok", "systems": names, "waiting": request.app.state.service.waiting}

    return app


def serve(
    checkpoint: Path,
    compare: Path | None = None,
    models: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits | None = None,
    doubt: Doubt | None = None,
) -> None:
    """Serve the caption page until a signal ends it; accepted requests are finished first.

    Args:
        checkpoint: Folder of the captioner, for example ``results/default/checkpoints/aligncap``; its name is shown.
        compare: Folder of a second captioner, whose caption the page can show beside the first.
        models: Folder of the base models; None searches for it as ``Captioner.load`` does.
        host: Address to listen on; anything but loopback is reachable by others without a password.
        port: Port; 0 takes a free one.
        limits: Limits of size, duration, queue and batch.
        doubt: What captions do about an emotion that is in doubt, as in ``Captioner.load``.

    Raises:
        ModelError, ConfigError: A checkpoint cannot be loaded.
        ServerError: The address is unavailable.
    """
    from aligncap.serving.captioner import Captioner

    folders = [checkpoint] if compare is None else [checkpoint, compare]
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):  # two experiments have a system of the same name
        names = [f"{folder.resolve().parent.parent.name}/{name}" for folder, name in zip(folders, names, strict=True)]
    if len(set(names)) < len(names):
        raise ConfigError(f"{compare}: compared with itself; name another checkpoint")
    captioners = {
        name: Captioner.load(folder, models, doubt=doubt) for name, folder in zip(names, folders, strict=True)
    }
    server.run(caption_app(captioners, limits or Limits(), host), host, port)
