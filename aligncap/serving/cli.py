"""The ``aligncap`` command with its subcommands."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from aligncap import __version__
from aligncap.errors import AlignCapError
from aligncap.serving.commands.annotate import annotate
from aligncap.serving.commands.caption import caption
from aligncap.serving.commands.doctor import doctor
from aligncap.serving.commands.explain import explain
from aligncap.serving.commands.parse import parse
from aligncap.serving.commands.plan import plan
from aligncap.serving.commands.score import score
from aligncap.serving.commands.serve import serve
from aligncap.serving.commands.terminal import say
from aligncap.serving.commands.verify import verify

FAILED = 2
COMMANDS = (caption, serve, annotate, parse, score, explain, verify, plan, doctor)

app = typer.Typer(
    name="aligncap",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _help(command: Callable[..., None]) -> str:
    """Return the docstring as help text: paragraphs as wide as the terminal, examples line by line."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(f"\b\n{p}" if p.startswith("Examples:") else " ".join(p.split()) for p in paragraphs)


for command in COMMANDS:
    app.command(help=_help(command))(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"aligncap {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Speech in, one sentence out that says how it sounds.

    aligncap COMMAND --help has examples; aligncap --install-completion completes commands and options in your shell.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 for success; 1 where a part failed; 2 where nothing could be done; 130 where interrupted.
    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="aligncap")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except AlignCapError as error:
        say(" ".join(str(error).split()))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
