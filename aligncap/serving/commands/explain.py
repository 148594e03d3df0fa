"""The command ``aligncap explain``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from aligncap.serving.commands.terminal import JsonOption, print_json, stdout, table

Found = dict[str, Any]
PRIMARY = ("emotion_agreement", "factuality_hallucination", "faithfulness_hallucination", "similarity")


def explain(
    utterance: Annotated[str, typer.Argument(metavar="UTTERANCE", help="Its id, or corpus/id.")],
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="results/EXPERIMENT.")] = Path(
        "results/default"
    ),
    corpus: Annotated[str | None, typer.Option(metavar="NAME", help="Where several corpora have the id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print all data of a pipeline run about one utterance.

    The data are audio, transcript, gold and predicted clues with the probability of every tag, both prompts,
    references, every system's caption with its metrics and hallucination flags, the judges' scores, candidates and
    preference pairs.

    Exit code: 0, or 2 where there is no such utterance.

    Examples:
      aligncap explain de_0007
      aligncap explain nemo/SB0 --results results/loco_nemo --json
    """
    from aligncap.serving.explain import explain as gather

    found = gather(results, utterance, corpus)
    if as_json:
        print_json(found)
        return
    console = stdout()
    for part in _parts(found):
        console.print(part)


def _parts(found: Found) -> Iterator[RenderableType]:
    audio = found["audio"]
    yield Text(f"{found['corpus']}/{found['utterance_id']} in {found['experiment']}", style="bold")
    facts = {
        "audio": f"{audio['audio_path']}, {audio['duration_s']:.2f} s, {audio['sample_rate']} Hz",
        "speaker": audio["speaker"],
        "session": audio["session"],
        "language": audio["language"],
        "role": ", ".join([audio["split"], *([found["plan"]["role"]] if "plan" in found else [])]),
    }
    if said := found.get("transcript"):
        facts["transcript"] = f"{said['transcript']} ({said['source']}, {said['language']})"
    for name in ("prosody", "timbre"):
        measured = {k: v for k, v in found.get(name, {}).items() if k != "utterance_id" and v is not None}
        facts[name] = ", ".join(f"{key} {_short(value)}" for key, value in measured.items())
    labels = {k: v for k, v in found.get("references", {}).items() if k not in ("utterance_id", "captions") and v}
    facts["labels"] = ", ".join(f"{key} {value}" for key, value in labels.items())
    for number, text in enumerate(found.get("references", {}).get("captions", []), start=1):
        facts[f"reference {number}"] = text
    rows = table("", "")
    rows.show_header = False
    for key, value in facts.items():
        if value:
            rows.add_row(Text(key), Text(str(value)))
    yield rows
    yield from _clues(found)
    yield from _said(found)
    yield from _preferences(found)


def _clues(found: Found) -> Iterator[RenderableType]:
    for kind in ("gold", "predicted"):
        own = found["clues"].get(kind)
        if not own:
            continue
        yield Text(f"\n{kind} clues", style="bold")
        rows = table("kind", "value", "words", "intensity", "negated", ">probability")
        for clue in own["clues"]:
            denied = "yes" if clue["negated"] else ""
            cells = [clue["kind"], clue["lemma"], clue["word"], clue["intensity"], denied, f"{clue['probability']:.2f}"]
            rows.add_row(*map(Text, cells))
        yield rows
        yield Text(f"acoustic prompt: {own['p_act'] or '(empty)'}")
        yield Text(f"semantic prompt: {own.get('p_sem', '(tokenizer not there)')} [{len(own['p_sem_ids'])} tokens]")
    if probabilities := found.get("probabilities"):
        yield Text(f"\nprobabilities of the tagger ({found['probabilities_from']})", style="bold")
        rows = table("kind", "tags")
        for kind, tags in probabilities.items():
            ranked = sorted(tags.items(), key=lambda tag: -tag[1])
            rows.add_row(Text(kind), Text(", ".join(f"{tag} {p:.2f}" for tag, p in ranked)))
        yield rows


def _said(found: Found) -> Iterator[RenderableType]:
    for row in found.get("captions", []):
        yield Text(f"\n{row['system']}: {row['caption']}" + ("" if row.get("finished", True) else " (broke off)"))
        metrics = row.get("metrics", {})
        shown = [name for name in PRIMARY if name in metrics] + [name for name in metrics if name not in PRIMARY]
        if shown:
            yield Text("  " + ", ".join(f"{name} {_short(metrics[name])}" for name in shown), style="dim")
        for flag in row.get("flags", []):
            yield Text(f"  hallucination: {flag}", style="red")
        if heard := row.get("second_opinion"):
            yield Text(
                f"  second instrument: {heard['dominant'] or 'unsure'} ({heard['probability']:.2f})", style="dim"
            )
        for judged in row.get("judged", []):
            yield Text(f"  {_judged(judged)}", style="dim")


def _judged(row: Found) -> str:
    scores = ", ".join(f"{k} {_short(row[k])}" for k in ("factuality", "faithfulness", "overall"))
    return f"judge {row['judge']}: {scores}" + (f" ({row['rationale']})" if row.get("rationale") else "")


def _preferences(found: Found) -> Iterator[RenderableType]:
    if candidates := found.get("candidates"):
        yield Text("\ncandidates", style="bold")
        for row in candidates:
            yield Text(f"{row['system']} {row['candidate_id']}: {row['caption']}  (log p {row['sum_logprob']:.1f})")
            for score in row["scores"]:
                yield Text(f"  {_judged(score)}", style="dim")
    if pairs := found.get("pairs"):
        yield Text("\npreference pairs", style="bold")
        rows = table("system", "kind", "chosen", "rejected", ">margin", "role")
        for row in pairs:
            cells = [
                row["system"],
                row["kind"],
                row["chosen_id"],
                row["rejected_id"],
                _short(row["margin"]),
                row["role"],
            ]
            rows.add_row(*map(Text, cells))
        yield rows


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "unscored" if value is None else str(value)
