"""Judges: who scores the candidates. ``reference`` is embedded and needs no LLM."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from aligncap import artifacts
from aligncap.clues import Clue
from aligncap.config import Compute, Judge
from aligncap.errors import ArtifactError
from aligncap.preference.judges.reference import Facts, facts_of, judge
from aligncap.progress import track

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # (corpus, utterance id)


def read_facts(
    references: Mapping[str, Path],
    gold: Mapping[str, Path],
    transcripts: Mapping[str, Path],
    prosody: Mapping[str, Path],
) -> dict[Key, Facts]:
    """What the judge may know, of training corpora only; a corpus without ``prosody`` is judged by clues and label."""
    facts = {}
    for corpus, path in references.items():
        clues = {r["utterance_id"]: r["clues"] for r in artifacts.read_rows(gold[corpus], "clues")}
        said = {r["utterance_id"]: r["transcript"] for r in artifacts.read_rows(transcripts[corpus], "transcripts")}
        rows = artifacts.read_rows(prosody[corpus], "prosody") if corpus in prosody else []
        measured = {r["utterance_id"]: r for r in rows}
        for row in artifacts.read_rows(path, "labels"):
            name = row["utterance_id"]
            own = [Clue.from_dict(clue) for clue in clues.get(name, [])]
            facts[corpus, name] = facts_of(row, own, said.get(name, ""), measured.get(name))
    return facts


def score_candidates(
    settings: Judge,
    compute: Compute,
    candidates: Path,
    references: Mapping[str, Path],
    gold: Mapping[str, Path],
    transcripts: Mapping[str, Path],
    encoder_manifest: Path,
    out: Path,
    prosody: Mapping[str, Path] | None = None,
) -> None:
    """Score every candidate caption (DESIGN section 9).

    Args:
        settings: which judge, and its weights.
        compute: threads of the sentence encoder.
        candidates: the ``candidates`` artifact.
        references: training corpus -> ``labels`` artifact.
        gold: training corpus -> clues of the references.
        transcripts: training corpus -> transcripts.
        encoder_manifest: sentence encoder.
        out: the ``judge_scores`` artifact, in the order of ``candidates``.
        prosody: training corpus -> measured prosody, where the judge may check level, pitch and rate against it.

    Raises:
        ArtifactError: a candidate of an utterance that no training corpus has.
    """
    import torch

    from aligncap.captioner.sources import model_folder
    from aligncap.text import SentenceEncoder

    torch.set_num_threads(compute.threads)
    facts = read_facts(references, gold, transcripts, prosody or {})
    rows = artifacts.read_rows(candidates, "candidates")
    for row in rows:
        if (row["corpus"], row["utterance_id"]) not in facts:
            raise ArtifactError(
                f"{candidates}: candidate '{row['candidate_id']}' is of no training utterance; sample candidates again"
            )
    texts = sorted({row["caption"] for row in rows} | {text for own in facts.values() for text in own.references})
    encoder = SentenceEncoder(model_folder(encoder_manifest))
    vectors = dict(zip(texts, encoder.encode(texts), strict=True)) if texts else {}
    weights = (settings.similarity_weight, settings.factuality_weight, settings.faithfulness_weight)
    scored = []
    for row in track(rows, "judge"):
        own = facts[row["corpus"], row["utterance_id"]]
        alike = [float(vectors[row["caption"]] @ vectors[text]) for text in own.references]
        similarity = float(np.mean(alike)) if alike else None
        opinion = judge(row["caption"], own, row["finished"], similarity, weights)
        scored.append(
            {
                "candidate_id": row["candidate_id"],
                "judge": settings.name,
                "factuality": opinion.factuality,
                "faithfulness": opinion.faithfulness,
                "overall": opinion.overall,
                "rationale": opinion.rationale,
            }
        )
    artifacts.write(scored, out, "judge_scores", "judge_scores", {"weights": settings.model_dump(mode="json")})
