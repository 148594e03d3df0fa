"""The training data: artifacts of the training corpora, joined by utterance into examples."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.captioner.example import Example
from aligncap.errors import ArtifactError
from aligncap.hashes import digest_of
from aligncap.job import ByCorpus

Key = tuple[str, str]  # corpus and utterance id
UNHEARD = np.zeros((0, 0, 0), np.float16)  # features of an example whose speech nobody reads


@dataclass(frozen=True)
class TrainingInputs:
    """The input files of every training stage; mappings are keyed by training corpus. Subclasses add further files.

    Attributes:
        plan: Artifact ``plan``, the roles of the training utterances.
        features: Artifacts ``features``; empty where a stage reads text alone.
        references: Artifacts ``labels``, which include the reference captions.
        gold: Artifacts ``clues``, parsed from the reference captions.
        predicted: Artifacts ``clues``, predicted by the tagger; empty where a stage reads gold clues alone.
        llm: Manifest of the base LLM.
    """

    plan: Path
    features: ByCorpus
    references: ByCorpus
    gold: ByCorpus
    predicted: ByCorpus
    llm: Path

    def files(self) -> list[Path]:
        """List all input files, including those of subclasses; their digest names the folder of the resume state."""
        found: list[Path] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                found += value.values()
            elif isinstance(value, Path):
                found.append(value)
            elif value is not None:
                found += value
        return found


def planned(plan: Path, roles: Sequence[str], *, may_lack: bool = False) -> list[Key]:
    """Return the utterances of the given roles, sorted by the hash of their key, which mixes corpora and speakers.

    Args:
        plan: Artifact ``plan``, which is read row by row.
        roles: Roles of the plan.
        may_lack: Whether an empty result is allowed.

    Raises:
        ArtifactError: No utterance has one of the roles and ``may_lack`` is false.
    """
    rows = artifacts.stream_rows(plan, "plan")
    found = [(row["corpus"], row["utterance_id"]) for row in rows if row["role"] in roles]
    if not found and not may_lack:
        raise ArtifactError(f"{plan}: no utterance has a role of {list(roles)}; raise its share in splits")
    return sorted(found, key=lambda key: digest_of(*key))


def examples_of(inputs: TrainingInputs, keys: Sequence[Key], *, heard: bool = True) -> list[Example]:
    """Load the examples of utterances, in their order. What the artifacts have of others is not kept.

    Args:
        inputs: Artifacts of the training corpora.
        keys: Corpus and id of each utterance.
        heard: Whether to load speech features, which a stage that reads text alone does not need.

    Raises:
        ArtifactError: An utterance is missing from an artifact of its corpus.
    """
    from aligncap.speech.features import load_features

    wanted: dict[str, set[str]] = {}
    for corpus, utterance in keys:
        wanted.setdefault(corpus, set()).add(utterance)

    def cells(files: ByCorpus, schema: str, *columns: str) -> dict[Key, list[Any]]:
        return {
            (corpus, row["utterance_id"]): [_compact(row[column]) for column in columns]
            for corpus, own in wanted.items()
            for row in artifacts.stream_rows(files[corpus], schema, of=own, columns=["utterance_id", *columns])
        }

    labels = cells(inputs.references, "labels", "captions")
    gold = cells(inputs.gold, "clues", "p_act", "p_sem_ids")
    predicted = cells(inputs.predicted, "clues", "p_act") if inputs.predicted else dict.fromkeys(keys, [""])
    features = {corpus: load_features(inputs.features[corpus], own) for corpus, own in wanted.items() if heard}
    examples = []
    for key in keys:
        corpus, utterance = key
        try:
            (captions,), (gold_p_act, p_sem_ids), (predicted_p_act,) = labels[key], gold[key], predicted[key]
            heard_as = features[corpus][utterance] if heard else UNHEARD
            examples.append(Example(utterance, corpus, captions, gold_p_act, predicted_p_act, p_sem_ids, heard_as))
        except KeyError as error:
            raise ArtifactError(
                f"{inputs.plan}: utterance {utterance} of {corpus} is in the plan but not in every artifact of its "
                "corpus; delete results of this experiment that are older than the corpus and run again"
            ) from error
    return examples


def _compact(value: str | list[Any]) -> str | tuple[Any, ...]:
    """Return a list as a tuple, and a text as the one copy of it in memory, for few prompts of clues differ."""
    return sys.intern(value) if isinstance(value, str) else tuple(value)


def load_examples(
    inputs: TrainingInputs, roles: Sequence[str], *, may_lack: bool = False, heard: bool = True
) -> list[Example]:
    """Load the examples of the given roles in the order of ``planned``. Errors as ``planned`` and ``examples_of``."""
    return examples_of(inputs, planned(inputs.plan, roles, may_lack=may_lack), heard=heard)
