"""Judges: who scores captions, 1-5 for factuality and for faithfulness (docs/judge.md).

``reference`` is embedded and needs no LLM; ``local`` asks a causal LM of this machine, ``openai`` a chat endpoint,
``human`` reads what people answered. Others are modules of ``aligncap.extensions.judges``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from aligncap import artifacts
from aligncap.config import Compute, Judge
from aligncap.errors import ArtifactError
from aligncap.extensions import names
from aligncap.job import By, ByCorpus
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


@dataclass(frozen=True)
class CandidateFacts:
    """What is read to score candidates, by training corpus where it is of corpora.

    Attributes:
        candidates: the ``candidates`` artifact.
        references: artifacts ``labels``.
        gold: clues of the references.
        transcripts: artifacts ``transcripts``.
        prosody: measured prosody, against which level, pitch and rate may be checked.
        model: as for ``score``.
    """

    candidates: Path
    references: ByCorpus
    gold: ByCorpus
    transcripts: ByCorpus
    prosody: ByCorpus
    model: Path | None


def score_candidates(judge: Judge, compute: Compute, inputs: CandidateFacts, out: Path) -> None:
    """Score every candidate caption.

    Args:
        judge: which judge, and its settings.
        compute: device and threads.
        inputs: the candidates, and what is known of their clips.
        out: the ``judge_scores`` artifact, in the order of the candidates.

    Raises:
        ArtifactError: a candidate of an utterance that no training corpus has.
        JudgeError, ModelError: as ``score``.
    """
    facts = read_facts(inputs.references, inputs.gold, inputs.transcripts, inputs.prosody)
    rows = artifacts.read_rows(inputs.candidates, "candidates")
    items = []
    for row in rows:
        key = row["corpus"], row["utterance_id"]
        if key not in facts:
            raise ArtifactError(
                f"{inputs.candidates}: candidate '{row['candidate_id']}' is of no training utterance; "
                "sample candidates again"
            )
        items.append(Item(*key, row["caption"], row["finished"], facts[key]))
    opinions = score(judge, compute, items, inputs.model)
    scored = [
        {"candidate_id": row["candidate_id"], **_row(judge, own), "rationale": own.rationale}
        for row, own in zip(rows, opinions, strict=True)
    ]
    artifacts.write(scored, out, "judge_scores", "judge_scores", _notes(judge, opinions))


@dataclass(frozen=True)
class CaptionFacts:
    """What is read to score captions of one test corpus.

    Attributes:
        captions: system -> its ``captions`` artifact.
        references: artifact ``labels``, with captions.
        gold: clues of the references.
        transcripts: artifact ``transcripts``.
        prosody: measured prosody.
        model: as for ``score``.
    """

    captions: Annotated[Mapping[str, Path], By("systems")]
    references: Path
    gold: Path
    transcripts: Path
    prosody: Path
    model: Path | None


class Judged(NamedTuple):
    """What is written of one test corpus: system -> ``judged_captions`` artifact, in the order of its captions."""

    judged: Annotated[Mapping[str, Path], By("systems")]


def score_captions_of(corpus: str, judge: Judge, compute: Compute, inputs: CaptionFacts, outputs: Judged) -> None:
    """Score what every system said about a test corpus, for win rates: scoring side, nothing trains on it.

    Args:
        corpus: the test corpus.
        judge: which judge, and its settings.
        compute: device and threads.
        inputs: the captions, and what is known of their clips.
        outputs: where the scores go.

    Raises:
        ArtifactError: captions of an utterance that the references lack.
        JudgeError, ModelError: as ``score``.
    """
    tables = (inputs.references, inputs.gold, inputs.transcripts, inputs.prosody)
    facts = read_facts(*({corpus: path} for path in tables))
    said = {system: artifacts.read_rows(path, "captions") for system, path in inputs.captions.items()}
    items = []
    for system, rows in said.items():
        for row in rows:
            key = corpus, row["utterance_id"]
            if key not in facts:
                raise ArtifactError(
                    f"{inputs.captions[system]}: '{row['utterance_id']}' is not in {inputs.references}; "
                    "caption this corpus again"
                )
            items.append(Item(*key, row["caption"], row["finished"], facts[key]))
    opinions = score(judge, compute, items, inputs.model)
    rest = iter(opinions)
    for system, rows in said.items():
        own = [next(rest) for _ in rows]
        scored = [
            {"utterance_id": row["utterance_id"], **_row(judge, opinion)}
            for row, opinion in zip(rows, own, strict=True)
        ]
        artifacts.write(scored, outputs.judged[system], "judged_captions", "judge_captions", _notes(judge, own))
        logger.info("%s on %s: judged %d captions", system, corpus, len(own))
