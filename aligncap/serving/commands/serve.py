"""The command ``aligncap serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from aligncap.errors import ConfigError
from aligncap.serving.commands.terminal import (
    DoubtBelowOption,
    DoubtOption,
    HostOption,
    ModelOption,
    ModelsOption,
    doubt_of,
    quiet_libraries,
    taking,
)
from aligncap.serving.locations import PRETRAINED

BASELINE = "sft"


@dataclass(frozen=True)
class ServeOptions:
    """Options of ``aligncap serve``."""

    model: ModelOption = PRETRAINED
    compare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A second checkpoint, whose caption is shown too (default: sft beside DIR)."),
    ] = None
    alone: Annotated[bool, typer.Option("--alone", help="No second checkpoint: a second LLM needs memory.")] = False
    models: ModelsOption = None
    host: HostOption = "127.0.0.1"
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8000
    megabytes: Annotated[float, typer.Option(metavar="MB", help="Largest upload.")] = 25.0
    seconds: Annotated[float, typer.Option(metavar="S", help="Longest recording.")] = 60.0
    doubt: DoubtOption = "say"
    doubt_below: DoubtBelowOption = None


@taking(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Serve the caption page, and POST /v1/captions for programs.

    The page can show a second caption for comparison, from --compare or else from the checkpoint sft beside the main
    one. On Ctrl-C or SIGTERM every accepted request is finished first. docs/pages.md has the details.

    Examples:
      aligncap serve --model results/default/checkpoints/kd
      aligncap serve --model results/default/checkpoints/aligncap --compare results/default/checkpoints/kd
      curl -F file=@speech.wav http://127.0.0.1:8000/v1/captions
    """
    from aligncap.serving.web.captions import Limits
    from aligncap.serving.web.captions import serve as run

    compare = options.compare
    if options.alone and compare is not None:
        raise ConfigError(f"--alone and --compare {compare}: give one of them")
    if compare is None and not options.alone:
        compare = _beside(options.model)
    doubt = doubt_of(options.doubt, options.doubt_below)
    limits = Limits(megabytes=options.megabytes, seconds=options.seconds)
    quiet_libraries()
    run(options.model, compare, options.models, options.host, options.port, limits, doubt)


def _beside(model: Path) -> Path | None:
    """Return the plain fine-tuned captioner of the same experiment, with which others are compared."""
    folder = model.resolve().parent / BASELINE
    return folder if folder.is_dir() and folder != model.resolve() else None
