"""What people write of a voice against what was measured on it, where captions speak of level, pitch or rate. Ours.

Factuality is checked against measured thirds (docs/judge.md). A listener calls a voice fast by other lights than
syllables a second against the same speaker's other clips, so this says how much such a check is worth on a corpus.
Scoring only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.clues import SCALES
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.wording import worded

RULE = "listeners_table"
Row = dict[str, Any]


def ends_said(clues: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Kind -> the end of its scale that a caption asserts, the first one: ``low`` or ``high``, ``slow`` or ``fast``.

    Args:
        clues: of one caption, as in the artifact ``clues``.
    """
    said: dict[str, str] = {}
    for clue in clues:
        ends = SCALES.get(clue["kind"], ("", "", ""))[::2]
        if clue["lemma"] in ends and not clue["negated"]:
            said.setdefault(clue["kind"], clue["lemma"])
    return said


def compare(
    kind: str, said: Mapping[str, str], thirds: Mapping[str, str], clusters: Mapping[str, str], evaluation: Evaluation
) -> list[Row]:
    """Rows of the artifact ``listeners`` of one kind, without corpus.

    ``count``: captions that say this end, by measured third. ``same`` and ``opposite``: share of the captions that say
    an end whose clip lies at this end, at the other one. ``opposite_by_chance``: the share if words told nothing of it,
    from how often each end is said and each third measured.

    Args:
        kind: level, pitch or rate.
        said: utterance id -> end; of the captions that say one.
        thirds: utterance id -> measured third, of every clip of the corpus.
        clusters: utterance id -> what the bootstrap draws whole.
        evaluation: resamples and seed.
    """
    low, _, high = SCALES[kind]
    other = {low: high, high: low}
    rows: list[Row] = []

    def add(
        measure: str, value: float, n: int, bounds: tuple[float, float] | None, end: str = "all", at: str = ""
    ) -> None:
        figure = {"value": value, "ci_low": bounds and bounds[0], "ci_high": bounds and bounds[1], "n": n}
        rows.append({"kind": kind, "said": end, "measured": at, "measure": measure, **figure})

    for end in other:
        own = [thirds[key] for key, told in said.items() if told == end]
        for third in SCALES[kind]:
            add("count", float(own.count(third)), len(own), None, end, third)
    if not said:
        return rows
    drawn = [clusters[key] for key in said]
    weights = bootstrap.resample_weights(drawn, [""] * len(drawn), evaluation.bootstrap, evaluation.seed)
    shares = {
        "same": [thirds[key] == end for key, end in said.items()],
        "opposite": [thirds[key] == other[end] for key, end in said.items()],
    }
    for measure, hits in shares.items():
        values = np.array(hits, dtype=float)
        add(measure, float(values.mean()), len(said), bootstrap.interval(bootstrap.weighted_mean(weights, values)))
    measured = list(thirds.values())
    luck = np.mean([measured.count(other[end]) / len(measured) for end in said.values()])
    add("opposite_by_chance", float(luck), len(said), None)
    return rows


def write_listeners_table(
    evaluation: Evaluation, inputs: Mapping[str, tuple[Path, Path, Path]], table: Path, markdown: Path
) -> None:
    """Rule ``listeners_table``.

    Args:
        evaluation: ``bootstrap`` and ``seed`` are used; clusters are utterances of one caption.
        inputs: test corpus -> its artifacts ``labels``, ``clues`` (gold) and ``prosody``; one whose captions the
            project wrote is left out.
        table: artifact ``listeners``.
        markdown: the same for a reader.

    Raises:
        ArtifactError: an input is not the artifact it should be.
    """
    rows: list[Row] = []
    for corpus, (references, gold, prosody) in inputs.items():
        if artifacts.read_notes(references, "labels").get("caption_source") != "corpus":
            continue
        labels = artifacts.read_rows(references, "labels")
        clusters = {row["utterance_id"]: row["caption_group"] or row["utterance_id"] for row in labels}
        said = {row["utterance_id"]: ends_said(row["clues"]) for row in artifacts.read_rows(gold, "clues")}
        measured = artifacts.read_rows(prosody, "prosody")
        for kind in SCALES:
            thirds = {row["utterance_id"]: row[kind] for row in measured}
            told = {key: ends[kind] for key, ends in said.items() if kind in ends}
            rows += [{"corpus": corpus} | row for row in compare(kind, told, thirds, clusters, evaluation)]
    artifacts.write(rows, table, "listeners", RULE)
    artifacts.write_text(render_markdown(rows), markdown)


def render_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """One table a corpus: a line for each kind."""
    lines = ["# What people write of the voice, and what was measured", ""]
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        lines += [f"## {corpus}", "", "| said | captions | measured low (slow), mid, high (fast) |", "|---|---:|---:|"]
        own = [row for row in rows if row["corpus"] == corpus]
        for kind, scale in SCALES.items():
            counts = {(r["said"], r["measured"]): r for r in own if r["kind"] == kind and r["measure"] == "count"}
            for end in scale[::2]:
                cells = ", ".join(f"{counts[end, third]['value']:.0f}" for third in scale)
                lines.append(f"| {kind} {end} | {counts[end, scale[0]]['n']} | {cells} |")
        lines += [
            "",
            "| kind | captions | same end | opposite end | opposite, by chance |",
            "|---|---:|---:|---:|---:|",
        ]
        for kind in SCALES:
            at = {row["measure"]: row for row in own if row["kind"] == kind and row["said"] == "all"}
            if at:
                cells = " | ".join(worded(at[name]) for name in ("same", "opposite", "opposite_by_chance"))
                lines.append(f"| {kind} | {at['same']['n']} | {cells} |")
        lines.append("")
    lines.append("Thirds are of the speaker's (else session's, corpus's) clips. Brackets: 95 % bootstrap, by caption.")
    return "\n".join(lines) + "\n"
