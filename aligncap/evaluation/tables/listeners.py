"""Captions' words for level, pitch or rate compared with the measured prosody, for human captions. Ours.

Factuality is checked against measured thirds (docs/judge.md). A listener judges speed by other criteria than syllables
per second relative to the speaker's other clips, so this table shows how much such a check is worth on a corpus. It is
used for scoring only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.clues.hallucination_checks import OPPOSITE
from aligncap.config import Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.gold import by_people, text_cluster
from aligncap.evaluation.wording import markdown_table, worded
from aligncap.vocabulary import SCALES

RULE = "listeners_table"
Row = dict[str, Any]


def ends_said(clues: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return kind -> the first end of its scale that a caption asserts: ``low``, ``high``, ``slow`` or ``fast``.

    Args:
        clues: Clues of one caption, as in the ``clues`` artifact.
    """
    said: dict[str, str] = {}
    for clue in clues:
        if clue["kind"] in SCALES and clue["lemma"] in OPPOSITE and not clue["negated"]:
            said.setdefault(clue["kind"], clue["lemma"])
    return said


def compare(
    kind: str, said: Mapping[str, str], thirds: Mapping[str, str], clusters: Mapping[str, str], evaluation: Evaluation
) -> list[Row]:
    """Return rows of the ``listeners`` artifact for one kind, without the corpus.

    ``count`` is the number of captions that say an end, by measured third. ``same`` and ``opposite`` are the shares of
    captions whose clip lies at the end that they say, and at the other end. ``opposite_by_chance`` is that share if
    words were independent of the measurement, from how often each end is said and each third is measured.

    Args:
        kind: One of level, pitch and rate.
        said: Utterance id -> end of the scale, for captions that say one.
        thirds: Utterance id -> measured third, for every clip of the corpus where it is known.
        clusters: Utterance id -> cluster that the bootstrap draws whole.
        evaluation: Resamples and seed of the bootstrap.
    """
    rows: list[Row] = []
    for end in SCALES[kind][::2]:
        own = [thirds[key] for key, told in said.items() if told == end]
        for third in SCALES[kind]:
            count = bootstrap.figure(own.count(third), None, len(own))
            rows.append({"kind": kind, "said": end, "measured": third, "measure": "count", **count})
    if not said:
        return rows
    whole = {"kind": kind, "said": "all", "measured": ""}
    drawn = [clusters[key] for key in said]
    shares = {
        "same": [thirds[key] == end for key, end in said.items()],
        "opposite": [thirds[key] == OPPOSITE[end] for key, end in said.items()],
    }
    for measure, hits in shares.items():
        share = partial(bootstrap.weighted_mean, values=np.array(hits, dtype=float))
        figure = bootstrap.measured(drawn, share, evaluation.bootstrap, evaluation.seed)
        rows.append({**whole, "measure": measure, **figure})
    measured = list(thirds.values())
    luck = np.mean([measured.count(OPPOSITE[end]) / len(measured) for end in said.values()])
    rows.append({**whole, "measure": "opposite_by_chance", **bootstrap.figure(luck, None, len(said))})
    return rows


def write_listeners_table(
    evaluation: Evaluation,
    references: Mapping[str, Path],
    gold: Mapping[str, Path],
    prosody: Mapping[str, Path],
    table: Path,
    markdown: Path,
) -> None:
    """Write the comparison of human captions with measured prosody (rule ``listeners_table``).

    Args:
        evaluation: Resamples and seed of the bootstrap; clusters are utterances of one caption.
        references: Test corpus -> ``labels`` artifact; a corpus whose captions the project wrote is left out.
        gold: Test corpus -> ``clues`` artifact.
        prosody: Test corpus -> ``prosody`` artifact.
        table: ``listeners`` artifact.
        markdown: The same table as Markdown.

    Raises:
        ArtifactError: An input is not the artifact it should be.
    """
    rows: list[Row] = []
    for corpus, path in by_people(references).items():
        labels = artifacts.read_rows(path, "labels")
        clusters = {row["utterance_id"]: text_cluster(row) for row in labels}
        said = {row["utterance_id"]: ends_said(row["clues"]) for row in artifacts.read_rows(gold[corpus], "clues")}
        measured = artifacts.read_rows(prosody[corpus], "prosody")
        for kind in SCALES:
            thirds = {row["utterance_id"]: row[kind] for row in measured if row[kind] is not None}
            told = {key: ends[kind] for key, ends in said.items() if kind in ends and key in thirds}
            rows += [{"corpus": corpus} | row for row in compare(kind, told, thirds, clusters, evaluation)]
    artifacts.write(rows, table, "listeners", RULE)
    artifacts.write_text(render_markdown(rows), markdown)


def render_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table as Markdown, with the counts of each corpus and one line per kind."""
    lines = ["# What people write of the voice, and what was measured", ""]
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        at = {(r["kind"], r["said"], r["measure"], r["measured"]): r for r in rows if r["corpus"] == corpus}
        counts, shares = [], []
        for kind, scale in SCALES.items():
            for end in scale[::2]:
                own = [at[kind, end, "count", third] for third in scale]
                counts.append([f"{kind} {end}", str(own[0]["n"]), ", ".join(f"{row['value']:.0f}" for row in own)])
            if same := at.get((kind, "all", "same", "")):
                others = (at[kind, "all", measure, ""] for measure in ("opposite", "opposite_by_chance"))
                shares.append([kind, str(same["n"]), *map(worded, (same, *others))])
        lines += [f"## {corpus}", ""]
        lines += markdown_table("lrr", ("said", "captions", "measured low (slow), mid, high (fast)"), counts)
        heads = ("kind", "captions", "same end", "opposite end", "opposite, by chance")
        lines += markdown_table("lrrrr", heads, shares)
    lines.append("Thirds are of the speaker's (else session's, corpus's) clips. Brackets: 95 % bootstrap, by caption.")
    return "\n".join(lines) + "\n"
