"""The report: one self-contained page with the table, its intervals, training curves, examples and provenance."""

from __future__ import annotations

import csv
import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.clues import canonical
from aligncap.config import Report, plain_name
from aligncap.errors import ArtifactError
from aligncap.evaluation import drawing, figures, tables

logger = logging.getLogger(__name__)

IN_RESULTS = "table1"  # the zero-shot results, which have sections of their own
FIGURE_TITLES = {
    "figure1": "Figure 1: hallucinations, and in-domain against zero-shot",
    "figure2": "Figure 2: alignment methods",
    "figure3": "Figure 3: speech and text input, before and after LLM decoding (t-SNE)",
}
CHARTED = ("emotion_agreement_macro", "factuality_hallucination", "similarity")
SHOWN_PACKAGES = ("torch", "transformers", "peft", "faster-whisper", "sentence-transformers", "spacy", "pycocoevalcap")


@dataclass(frozen=True)
class ReportInputs:
    """Every file that the report reads.

    Attributes:
        table: the zero-shot ``table`` artifact.
        snapshot: run.json.
        evaluations: (system, test corpus) -> ``evaluation`` artifact.
        references: test corpus -> ``labels`` artifact.
        transcripts: test corpus -> ``transcripts``.
        predicted: test corpus -> predicted ``clues``.
        training: stage or system -> ``training`` log.
        out_of_fold: the tagger's out-of-fold predictions; None where no system has a tagger.
        pairs: name -> ``preference_pairs``.
        benchmarks: Snakemake's benchmark files; those that are missing are left out.
        synthetic: test corpora that are computer-made speech.
        tables: table1 … table4 -> ``table`` artifact, those that the experiment has.
        tests: likewise -> ``differences``.
        figures: figure1 … figure3 -> SVG, those that the experiment has.
        claims: the ``claims`` artifact; None where the experiment lacks the systems.
    """

    table: Path
    snapshot: Path
    evaluations: Mapping[tuple[str, str], Path]
    references: Mapping[str, Path]
    transcripts: Mapping[str, Path]
    predicted: Mapping[str, Path]
    training: Mapping[str, Path] = field(default_factory=dict)
    out_of_fold: Path | None = None
    pairs: Mapping[str, Path] = field(default_factory=dict)
    benchmarks: Sequence[Path] = ()
    synthetic: Sequence[str] = ()
    tables: Mapping[str, Path] = field(default_factory=dict)
    tests: Mapping[str, Path] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)
    claims: Path | None = None


