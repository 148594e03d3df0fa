"""Selection of dev utterances of a training corpus, to measure a system in-domain as on a test corpus."""

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
    """The input files of a training corpus: the plan's roles, its ``labels`` artifact and its predicted ``clues``."""

    plan: Path
    references: Path
    predicted: Path


class DevFiles(NamedTuple):
    """The selected rows of both artifacts."""

    references: Path
    predicted: Path


def write_devset(limit: int, corpus: str, inputs: DevInputs, outputs: DevFiles) -> None:
    """Select ``limit`` utterances of the ``dev`` role, whose speakers no training step has used.

    Args:
        limit: Number of utterances, drawn by the hash of their names; all where there are fewer.
        corpus: Name of a training corpus.
        inputs: Artifacts from which they are drawn.
        outputs: Artifacts with the selected utterances.

    Raises:
        ArtifactError: The corpus has no dev utterance.
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
