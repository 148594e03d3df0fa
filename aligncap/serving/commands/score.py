"""The command ``aligncap score``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aligncap.serving.commands.terminal import JsonOption, note, print_json, quiet_libraries, stdout, table, taking

if TYPE_CHECKING:
    from aligncap.serving.scoring import Scores


@dataclass(frozen=True)
class ScoreOptions:
    """Options of ``aligncap score``."""

    captions: Annotated[
        list[Path], typer.Argument(metavar="CAPTIONS...", help="One or more tables: .csv, .tsv, .jsonl or .parquet.")
    ]
    references: Annotated[Path, typer.Option("--references", "-r", metavar="TABLE", help="What people said.")]
    id_column: Annotated[str | None, typer.Option(metavar="NAME", help="Id in the captions' tables.")] = None
    caption_column: Annotated[str | None, typer.Option(metavar="NAME", help="Caption in them.")] = None
    reference_id_column: Annotated[str | None, typer.Option(metavar="NAME", help="Id in the references.")] = None
    reference_column: Annotated[str | None, typer.Option(metavar="NAME", help="Caption or list in them.")] = None
    meteor: Annotated[bool, typer.Option(help="METEOR needs Java.")] = True
    spice: Annotated[str, typer.Option(metavar="off|auto|require", help="SPICE needs Java 8-11 and a download.")] = (
        "off"
    )
    partial: Annotated[bool, typer.Option("--partial", help="Score what is there, if captions are missing.")] = False
    resamples: Annotated[int, typer.Option(min=1, help="Of the bootstrap.")] = 1000
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0
    sentence_encoder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For similarity (default: the one in models/).")
    ] = None
    items: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Also write every utterance's metrics and flags.")
    ] = None
    per_clue: Annotated[
        bool, typer.Option("--per-clue", help="Also check every assertion by itself: a table by kind of clue.")
    ] = False
    as_json: JsonOption = False


@taking(ScoreOptions)
def score(options: ScoreOptions) -> None:
    """Score any captions against any references.

    No trained model is needed. Ids come from a column utterance_id, id, path …; for a path the id is the file's name
    without extension, or the path below the common folder where names are not unique. Columns emotion, intensity,
    level, pitch, rate, timbre and transcript of the references are used where they exist: captions that contradict them
    are factuality hallucinations (timbre counts with --per-clue only). Chinese, Japanese and Korean captions are
    compared by character. Metrics that are unavailable here are named before the work starts; those and what cannot
    read the captions' language are absent, never 0.

    Exit code: 0, or 2 where the tables cannot be read or do not fit.

    Examples:
      aligncap score captions.csv -r references.jsonl
      aligncap score kd.parquet sft.parquet -r references.parquet --json
      aligncap score kd.parquet -r references.parquet --per-clue
      aligncap score output.jsonl -r refs.csv --caption-column text --reference-column human --items items.jsonl
    """
    from aligncap.artifacts import write_text
    from aligncap.config import Evaluation
    from aligncap.errors import ConfigError
    from aligncap.serving.score_tables import Columns
    from aligncap.serving.scoring import say_what_is_missing, score_captions

    spice = options.spice
    if spice not in ("off", "auto", "require"):
        raise ConfigError(f"--spice: '{spice}', expected off, auto or require")
    for line in say_what_is_missing(options.meteor, spice):  # type: ignore[arg-type]
        note(line)
    quiet_libraries()
    evaluation = Evaluation(
        meteor=options.meteor,
        spice=spice,
        bootstrap=options.resamples,
        seed=options.seed,
    )
    names = _names(options.captions)
    found = {
        name: score_captions(
            path,
            options.references,
            caption_columns=Columns(options.id_column, options.caption_column),
            reference_columns=Columns(options.reference_id_column, options.reference_column),
            evaluation=evaluation,
            partial=options.partial,
            sentence_encoder=options.sentence_encoder,
        )
        for name, path in zip(names, options.captions, strict=True)
    }
    if options.items is not None:
        rows = [{"captions": name, **item} for name, scores in found.items() for item in scores.items]
        write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), options.items)
    if options.as_json:
        print_json({name: _as_json(scores, options.per_clue) for name, scores in found.items()})
        return
    _show(found)
    if options.per_clue:
        _show_assertions(found)


def _names(paths: list[Path]) -> list[str]:
    """Return short names of the tables: the files' names, or whole paths where two names are equal."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _as_json(scores: Scores, per_clue: bool) -> dict[str, Any]:
    own = {"figures": scores.figures, "unavailable": scores.unavailable}
    if not per_clue:
        return own
    every = [{"utterance_id": item["utterance_id"], **a} for item in scores.items for a in item["assertions"]]
    return {**own, "by_kind": scores.by_kind, "assertions": every}


def _show_assertions(found: dict[str, Scores]) -> None:
    from aligncap.evaluation.tables.assertions import EXPLAINED, HEADINGS, by_kind

    console = stdout()
    rows = table("kind", "captions", *(f">{name}" for name in HEADINGS), title="assertions [95 % interval]")
    every = [{"system": name, "corpus": "", **row} for name, scores in found.items() for row in scores.by_kind]
    for lines in by_kind(every).values():
        for kind, name, cells in lines:
            (asserted, _), precision, *others = cells  # all intervals would not fit a terminal; --json has them
            rows.add_row(kind, name, asserted, " ".join(filter(None, precision)), *(text for text, _ in others))
    console.print(rows)
    for line in EXPLAINED:
        console.print(line)


def _show(found: dict[str, Scores]) -> None:
    from aligncap.evaluation.wording import worded

    console = stdout()
    rows = table("metric", *(f">{name}" for name in found), ">n", title="value [95 % interval]")
    every = dict.fromkeys(metric for scores in found.values() for metric in scores.figures)
    for metric in every:
        figures = [scores.figures.get(metric) for scores in found.values()]
        ns = dict.fromkeys(str(figure["n"]) for figure in figures if figure)
        rows.add_row(metric, *(worded(figure, 3) for figure in figures), "/".join(ns))
    console.print(rows)
    for reason, metrics in _reasons(found).items():
        console.print(f"absent: {', '.join(metrics)}: {reason}")


def _reasons(found: dict[str, Scores]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for scores in found.values():
        for metric, reason in scores.unavailable.items():
            if metric not in reasons.setdefault(reason, []):
                reasons[reason].append(metric)
    return reasons
