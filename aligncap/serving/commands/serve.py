"""``aligncap serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aligncap.serving.commands.terminal import DEFAULT_MODEL, HostOption, ModelOption, ModelsOption, quiet_libraries


def serve(
    model: ModelOption = DEFAULT_MODEL,
    compare: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A second checkpoint, whose caption is shown beside it.")
    ] = None,
    models: ModelsOption = None,
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0 takes a free one.")] = 8000,
    megabytes: Annotated[float, typer.Option(metavar="MB", help="Largest upload.")] = 25.0,
    seconds: Annotated[float, typer.Option(metavar="S", help="Longest recording.")] = 60.0,
) -> None:
    """Serve the caption page, and POST /v1/captions for programs.

    On Ctrl-C or SIGTERM every accepted request is finished first. docs/pages.md has the rest.

    Examples:
      aligncap serve --model results/default/checkpoints/kd --compare results/default/checkpoints/sft
      curl -F file=@speech.wav http://127.0.0.1:8000/v1/captions
    """
    from aligncap.serving.web.captions import Limits
    from aligncap.serving.web.captions import serve as run

    quiet_libraries()
    run(model, compare, models, host, port, Limits(megabytes=megabytes, seconds=seconds))