def write_report(settings: Report, inputs: ReportInputs, out: Path) -> None:
    """Write the page; it loads nothing from elsewhere.

    Args:
        settings: number of examples a corpus.
        inputs: the files.
        out: the HTML file.

    Raises:
        ArtifactError: an input is missing or of another schema.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("aligncap.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows, notes = artifacts.read_rows(inputs.table, "table"), artifacts.read_notes(inputs.table, "table")
    run = _read_snapshot(inputs.snapshot)
    page = environment.get_template("report.html.j2").render(
        experiment=run["config"].get("experiment", out.parent.name),
        synthetic=list(inputs.synthetic),
        corpora=[
            _corpus(settings, inputs, corpus, systems, notes) for corpus, systems in tables.by_corpus(rows).items()
        ],
        claims=tables.claims_in_words(artifacts.read_rows(inputs.claims, "claims")) if inputs.claims else {},
        claim_headings=tables.CLAIM_HEADINGS,
        tables=[_table(name, path, inputs.tests[name]) for name, path in inputs.tables.items() if name != IN_RESULTS],
        tests=_tests(inputs.tests[IN_RESULTS]) if IN_RESULTS in inputs.tests else {},
        drawings=[
            {"name": name, "title": FIGURE_TITLES[name], "svg": drawing.inline(path)}
            for name, path in inputs.figures.items()
        ],
        training={name: figures.training_chart(name, log) for name, log in _training(inputs).items()},
        tagger=_tagger(inputs.out_of_fold),
        pairs={name: _pairs(path) for name, path in inputs.pairs.items()},
        stages=stage_seconds(inputs.benchmarks),
        run=run,
        packages={name: run["packages"][name] for name in SHOWN_PACKAGES if name in run["packages"]},
        config=json.dumps(run["config"], indent=2, ensure_ascii=False),
    )
    artifacts.write_text(page, out)


def _read_snapshot(path: Path) -> dict[str, Any]:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable snapshot ({error}); run the rule 'snapshot' again") from error


def _training(inputs: ReportInputs) -> dict[str, list[dict[str, Any]]]:
    logs = {name: artifacts.read_rows(path, "training") for name, path in inputs.training.items()}
    return {name: log for name, log in logs.items() if log}


def _corpus(
    settings: Report, inputs: ReportInputs, corpus: str, systems: Mapping[str, Any], notes: Mapping[str, Any]
) -> dict[str, Any]:
    columns = tables.present_columns(systems)
    charted = [metric for metric in CHARTED if metric in columns]
    return {
        "name": corpus,
        "mark": notes["marks"].get(corpus, ""),
        **_grid(corpus, systems, notes, columns),
        "chart": figures.interval_chart(corpus, systems, charted) if charted else "",
        "examples": _examples(settings.examples, inputs, corpus) if corpus in inputs.references else [],
    }


def _grid(corpus: str, systems: Mapping[str, Any], notes: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Headings, lines and notes of one corpus's table."""
    best = {metric: tables.best_value(systems, metric) for metric in columns}
    lines = []
    for system, own in systems.items():
        cells = [
            {"text": tables.value_text(own.get(m)), "interval": tables.interval_text(own.get(m), m), "best": False}
            for m in columns
        ]
        for cell, metric in zip(cells, columns, strict=True):
            cell["best"] = metric in own and own[metric]["value"] == best[metric]
        lines.append({"system": system, "mark": tables.mark_of(notes, system, corpus), "cells": cells})
    return {
        "columns": [tables.heading(metric) for metric in columns],
        "lines": lines,
        "notes": tables.footnotes(notes, corpus, list(systems), columns),
    }


def _table(name: str, path: Path, tests: Path) -> dict[str, Any]:
    """One of tables 2 to 4: a grid and the paired differences of each corpus."""
    rows, notes = artifacts.read_rows(path, "table"), artifacts.read_notes(path, "table")
    differences = _tests(tests)
    parts = []
    for corpus, systems in tables.by_corpus(rows).items():
        columns = tables.present_columns(systems, tables.METRICS[name])
        grid = _grid(corpus, systems, notes, columns)
        parts.append({"corpus": corpus, "tests": differences.get(corpus, []), **grid})
    return {"name": name, "title": f"Table {name[-1]}: {tables.TITLES[name].lower()}", "parts": parts}


