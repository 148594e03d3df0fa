"""The command ``aligncap plan``."""

from __future__ import annotations

from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from aligncap.planning.assumptions import CARDS, PEAKS, Assumptions, Card, meanings
from aligncap.serving.commands.terminal import (
    JsonOption,
    ModelsOption,
    print_json,
    quiet_libraries,
    stdout,
    table,
    taking,
)

GPU = "a100"
ASSUMED, CARD = "What is assumed", "The card"


def _assumed() -> list[tuple[str, Any, Any]]:
    """Return an option for each assumption and for each peak of the card."""
    defaults = {own.name: own.default for own in fields(Assumptions)}
    own = [
        (
            name,
            Annotated[kind, typer.Option(min=0, help=meaning, rich_help_panel=ASSUMED)],
            field(default=defaults[name]),
        )
        for name, (kind, meaning) in meanings().items()
    ]
    peaks = [
        (name, Annotated[float | None, typer.Option(min=0, help=meaning, rich_help_panel=CARD)], field(default=None))
        for name, meaning in PEAKS.items()
    ]
    return [*own, *peaks]


PlanOptions: Any = make_dataclass(
    "PlanOptions",
    [
        (
            "overlays",
            Annotated[
                list[Path] | None,
                typer.Argument(metavar="[OVERLAY...]", help="Merged over config.yaml, as make's CONFIG."),
            ],
            field(default=None),
        ),
        (
            "gpu",
            Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(CARDS)}.", rich_help_panel=CARD)],
            GPU,
        ),
        ("models", ModelsOption, field(default=None)),
        ("as_json", JsonOption, field(default=False)),
        *_assumed(),
    ],
    frozen=True,
)


@taking(PlanOptions)
def plan(options: Any) -> None:
    """Say what an experiment will cost before it is run: memory, FLOPs, GPU hours, disk, judge.

    It is run in the project's folder. Models are built on the meta device, which takes no memory: from config.json in
    models/ where one was fetched, else from the shapes that are published of it. The rest is arithmetic; what it
    assumes is printed below it, and each assumption is an option.

    Exit code: 0, or 2 where the configuration or the shape of a model is not known.

    Examples:
      aligncap plan experiments/paper.yaml
      aligncap plan experiments/paper.yaml experiments/tables.yaml --gpu h100 --clips 200000
      aligncap plan --json | jq .memory_bytes
    """
    from aligncap.errors import ConfigError
    from aligncap.planning.report import described, tables
    from aligncap.planning.setting import Setting
    from aligncap.systems import load

    quiet_libraries()
    if options.gpu not in CARDS:
        raise ConfigError(
            f"--gpu: '{options.gpu}', expected one of {', '.join(CARDS)}; the peaks of another are options"
        )
    given = {name: getattr(options, name) for name in PEAKS}
    card: Card = CARDS[options.gpu]._replace(**{name: value for name, value in given.items() if value is not None})
    assumed = Assumptions(**{own.name: getattr(options, own.name) for own in fields(Assumptions)})
    config = load("config.yaml", *(options.overlays or []))
    found = described(Setting(config, card, assumed, options.models or Path("models")))
    if options.as_json:
        print_json(found)
        return
    console = stdout()
    for shown in tables(found, options.gpu):
        rows = table(*shown.columns, title=shown.title)
        for row in shown.rows:
            rows.add_row(*row)
        console.print(rows)
        console.print()
