"""The training data: artifacts of the training corpora, joined by utterance into examples."""

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
    """The input files of every training stage; mappings are keyed by training corpus. Subclasses add further files.

    Attributes:
        plan: Artifact ``plan``, the roles of the training utterances.
        features: Artifacts ``features``.
        references: Artifacts ``labels``, which include the reference captions.
        gold: Artifacts ``clues``, parsed from the reference captions.
        predicted: Artifacts ``clues``, predicted by the tagger.
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


def load_examples(inputs: TrainingInputs, roles: Sequence[str], *, may_lack: bool = False) -> list[Example]:
    """Load the examples of the given roles, sorted by the hash of their key, which mixes corpora and speakers.

    Args:
        inputs: Artifacts of the training corpora.
        roles: Roles of the plan to load.
        may_lack: Whether an empty result is allowed.

    Raises:
        ArtifactError: An utterance of the plan is missing from another artifact, or no utterance has one of the
            roles and ``may_lack`` is false.
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
