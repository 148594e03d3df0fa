"""The command ``aligncap explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aligncap.serving.commands.terminal import JsonOption, print_json


def explain(
    utterance: Annotated[str, typer.Argument(metavar="UTTERANCE", help="Its id, or corpus/id.")],
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="results/EXPERIMENT.")] = Path(
        "results/default"
    ),
    corpus: Annotated[str | None, typer.Option(metavar="NAME", help="Where several corpora have the id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print all data of a pipeline run about one utterance, as YAML.

    The data are its rows in every Parquet file of the run: recording, references, transcript, clues with their
    probabilities and the acoustic prompt, every system's caption with its metrics and hallucination flags, candidates
    with the judges' scores, and preference pairs.

    Exit code: 0, or 2 where there is no such utterance.

    Examples:
      aligncap explain de_0007
      aligncap explain nemo/SB0 --results results/loco_nemo --json
    """
    import yaml

    from aligncap.serving.explain import explain as gather

    found = gather(results, utterance, corpus)
    if as_json:
        print_json(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110), nl=False)
