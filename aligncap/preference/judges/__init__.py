"""Judges: they score captions from 1 to 5 for factuality and for faithfulness (docs/judge.md).

The judge ``reference`` is built in and needs no LLM. ``local`` runs a causal LM on this machine, ``openai`` asks a chat
endpoint, and ``human`` reads the answers of people. Further judges are modules of ``aligncap.extensions.judges``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from aligncap import artifacts
from aligncap.artifacts import WHOLE, Shard
from aligncap.config import Compute, Judge
from aligncap.errors import ArtifactError
from aligncap.extensions import names
from aligncap.job import By, ByCorpus
from aligncap.preference.facts import ClipFacts, JudgedCaption, Key, Opinion, read_facts
from aligncap.preference.judges.rubric import PROMPT

logger = logging.getLogger(__name__)

READ = ("candidate_id", "utterance_id", "corpus", "caption", "finished")  # columns of candidates that a judge wants
REASONS = 5  # most reasons for missing scores in an artifact's notes


def score(
    settings: Judge, compute: Compute, items: Sequence[JudgedCaption], model_manifest: Path | None
) -> list[Opinion]:
    """Return the opinions of the judge that ``settings`` names, in the order of ``items``.

    Args:
        settings: Name of the judge, its weights and its section.
        compute: Device and threads.
        items: Captions with the facts of their utterances.
        model_manifest: Manifest of ``reference``'s sentence encoder or of ``local``'s LM; None for other judges.

    Raises:
        JudgeError: The endpoint or the file of answers cannot be used, or too many captions stay unscored.
        ModelError: The model is missing or cannot score.
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


def _judged(corpus: str, row: Mapping[str, Any], facts: Mapping[Key, ClipFacts], path: Path) -> JudgedCaption:
    key = corpus, row["utterance_id"]
    if key not in facts:
        raise ArtifactError(f"{path}: '{'/'.join(key)}' is no utterance of this run; make the file again")
    return JudgedCaption(*key, row["caption"], row["finished"], facts[key])


def _row(settings: Judge, opinion: Opinion) -> dict[str, Any]:
    return {
        "judge": settings.name,
        "factuality": opinion.factuality,
        "faithfulness": opinion.faithfulness,
        "overall": opinion.overall,
    }


def _notes(settings: Judge) -> dict[str, Any]:
    """Make the notes of a scores artifact; they leave out the endpoint's address, which names a machine."""
    names = ("similarity_weight", "factuality_weight", "faithfulness_weight")
    notes: dict[str, Any] = {"judge": settings.name, "weights": {name: getattr(settings, name) for name in names}}
    if settings.name in ("local", "openai"):
        notes["prompt"] = PROMPT
    if settings.name == "openai":
        notes["model"] = settings.openai.model
    return notes


def _unscored(opinions: Sequence[Opinion]) -> dict[str, Any]:
    """Make the notes about missing scores, for an artifact whose rows have no rationale."""
    reasons = [opinion.rationale for opinion in opinions if opinion.overall is None]
    return {"unscored": len(reasons), "unscored_because": sorted(set(reasons))[:REASONS]}


@dataclass(frozen=True)
class CandidateScoringInputs:
    """Input files for scoring candidates; mappings are keyed by training corpus.

    Attributes:
        candidates: Artifact ``candidates``.
        references: Artifacts ``labels``.
        gold: Artifacts ``clues``, parsed from the reference captions.
        transcripts: Artifacts ``transcripts``.
        prosody: Artifacts ``prosody``, against which level, pitch and rate are checked.
        model: Manifest of the judge's model, as for ``score``.
    """

    candidates: Path
    references: ByCorpus
    gold: ByCorpus
    transcripts: ByCorpus
    prosody: ByCorpus
    model: Path | None