def _tests(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Corpus -> paired differences in words."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in artifacts.read_rows(path, "differences"):
        found[row["corpus"]].append(row | {"metric": tables.COLUMNS[row["metric"]][0]})
    return dict(found)


def pick_examples(labels: Mapping[str, str | None], count: int) -> list[str]:
    """``count`` utterance ids, as many of each label as can be, spread evenly over the corpus; the same every time."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for name, label in labels.items():
        by_label[label or ""].append(name)
    queues = []
    share = -(-count // max(1, len(by_label)))
    for label in sorted(by_label):
        names = by_label[label]
        step = max(1, len(names) // share)
        queues.append([*names[::step], *(n for i, n in enumerate(names) if i % step)])
    picked: list[str] = []
    while len(picked) < count and any(queues):
        picked += [queue.pop(0) for queue in queues if queue]
    return picked[:count]


def _examples(count: int, inputs: ReportInputs, corpus: str) -> list[dict[str, Any]]:
    references = {r["utterance_id"]: r for r in artifacts.read_rows(inputs.references[corpus], "labels")}
    said = {r["utterance_id"]: r for r in artifacts.read_rows(inputs.transcripts[corpus], "transcripts")}
    clues = {r["utterance_id"]: r["clues"] for r in artifacts.read_rows(inputs.predicted[corpus], "clues")}
    spoken = {
        system: {r["utterance_id"]: r for r in artifacts.read_rows(path, "evaluation")}
        for (system, name), path in inputs.evaluations.items()
        if name == corpus and system == plain_name(system)
    }
    labels = {name: row["label"] for name, row in next(iter(spoken.values())).items()} if spoken else {}
    return [
        {
            "id": name,
            "label": labels[name],
            "references": references[name]["captions"],
            "transcript": said[name]["transcript"] if name in said else "",
            "clues": [f"{c['kind']}: {c['lemma']} ({c['probability']:.0%})" for c in clues.get(name, [])],
            "captions": [
                {
                    "system": system,
                    "caption": rows[name]["caption"],
                    "dominant": rows[name]["dominant"],
                    "right": rows[name]["dominant"] is not None and rows[name]["dominant"] == canonical(labels[name]),
                    "flags": rows[name]["flags"],
                }
                for system, rows in spoken.items()
                if name in rows
            ],
        }
        for name in pick_examples(labels, count)
    ]


def _tagger(path: Path | None) -> list[dict[str, Any]]:
    """Out-of-fold accuracy and macro recall of each clue kind in each training corpus, beside the majority share."""
    if path is None:
        return []
    hits: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in artifacts.read_rows(path, "tagger_predictions"):
        if row["target"] and row["probabilities"]:
            best = max(range(len(row["labels"])), key=row["probabilities"].__getitem__)
            hits[row["corpus"], row["kind"]].append((row["target"], row["labels"][best]))
    lines = []
    for (corpus, kind), found in sorted(hits.items()):
        classes = sorted({target for target, _ in found})
        recalls = [sum(t == p for t, p in found if t == c) / sum(t == c for t, _ in found) for c in classes]
        lines.append(
            {
                "corpus": corpus,
                "kind": kind,
                "n": len(found),
                "accuracy": sum(target == said for target, said in found) / len(found),
                "macro": sum(recalls) / len(recalls),
                "majority": max(sum(target == c for target, _ in found) for c in classes) / len(found),
            }
        )
    return lines


def _pairs(path: Path) -> dict[str, Any]:
    rows = artifacts.read_rows(path, "preference_pairs")
    judged = [row["margin"] for row in rows if "#swap" not in row["rejected_id"]]
    return {
        "pairs": len(rows),
        "utterances": len({(row["corpus"], row["utterance_id"]) for row in rows}),
        "factuality": sum(row["kind"] == "factuality" for row in rows),
        "faithfulness": sum(row["kind"] == "faithfulness" for row in rows),
        "swaps": len(rows) - len(judged),
        "dev": sum(row["role"] == "dev" for row in rows),
        "margin": sum(judged) / len(judged) if judged else None,
    }


def stage_seconds(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Rule, what for, seconds and peak memory (MB) of each ``benchmarks/{rule}/….tsv``, slowest first."""
    stages = []
    for path in paths:
        if not Path(path).is_file():
            continue
        with Path(path).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if not rows:
            continue
        parts = Path(path).with_suffix("").parts
        start = parts.index("benchmarks") + 1 if "benchmarks" in parts else len(parts) - 2
        memory = rows[-1].get("max_rss", "-")
        stages.append(
            {
                "rule": parts[start],
                "of": "/".join(parts[start + 1 :]),
                "seconds": float(rows[-1]["s"]),
                "memory": float(memory) if memory not in ("", "-", "NA") else None,
            }
        )
    return sorted(stages, key=lambda stage: -stage["seconds"])
