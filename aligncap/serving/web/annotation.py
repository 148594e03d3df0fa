"""The page of ``aligncap annotate``, where people compare two captions of a recording blindly (docs/pages.md)."""

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
    """An answer as the page sends it, in terms of the captions shown as A and B."""

    model_config = ConfigDict(extra="forbid")

    annotator: Name
    task: str
    choice: Pressed
    plays: int = Field(ge=1, le=10_000, description="how often the recording was started before the answer")


class Back(BaseModel):
    """A request to take the last answer back."""

    model_config = ConfigDict(extra="forbid")

    annotator: Name


def shown_first(task: Task, annotator: str) -> Choice:
    """Return which caption this person sees as A, chosen by hash so that it is the same after a reload."""
    digest = hashlib.sha256(f"{annotator.casefold()}/{task.key}".encode()).digest()
    return "second" if digest[0] % 2 else "first"


def annotation_app(tasks: Tasks, answers: Answers, host: str = "127.0.0.1") -> FastAPI:
    """Make the web application for a list of questions and a file of answers.

    Neither system names nor utterance ids leave the server, because file names of many corpora reveal the emotion.

    Args:
        tasks: Questions, asked in this order.
        answers: File for the answers.
        host: Address on which it will be served.
    """
    by_key = {task.key: task for task in tasks.asked}
    app = FastAPI(title="AlignCap annotation", docs_url=None, redoc_url=None, openapi_url=None, max_body_size=10_000)
    server.dress(app, "annotate.html", host)

    @app.exception_handler(AlignCapError)
    async def problem(request: Request, error: AlignCapError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    def state(annotator: str) -> dict[str, Any]:
        """Return a person's progress and the next question, None where all are answered."""
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
    """Load the questions that the command line selects.

    Args:
        results: Folder of an experiment, ``results/{experiment}``.
        systems: Two systems whose captions of test utterances are compared, for win rates.
        candidates: System whose candidates of training utterances are compared instead; these answers may train.
        corpora: Test corpora to which the questions are limited.
        limit: Number of questions asked, the first ones; the order is the same for everybody.

    Raises:
        ConfigError: The selection is not two systems or one set of candidates.
        ArtifactError: Captions or candidates are unusable.
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
    # With a limit only some differing captions are asked, so all identical ones would outweigh them.
    return tasks if limit is None else Tasks(tasks.asked[:limit], [])


def default_answers(results: Path) -> Path:
    """Return ``annotations/{experiment}.sqlite`` beside ``results/``, which `make clean` does not remove."""
    folder = results.resolve()
    return folder.parents[1] / "annotations" / f"{folder.name}.sqlite"
