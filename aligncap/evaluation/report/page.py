"""The report page, assembled by a template from grids, charts, figures and examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.config import Report
from aligncap.errors import ArtifactError
from aligncap.evaluation.figures import charts as figures
from aligncap.evaluation.figures import drawing
from aligncap.evaluation.report.examples import corpus_examples
from aligncap.evaluation.report.grids import (
    assertion_grids,
    claim_grids,
    difference_grids,
    reliance_grids,
    system_grids,
)
from aligncap.evaluation.report.inputs import ReportInputs
from aligncap.evaluation.report.sources import Sources
from aligncap.evaluation.tables import columns
from aligncap.tracking.store import runs_by_file

IN_RESULTS = "table1"  # the zero-shot results, which have separate sections
FIGURE_TITLES = {
    "figure1": "Figure 1: hallucinations, and dev clips in-domain against the test corpora",
    "figure2": "Figure 2: alignment methods",
    "figure3": "Figure 3: speech and text input, before and after LLM decoding (t-SNE)",
    "figure4": "Figure 4: selective captioning, hallucination against the share of clips captioned",
}
SHOWN_PACKAGES = ("torch", "transformers", "peft", "faster-whisper", "sentence-transformers", "spacy", "pycocoevalcap")


def environment() -> Any:
    """Return the templates of the page (Jinja), in which every value is text and never HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("aligncap.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_report(settings: Report, inputs: ReportInputs, out: Path) -> None:
    """Write the page, which loads nothing from other addresses.

    Args:
        settings: Number of examples per corpus, and whether the page holds their recordings.
        inputs: Files that the report reads.
        out: HTML file; links to files are relative to it.

    Raises:
        ArtifactError: An input is missing or of another schema.
    """
    sources = Sources(out, runs_by_file())
    run = _read_snapshot(inputs.snapshot)
    template = environment().get_template("report.html.j2")
    page = template.render(
        experiment=run["config"].get("experiment", out.parent.name),
        synthetic=list(inputs.synthetic),
        claims=claim_grids(inputs.claims, sources),
        zero_shot=_results(inputs, sources),
        tables=[_table(name, inputs, sources) for name in inputs.tables if name != IN_RESULTS],
        reliance=reliance_grids(inputs.reliance, sources),
        assertions=assertion_grids(inputs.assertions, sources),
        drawings=[_drawing(name, path, sources) for name, path in inputs.figures.items()],
        browser=[corpus_examples(settings, inputs, corpus, sources) for corpus in inputs.references],
        training=_training(inputs, sources),
        run=run,
        packages={name: run["packages"][name] for name in SHOWN_PACKAGES if name in run["packages"]},
        config=json.dumps(run["config"], indent=2, ensure_ascii=False),
        snapshot=sources.of(inputs.snapshot, "snapshot"),
        known=sources.known(),
    )
    artifacts.write_text(page, out)


def _read_snapshot(path: Path) -> dict[str, Any]:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable snapshot ({error}); run the rule 'snapshot' again") from error


def _results(inputs: ReportInputs, sources: Sources) -> list[dict[str, Any]]:
    """Return table 1 by corpus: grid and paired differences."""
    marks = artifacts.read_notes(inputs.table, "table")["marks"]
    grids = system_grids("Results on the test corpora", inputs.table, inputs, sources, columns.ZERO_SHOT)
    tests = difference_grids(inputs.tests[IN_RESULTS], sources) if IN_RESULTS in inputs.tests else {}
    return [
        {"corpus": corpus, "mark": marks.get(corpus, ""), "grid": grid, "tests": tests.get(corpus)}
        for corpus, grid in grids.items()
    ]


def _table(name: str, inputs: ReportInputs, sources: Sources) -> dict[str, Any]:
    """Return one of tables 2 to 4, with a grid and the paired differences of each corpus."""
    title = f"Table {name[-1]}: {columns.TITLES[name].lower()}"
    grids = system_grids(title, inputs.tables[name], inputs, sources, columns.METRICS[name])
    tests = difference_grids(inputs.tests[name], sources)
    parts = [{"corpus": corpus, "grid": grid, "tests": tests.get(corpus)} for corpus, grid in grids.items()]
    return {"name": name, "title": title, "parts": parts}


def _drawing(name: str, path: Path, sources: Sources) -> dict[str, Any]:
    """Return a figure with the Parquet files of its data, which lie beside it under its name."""
    data = sorted(Path(path).parent.glob(f"{name}*.parquet"))
    return {
        "name": name,
        "title": FIGURE_TITLES[name],
        "svg": drawing.inline(path),
        "sources": [sources.of(file) for file in data],
    }


def _training(inputs: ReportInputs, sources: Sources) -> list[dict[str, Any]]:
    logs = {name: (path, artifacts.read_rows(path, "training")) for name, path in inputs.training.items()}
    return [
        {"name": name, "chart": figures.training_chart(name, log), "source": sources.of(path)}
        for name, (path, log) in logs.items()
        if log
    ]
