"""``aligncap annotate``: people compare two captions of a recording without knowing whose they are (docs/pages.md)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aligncap.errors import AlignCapError, ConfigError
from aligncap.serving.web import server
from aligncap.serving.web.answers import Answers, Choice
from aligncap.serving.web.tasks import Task, Tasks, candidate_tasks, test_tasks

logger = logging.getLogger(__name__)

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[\w .'-]+$")]
Pressed = Literal["a", "b", "both_fine", "both_hallucinate"]


class Given(BaseModel):
    """An answer as the page sends it: of what it showed as A and B."""

    model_config = ConfigDict(extra="forbid")

    annotator: Name
    task: str
    choice: Pressed
    plays: int = Field(ge=1, le=10_000, description="how often the recording was started before the answer")


class Back(BaseModel):
    """Take the last answer back."""

    model_config = ConfigDict(extra="forbid")

    annotator: Name


def shown_first(task: Task, annotator: str) -> Choice:
    """Which of the task's captions this person sees as A: by hash, so it is the same after a reload."""
    digest = hashlib.sha256(f"{annotator.casefold()}/{task.key}".encode()).digest()
    return "second" if digest[0] % 2 else "first"


def annotation_app(tasks: Tasks, answers: Answers, host: str = "127.0.0.1") -> FastAPI:
    """The web application around a list of questions and a file of answers.

    Neither system names nor utterance ids leave the server: file names of many corpora tell the emotion.

    Args:
        tasks: what is asked, in this order.
        answers: where answers go.
        host: address that it will be served on.
    """
    by_key = {task.key: task for task in tasks.asked}
    app = FastAPI(title="AlignCap annotation", docs_url=None, redoc_url=None, openapi_url=None, max_body_size=10_000)
    server.dress(app, "annotate.html", host)

    @app.exception_handler(AlignCapError)
    async def problem(request: Request, error: AlignCapError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    def state(annotator: str) -> dict[str, Any]:
        """Progress of a person and the next question, None where all are answered."""
        done = [key for key in answers.answered(annotator) if key in by_key]
        answered = set(done)
        task = next((task for task in tasks.asked if task.key not in answered), None)
        shown = None
        if task is not None:
            captions = task.captions if shown_first(task, annotator) == "first" else task.captions[::-1]
            shown = {"task": task.key, "a": captions[0], "b": captions[1]}
        return {"done": len(answered), "total": len(tasks.asked), "question": shown}

    @app.get("/v1/question")
    def question(annotator: Annotated[Name, Query()]) -> dict[str, Any]:
        return state(annotator)

    @app.post("/v1/answers")
    def answer(given: Given) -> dict[str, Any]:
        task = by_key.get(given.task)
        if task is None:
            raise HTTPException(404, "this question is not asked any more; reload the page")
        first = shown_first(task, given.annotator)
        second: Choice = "second" if first == "first" else "first"
        meant: dict[Pressed, Choice] = {
            "a": first,
            "b": second,
            "both_fine": "both_fine",
            "both_hallucinate": "both_hallucinate",
        }
        answers.put(task, given.annotator, meant[given.choice], first, given.plays)
        return state(given.annotator)

    @app.post("/v1/back")
    def back(given: Back) -> dict[str, Any]:
        done = [key for key in answers.answered(given.annotator) if key in by_key]
        if done:
            answers.remove(given.annotator, done[-1])
        return state(given.annotator)

    @app.get("/audio/{key}")
    def audio(key: str) -> FileResponse:
        task = by_key.get(key)
        if task is None or not task.audio.is_file():
            if task is not None:
                logger.error("%s: no such file; questions about it cannot be answered", task.audio)
            raise HTTPException(404, "the recording is not there; tell whoever runs this page")
        return FileResponse(task.audio)

    return app


def load_tasks(
    results: Path, systems: Sequence[str], candidates: str | None, corpora: Sequence[str], limit: int | None
) -> Tasks:
    """Questions as the command line names them.

    Args:
        results: folder of an experiment, ``results/{experiment}``.
        systems: two systems whose captions of test utterances are compared: win rates.
        candidates: instead, a system whose candidates of training utterances are compared: these answers may train.
        corpora: of test corpora, only these.
        limit: ask only the first so many questions; the order is the same for everybody.

    Raises:
        ConfigError: not two systems or one set of candidates.
        ArtifactError: captions or candidates are of no use.
    """
    if (candidates is None) != (len(systems) == 2) or (candidates is not None and systems):
        raise ConfigError(
            f"annotate: got systems {list(systems)} and candidates {candidates!r}; "
            "name two systems, or one system's candidates"
        )
    if not results.is_dir():
        raise ConfigError(f"{results}: no such folder; give the results of an experiment, such as results/default")
    if candidates is not None:
        tasks = candidate_tasks(results, candidates)
    else:
        tasks = test_tasks(results, (systems[0], systems[1]), corpora)
    # A sample of the captions that differ says nothing beside all of those that do not.
    return tasks if limit is None else Tasks(tasks.asked[:limit], [])


def default_answers(results: Path) -> Path:
    """``annotations/{experiment}.sqlite`` beside ``results/``: `make clean` removes results, not what people said."""
    folder = results.resolve()
    return folder.parents[1] / "annotations" / f"{folder.name}.sqlite"


def annotate(tasks: Tasks, answers: Path, host: str = "127.0.0.1", port: int = 8001) -> None:
    """Serve the annotation page until a signal ends it.

    Args:
        tasks: what is asked; see ``load_tasks``.
        answers: SQLite file, made where it is not there.
        host: address to listen on; anything but loopback is reachable by others without a password.
        port: 0 takes a free one.

    Raises:
        ArtifactError: the file of answers is of no use.
        ServerError: the address cannot be had.
    """
    server.run(annotation_app(tasks, Answers(answers), host), host, port)
