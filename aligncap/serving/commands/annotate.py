"""The command ``aligncap annotate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from aligncap.serving.commands.terminal import HostOption, note, taking


@dataclass(frozen=True)
class AnnotateOptions:
    """Options of ``aligncap annotate``."""

    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="results/EXPERIMENT.")] = Path(
        "results/default"
    )
    system: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Twice: systems whose test captions are compared.")
    ] = None
    candidates: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead: a system's candidates of training utterances.")
    ] = None
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these test corpora.")] = None
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="SQLite file (default: annotations/EXPERIMENT.sqlite).")
    ] = None
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Ask only the first N questions.")] = None
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write win rate and agreement (Parquet, Markdown); serve nothing."),
    ] = None
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what the judge 'human' reads (JSONL); serve nothing.")
    ] = None
    host: HostOption = "127.0.0.1"
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8001


@taking(AnnotateOptions)
def annotate(options: AnnotateOptions) -> None:
    """Ask people, blind, which of two captions fits a recording better.

    Examples:
      aligncap annotate --system kd --system aligncap
      aligncap annotate --system kd --system aligncap --summary annotations/kd_aligncap.parquet
      aligncap annotate --candidates kd
      aligncap annotate --candidates kd --export annotations/default.preferences.jsonl
    """
    from aligncap.serving.web import annotation, outcomes, server
    from aligncap.serving.web.answers import Answers

    results, summary, export = options.results, options.summary, options.export
    file = options.answers or annotation.default_answers(results)
    if export is not None:
        note(f"{outcomes.export_preferences(results, file, export)} answers in {export}")
        if summary is None:
            return
    tasks = annotation.load_tasks(
        results, options.system or [], options.candidates, options.corpus or [], options.limit
    )
    if summary is not None:
        rows = outcomes.write_summary(tasks, file, summary)
        note(f"{len(rows)} measures in {summary} and {summary.with_suffix('.md')}")
        return
    note(f"{len(tasks.asked)} questions, answers go to {file}; Ctrl-C ends the page, the same command goes on")
    server.run(annotation.annotation_app(tasks, Answers(file), options.host), options.host, options.port)
