"""The command ``aligncap verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aligncap.serving.commands.terminal import JsonOption, ModelsOption, note, print_json, quiet_libraries, say


def verify(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="results/EXPERIMENT of a finished run.")],
    models: ModelsOption = None,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Take the scores of the captions as they are: seconds, no Java.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compute every cell of a finished run's tables again, and compare.

    The captions are scored again, the tables are made again from the scores of single captions with the same seed
    and resamples, and plain means are computed a second time by other code. Each cell that differs is a line: file,
    row, column, what stands there, what was computed. So is each artifact that is missing. Nothing is written.

    Exit code: 0 where all is equal; 1 where a cell differs or cannot be computed; 2 where the folder is no run.

    Examples:
      aligncap verify results/default
      aligncap verify results/people --tables-only
    """
    from aligncap.evaluation.verify.run import verify as recompute
    from aligncap.serving.locations import models_folder

    quiet_libraries()
    found = recompute(results, models_folder(models, results), captions=not tables_only)
    problems = [f"{why}; cannot be verified: {', '.join(whats)}" for why, whats in found.problems.items()]
    if as_json:
        cells = [cell._asdict() for cell in found.different]
        counts = {name: getattr(found, name) for name in ("cells", "tables", "captions")}
        print_json(counts | {"different": cells, "problems": problems})
    else:
        for problem in problems:
            say(problem)
        for file, row, column, stored, recomputed in found.different:
            note(f"{file}: {row}: {column}: {stored!r} stands there, {recomputed!r} is computed")
    if found.different or problems:
        say(f"{results}: {len(found.different)} cells differ, {len(problems)} problems")
        raise typer.Exit(1)
    if not as_json:
        scored = "" if tables_only else f", {found.captions} captions scored again"
        typer.echo(f"{found.cells} cells of {found.tables} tables verified{scored}")
