"""What a training stage reads: the artifacts of the training corpora, joined by utterance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.captioner.example import Example
from aligncap.errors import ArtifactError
from aligncap.job import by_name


@dataclass(frozen=True)
class TrainingInputs:
    """Paths of the artifacts that training stages read; mappings are keyed by training corpus."""

    plan: Path
    features: Mapping[str, Path]
    references: Mapping[str, Path]
    gold: Mapping[str, Path]
    predicted: Mapping[str, Path]

    def files(self) -> list[Path]:
        """Every file, for the digest that resume state is kept under."""
        tables = (self.features, self.references, self.gold, self.predicted)
        return [self.plan, *(path for table in tables for path in table.values())]


def load_examples(inputs: TrainingInputs, roles: Sequence[str], *, may_lack: bool = False) -> list[Example]:
    """Examples of these roles, in a fixed order that mixes corpora and speakers (by hash of their key).

    Raises:
        ArtifactError: an utterance of the plan is missing from another artifact, or no utterance has such a role
            (unless it ``may_lack``).
    """
    from aligncap.speech.features import load_features

    wanted: dict[str, list[str]] = {}
    for row in artifacts.read_rows(inputs.plan, "plan"):
        if row["role"] in roles:
            wanted.setdefault(row["corpus"], []).append(row["utterance_id"])
    examples = []
    for corpus, utterances in wanted.items():
        references = {r["utterance_id"]: r for r in artifacts.read_rows(inputs.references[corpus], "labels")}
        gold = {r["utterance_id"]: r for r in artifacts.read_rows(inputs.gold[corpus], "clues")}
        predicted = {r["utterance_id"]: r for r in artifacts.read_rows(inputs.predicted[corpus], "clues")}
        features = load_features(inputs.features[corpus])
        for utterance in utterances:
            try:
                examples.append(
                    Example(
                        utterance,
                        corpus,
                        tuple(references[utterance]["captions"]),
                        gold[utterance]["p_act"],
                        predicted[utterance]["p_act"],
                        tuple(gold[utterance]["p_sem_ids"]),
                        features[utterance],
                    )
                )
            except KeyError as error:
                raise ArtifactError(
                    f"{inputs.plan}: utterance {utterance} of {corpus} is in the plan but not in every artifact of its "
                    "corpus; delete results of this experiment that are older than the corpus and run again"
                ) from error
    if not examples and not may_lack:
        raise ArtifactError(f"{inputs.plan}: no utterance has a role of {list(roles)}; raise its share in splits")
    return sorted(examples, key=lambda example: hashlib.sha256(example.key.encode()).digest())


def training_inputs(corpora: Sequence[str], files: Any) -> TrainingInputs:
    """The inputs that every training stage reads.

    Args:
        corpora: training corpora, in the order of the lists.
        files: an object with ``plan`` (one file) and ``features``, ``references``, ``gold``, ``predicted`` (lists).
    """
    names = ("features", "references", "gold", "predicted")
    return TrainingInputs(Path(files.plan), **{name: by_name(corpora, getattr(files, name)) for name in names})
