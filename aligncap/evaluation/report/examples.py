"""The browser of examples: a few clips per test corpus with player, spectrogram and every system's caption."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aligncap import artifacts
from aligncap.config import Report
from aligncap.errors import AudioError
from aligncap.evaluation.report import media
from aligncap.evaluation.report.inputs import APART, TRAINED, ReportInputs
from aligncap.evaluation.report.marks import mark_words
from aligncap.evaluation.report.sources import Sources, anchor
from aligncap.progress import track
from aligncap.speech.audio import SAMPLE_RATE, load_audio
from aligncap.systems import plain_name
from aligncap.vocabulary import canonical

logger = logging.getLogger(__name__)

Rows = dict[str, dict[str, Any]]  # utterance_id -> row


def corpus_examples(settings: Report, inputs: ReportInputs, corpus: str, sources: Sources) -> dict[str, Any]:
    """Return the examples of one test corpus, its licence and the source files.

    Args:
        settings: Number of examples, and whether recordings go into the page.
        inputs: Files that the report reads.
        corpus: Name of a test corpus.
        sources: Links to source files.
    """
    paths = {
        "references": (inputs.references[corpus], "labels"),
        "transcripts": (inputs.transcripts[corpus], "transcripts"),
        "clues": (inputs.predicted[corpus], "clues"),
        "audio": (inputs.audio[corpus], "audio"),
    }
    read = {name: _by_id(artifacts.read_rows(*own)) for name, own in paths.items()}
    spoken = {
        system: (path, _by_id(artifacts.read_rows(path, "evaluation")))
        for (system, name), path in inputs.evaluations.items()
        if name == corpus and system == plain_name(system)
    }
    said = {system: rows for system, (_, rows) in spoken.items()}
    labels = {name: row["label"] for name, row in next(iter(said.values())).items()} if said else {}
    chosen = pick_examples(labels, settings.examples)
    return {
        "corpus": corpus,
        "licence": inputs.licences[corpus],
        "heard": settings.audio,
        "examples": [
            _example(settings, inputs, corpus, name, labels[name], read, said)
            for name in track(chosen, f"examples of {corpus}")
        ],
        "sources": [sources.of(path) for path, _ in (*paths.values(), *spoken.values())],
    }


def pick_examples(labels: Mapping[str, str | None], count: int) -> list[str]:
    """Return ``count`` utterance ids, balanced over labels and spread over the corpus, the same ones every time."""
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


def _by_id(rows: Sequence[dict[str, Any]]) -> Rows:
    return {row["utterance_id"]: row for row in rows}


def _example(
    settings: Report,
    inputs: ReportInputs,
    corpus: str,
    name: str,
    label: str | None,
    read: Mapping[str, Rows],
    said: Mapping[str, Rows],
) -> dict[str, Any]:
    clues = read["clues"].get(name, {"clues": []})["clues"]
    return {
        "id": name,
        "anchor": anchor("example", corpus, name),
        "label": label or "",
        "references": read["references"][name]["captions"],
        "transcript": read["transcripts"].get(name, {"transcript": ""})["transcript"],
        "clues": [f"{c['kind']}: {c['lemma']} ({c['probability']:.0%})" for c in clues],
        "captions": [_saying(system, rows[name]) for system, rows in said.items() if name in rows],
        "disagree": _disagree(inputs, name, said),
        **(_heard(read["audio"][name]["audio_path"]) if settings.audio and name in read["audio"] else {"audio": ""}),
    }


def _heard(path: str) -> dict[str, Any]:
    """Return recording, spectrogram and seconds; nothing, with a warning, where the recording no longer exists."""
    try:
        samples = load_audio(path, max_duration_s=float("inf"))
    except AudioError as error:
        logger.warning("the report goes without a recording: %s", error)
        return {"audio": ""}
    return {
        "audio": media.recording(samples),
        "picture": media.spectrogram(samples),
        "seconds": len(samples) / SAMPLE_RATE,
    }


def _saying(system: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "system": system,
        "parts": mark_words(row["caption"], row["flags"]),
        "dominant": row["dominant"],
        "right": row["dominant"] is not None and row["dominant"] == canonical(row["label"]),
        "flags": row["flags"],
    }


def _disagree(inputs: ReportInputs, name: str, said: Mapping[str, Rows]) -> bool:
    """Return whether trained systems (where there are not two, all competitors) have different dominant emotions."""
    trained = [system for system in said if inputs.stages.get(system) in TRAINED]
    rivals = trained if len(trained) > 1 else [system for system in said if inputs.stages.get(system) not in APART]
    return len({said[system][name]["dominant"] for system in rivals if name in said[system]}) > 1
