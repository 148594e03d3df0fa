"""The command ``aligncap serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aligncap.errors import ConfigError
from aligncap.serving.commands.terminal import HostOption, ModelOption, ModelsOption, quiet_libraries
from aligncap.serving.locations import PRETRAINED

BASELINE = "sft"


def serve(
    model: ModelOption = PRETRAINED,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A second checkpoint, whose caption is shown too (default: sft beside DIR)."),
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="No second checkpoint: a second LLM needs memory.")] = False,
    models: ModelsOption = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0 takes a free one.")] = 8000,
    megabytes: Annotated[float, typer.Option(metavar="MB", help="Largest upload.")] = 25.0,
    seconds: Annotated[float, typer.Option(metavar="S", help="Longest recording.")] = 60.0,
) -> None:
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

    if alone and compare is not None:
        raise ConfigError(f"--alone and --compare {compare}: give one of them")
    if compare is None and not alone:
        compare = _beside(model)
    quiet_libraries()
    run(model, compare, models, host, port, Limits(megabytes=megabytes, seconds=seconds))


def _beside(model: Path) -> Path | None:
    """Return the plain fine-tuned captioner of the same experiment, with which others are compared."""
    folder = model.resolve().parent / BASELINE
    return folder if folder.is_dir() and folder != model.resolve() else None
