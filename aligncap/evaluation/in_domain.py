"""Some dev utterances of a training corpus, to measure a system in-domain as a test corpus measures it zero-shot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aligncap import artifacts
from aligncap.errors import ArtifactError
from aligncap.hashes import digest_of

RULE = "devset"


@dataclass(frozen=True)
class DevInputs:
    """What is read of a training corpus: the plan's roles, its ``labels`` artifact and its predicted ``clues``."""

    plan: Path
    references: Path
    predicted: Path


class DevFiles(NamedTuple):
    """The rows of both tables that are kept."""

    references: Path
    predicted: Path


def write_devset(limit: int, corpus: str, inputs: DevInputs, outputs: DevFiles) -> None:
    """Keep ``limit`` utterances of the ``dev`` role: speakers that no training step has used.

    Args:
        limit: how many, drawn by the hash of their names; all where there are fewer.
        corpus: a training corpus.
        inputs: what they are drawn from.
        outputs: what is kept.

    Raises:
        ArtifactError: the corpus has no dev utterance.
    """
    dev = [
        row["utterance_id"]
        for row in artifacts.read_rows(inputs.plan, "plan")
        if row["corpus"] == corpus and row["role"] == "dev"
    ]
    if not dev:
        raise ArtifactError(f"{inputs.plan}: {corpus} has no dev utterance to measure in-domain; raise splits.dev")
    kept = set(sorted(dev, key=lambda name: digest_of(corpus, name))[:limit])
    for source, schema, out in (
        (inputs.references, "labels", outputs.references),
        (inputs.predicted, "clues", outputs.predicted),
    ):
        rows = [row for row in artifacts.read_rows(source, schema) if row["utterance_id"] in kept]
        artifacts.write(rows, out, schema, RULE)
