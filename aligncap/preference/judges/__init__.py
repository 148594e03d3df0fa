"""Judges: who scores captions, 1-5 for factuality and for faithfulness (docs/judge.md).

``reference`` is embedded and needs no LLM; ``local`` asks a causal LM of this machine, ``openai`` a chat endpoint,
``human`` reads what people answered. Others are modules of ``aligncap.extensions.judges``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.config import Compute, Judge
from aligncap.errors import ArtifactError
from aligncap.extensions import names
from aligncap.preference.facts import Item, Opinion, read_facts
from aligncap.preference.judges.rubric import PROMPT

logger = logging.getLogger(__name__)

REASONS = 5  # that an artifact's notes hold of rows without a score


def score(settings: Judge, compute: Compute, items: Sequence[Item], model_manifest: Path | None) -> list[Opinion]:
    """Opinions of the judge that ``settings`` names, in the order of ``items``.

    Args:
        settings: which judge, its weights and its own section.
        compute: device and threads.
        items: captions with what is known of their clips.
        model_manifest: sentence encoder of ``reference``, LM of ``local``; None for the others.

    Raises:
        JudgeError: the endpoint or the file of answers is of no use, or too many captions stay unscored.
        ModelError: the model is missing, or cannot grade.
    """
    if settings.name == "openai":
        from aligncap.preference.judges import openai

        return openai.score(settings, items)
    if settings.name == "human":
        from aligncap.preference.judges import human

        return human.score(settings, items)
    if settings.name in names("judges"):
        own: list[Opinion] = import_module(f"aligncap.extensions.judges.{settings.name}").score(settings, items)
        return own
    assert model_manifest is not None, f"the judge '{settings.name}' needs a model"
    if settings.name == "local":
        from aligncap.preference.judges import local

        return local.score(settings, compute, items, model_manifest)
    from aligncap.preference.judges import reference

    return reference.score(settings, compute, items, model_manifest)


def _row(settings: Judge, opinion: Opinion) -> dict[str, Any]:
    return {
        "judge": settings.name,
        "factuality": opinion.factuality,
        "faithfulness": opinion.faithfulness,
        "overall": opinion.overall,
    }


def _notes(settings: Judge, opinions: Sequence[Opinion]) -> dict[str, Any]:
    """About the whole file; no address of an endpoint, which is a machine's name."""
    names = ("similarity_weight", "factuality_weight", "faithfulness_weight")
    notes: dict[str, Any] = {"judge": settings.name, "weights": {name: getattr(settings, name) for name in names}}
    if settings.name in ("local", "openai"):
        notes["prompt"] = PROMPT
    if settings.name == "openai":
        notes["model"] = settings.openai.model
    unscored = [opinion.rationale for opinion in opinions if opinion.overall is None]
    return notes | {"unscored": len(unscored), "unscored_because": sorted(set(unscored))[:REASONS]}


def score_candidates(
    settings: Judge,
    compute: Compute,
    candidates: Path,
    references: Mapping[str, Path],
    gold: Mapping[str, Path],
    transcripts: Mapping[str, Path],
    model_manifest: Path | None,
    out: Path,
    prosody: Mapping[str, Path] | None = None,
) -> None:
    """Score every candidate caption.

    Args:
        settings: which judge, and its settings.
        compute: device and threads.
        candidates: the ``candidates`` artifact.
        references: training corpus -> ``labels`` artifact.
        gold: training corpus -> clues of the references.
        transcripts: training corpus -> transcripts.
        model_manifest: as for ``score``.
        out: the ``judge_scores`` artifact, in the order of ``candidates``.
        prosody: training corpus -> measured prosody, where the judge may check level, pitch and rate against it.

    Raises:
        ArtifactError: a candidate of an utterance that no training corpus has.
        JudgeError, ModelError: as ``score``.
    """
    facts = read_facts(references, gold, transcripts, prosody or {})
    rows = artifacts.read_rows(candidates, "candidates")
    items = []
    for row in rows:
        key = row["corpus"], row["utterance_id"]
        if key not in facts:
            raise ArtifactError(
                f"{candidates}: candidate '{row['candidate_id']}' is of no training utterance; sample candidates again"
            )
        items.append(Item(*key, row["caption"], row["finished"], facts[key]))
    opinions = score(settings, compute, items, model_manifest)
    scored = [
        {"candidate_id": row["candidate_id"], **_row(settings, own), "rationale": own.rationale}
        for row, own in zip(rows, opinions, strict=True)
    ]
    artifacts.write(scored, out, "judge_scores", "judge_scores", _notes(settings, opinions))


def score_captions_of(
    settings: Judge,
    compute: Compute,
    corpus: str,
    captions: Mapping[str, Path],
    references: Path,
    gold: Path,
    transcripts: Path,
    prosody: Path,
    model_manifest: Path | None,
    outs: Mapping[str, Path],
) -> None:
    """Score what every system said about a test corpus, for win rates: scoring side, nothing trains on it.

    Args:
        settings: which judge, and its settings.
        compute: device and threads.
        corpus: the test corpus.
        captions: system -> its ``captions`` artifact.
        references: the corpus's ``labels`` artifact with captions.
        gold: clues of its references.
        transcripts: its transcripts.
        prosody: its measured prosody.
        model_manifest: as for ``score``.
        outs: system -> the ``judged_captions`` artifact, in the order of its captions.

    Raises:
        ArtifactError: captions of an utterance that the references lack.
        JudgeError, ModelError: as ``score``.
    """
    facts = read_facts({corpus: references}, {corpus: gold}, {corpus: transcripts}, {corpus: prosody})
    said = {system: artifacts.read_rows(path, "captions") for system, path in captions.items()}
    items = []
    for system, rows in said.items():
        for row in rows:
            key = corpus, row["utterance_id"]
            if key not in facts:
                raise ArtifactError(
                    f"{captions[system]}: '{row['utterance_id']}' is not in {references}; caption this corpus again"
                )
            items.append(Item(*key, row["caption"], row["finished"], facts[key]))
    opinions = score(settings, compute, items, model_manifest)
    rest = iter(opinions)
    for system, rows in said.items():
        own = [next(rest) for _ in rows]
        scored = [
            {"utterance_id": row["utterance_id"], **_row(settings, opinion)}
            for row, opinion in zip(rows, own, strict=True)
        ]
        artifacts.write(scored, outs[system], "judged_captions", "judge_captions", _notes(settings, own))
        logger.info("%s on %s: judged %d captions", system, corpus, len(own))
