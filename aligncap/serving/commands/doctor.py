"""The command ``aligncap doctor``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from aligncap.serving.commands.terminal import JsonOption, ModelsOption, print_json, stdout, table

COLOURS = {"ok": "green", "note": "yellow", "fail": "red"}


def doctor(
    models: ModelsOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not compute the sha256 of the base models.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check what works on this machine, and say how to repair what does not.

    It checks Python, packages, torch with GPU and bf16, Java, audio decoding, the parser, disk and base models, and
    changes nothing.

    Exit code: 0; 1 where something fails that the captioner or the pipeline cannot do without.

    Examples:
      aligncap doctor
      aligncap doctor --quick --json
    """
    from aligncap.serving.doctor import examine

    checks = list(examine(models, quick))
    if as_json:
        print_json([{"name": name, **finding._asdict()} for name, finding in checks])
    else:
        rows = table("", "what", "found", "what to do")
        for name, (state, *told) in checks:
            rows.add_row(Text(state, COLOURS[state]), *map(Text, (name, *told)))
        stdout().print(rows)
    if any(finding.state == "fail" for _, finding in checks):
        raise typer.Exit(1)
