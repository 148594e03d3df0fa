"""What a training stage reads: the artifacts of the training corpora, joined by utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from aligncap import artifacts
from aligncap.captioner.example import Example
from aligncap.errors import ArtifactError
from aligncap.hashes import digest_of
from aligncap.job import ByCorpus


@dataclass(frozen=True)
class TrainingInputs:
    """What every training stage reads; mappings are keyed by training corpus. Stages add what else they read.

    Attributes:
        plan: roles of the training utterances.
        features: artifacts ``features``.
        references: artifacts ``labels``, with captions.
        gold: clues of the references.
        predicted: clues as the tagger hears them.
        llm: manifest of the base LLM.
    """

    plan: Path
    features: ByCorpus
    references: ByCorpus
    gold: ByCorpus
    predicted: ByCorpus
    llm: Path

    def files(self) -> list[Path]:
        """Every file of this object and of what a stage adds, for the digest that resume state is kept under."""
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
    return sorted(examples, key=lambda example: digest_of(example.key))