def _rows_of(candidates: Path, shard: Shard, whole: bool) -> range:
    """Return the numbers of a shard's rows of the candidates, those of an utterance and of a block being together."""
    starts: list[int] = []  # first row of each utterance
    last: Key | None = None
    total = 0
    for table in artifacts.read_groups(candidates, "candidates", columns=["corpus", "utterance_id"]):
        for key in zip(*(table.column(name).to_pylist() for name in ("corpus", "utterance_id")), strict=True):
            if key != last:
                starts.append(total)
            last, total = key, total + 1
    own = shard.of(len(starts), max(1, len(starts)) if whole else artifacts.BLOCK)
    starts.append(total)
    return range(starts[own.start], starts[own.stop])


def score_candidates(
    judge: Judge, compute: Compute, inputs: CandidateScoringInputs, out: Path, shard: Shard = WHOLE
) -> None:
    """Score candidate captions.

    Args:
        judge: Name of the judge and its settings.
        compute: Device and threads.
        inputs: Candidates and the facts of their utterances.
        out: Artifact ``judge_scores`` to write, in the order of the candidates.
        shard: Which of the utterances; those of a block stay together. The answers of people are one block, because
            it is an error when none is about the candidates.

    Raises:
        ArtifactError: A candidate belongs to an utterance that no training corpus has.
        JudgeError, ModelError: As for ``score``.
    """
    numbers = _rows_of(inputs.candidates, shard, whole=judge.name == "human")
    rows = list(artifacts.stream_rows(inputs.candidates, "candidates", numbers, columns=READ))
    keys = {(row["corpus"], row["utterance_id"]) for row in rows}
    facts = read_facts(inputs.references, inputs.gold, inputs.transcripts, inputs.prosody, of=keys)
    items = [_judged(row["corpus"], row, facts, inputs.candidates) for row in rows]
    opinions = score(judge, compute, items, inputs.model)
    scored = (
        {"candidate_id": row["candidate_id"], **_row(judge, opinion), "rationale": opinion.rationale}
        for row, opinion in zip(rows, opinions, strict=True)
    )
    artifacts.write_rows(scored, out, "judge_scores", "judge_scores", _notes(judge))


@dataclass(frozen=True)
class CaptionScoringInputs:
    """Input files for scoring the captions of a test corpus.

    Attributes:
        captions: Artifact ``captions`` of each system.
        references: Artifact ``labels``, which includes the reference captions.
        gold: Artifact ``clues``, parsed from the reference captions.
        transcripts: Artifact ``transcripts``.
        prosody: Artifact ``prosody``.
        model: Manifest of the judge's model, as for ``score``.
    """

    captions: Annotated[Mapping[str, Path], By("systems")]
    references: Path
    gold: Path
    transcripts: Path
    prosody: Path
    model: Path | None


class Judged(NamedTuple):
    """Output files for a test corpus: artifact ``judged_captions`` of each system, in the order of its captions."""

    judged: Annotated[Mapping[str, Path], By("systems")]


def score_captions_of(
    corpus: str, judge: Judge, compute: Compute, inputs: CaptionScoringInputs, outputs: Judged
) -> None:
    """Score the captions of every system for a test corpus. They give win rates and are not used in training.

    Args:
        corpus: Name of the test corpus.
        judge: Name of the judge and its settings.
        compute: Device and threads.
        inputs: Captions and the facts of their utterances.
        outputs: Artifacts to write.

    Raises:
        ArtifactError: A caption belongs to an utterance that the references lack.
        JudgeError, ModelError: As for ``score``.
    """
    tables = (inputs.references, inputs.gold, inputs.transcripts, inputs.prosody)
    facts = read_facts(*({corpus: path} for path in tables))
    said = {system: artifacts.read_rows(path, "captions") for system, path in inputs.captions.items()}
    items = [_judged(corpus, row, facts, inputs.captions[system]) for system, rows in said.items() for row in rows]
    opinions = iter(score(judge, compute, items, inputs.model))
    for system, rows in said.items():
        own = list(islice(opinions, len(rows)))
        scored = [
            {"utterance_id": row["utterance_id"], **_row(judge, opinion)}
            for row, opinion in zip(rows, own, strict=True)
        ]
        notes = _notes(judge) | _unscored(own)
        artifacts.write(scored, outputs.judged[system], "judged_captions", "judge_captions", notes)
        logger.info("%s on %s: judged %d captions", system, corpus, len(own))
