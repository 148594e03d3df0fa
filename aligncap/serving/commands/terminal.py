"""Terminal output and options that the subcommands share."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from aligncap.config import Doubt

Options = TypeVar("Options")
WIDTH = 120  # width of tables where stdout is no terminal

ModelOption = Annotated[
    Path,
    typer.Option(
        "--model",
        metavar="DIR",
        help="Checkpoint, such as results/EXPERIMENT/checkpoints/SYSTEM.",
    ),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", metavar="DIR", help="Base models (default: ALIGNCAP_MODELS, or models/ nearby)."),
]
HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Anything but loopback is reachable by others, without a password.")
]
DoubtOption = Annotated[
    Literal["say", "hedge", "omit"],
    typer.Option(help="An emotion in doubt: say it all the same, put 'perhaps' before it, or leave it out."),
]
DoubtBelowOption = Annotated[
    float | None,
    typer.Option(metavar="P", min=0.01, max=1, help="What is less probable is in doubt (default: 0.5)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout instead of tables.")]


def doubt_of(way: Literal["say", "hedge", "omit"], below: float | None) -> Doubt:
    """Return the section ``decoding.doubt`` that the two options give; a bound of None is the configuration's."""
    from aligncap.config import Doubt

    return Doubt(way=way) if below is None else Doubt(way=way, below=below)


def taking(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Make a command from a function of one object: each field of the dataclass is an option of the command."""

    def command_of(function: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            function(options(**given))

        hints = get_type_hints(options, include_extras=True)
        own = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in fields(options)  # type: ignore[arg-type]
        ]
        command.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
        command.__annotations__ = hints
        return command

    return command_of


def stdout() -> Console:
    """Return the console for results, which is wide enough for tables where it is a pipe."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False, soft_wrap=False)


def note(message: str) -> None:
    """Print one line for the user on stderr."""
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(message)


def say(problem: str) -> None:
    """Print one line about a problem on stderr."""
    note(f"aligncap: {problem}")


def quiet_libraries() -> None:
    """Silence bars, reports and deprecation warnings of the model libraries on stderr; errors stay."""
    import warnings

    from transformers.utils import logging

    warnings.simplefilter("ignore", FutureWarning)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def print_json(value: Any) -> None:
    """Print indented JSON on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table in the common style; columns whose name begins with '>' are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    return made
