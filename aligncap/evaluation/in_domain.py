"""Some dev utterances of a training corpus, to measure a system in-domain as a test corpus measures it zero-shot."""

from __future__ import annotations

from pathlib import Path

from aligncap import artifacts
from aligncap.errors import ArtifactError
from aligncap.hashes import digest_of

RULE = "devset"


def write_devset(
    limit: int, corpus: str, plan: Path, references: Path, predicted: Path, references_out: Path, predicted_out: Path
) -> None:
    """Keep ``limit`` utterances of the ``dev`` role: speakers that no training step has used.

    Args:
        limit: how many, drawn by the hash of their names; all where there are fewer.
        corpus: a training corpus.
        plan: roles.
        references: ``labels`` artifact of the corpus.
        predicted: predicted ``clues`` of the corpus.
        references_out: the rows of ``references`` that are kept.
        predicted_out: the rows of ``predicted`` that are kept.

    Raises:
        ArtifactError: the corpus has no dev utterance.
    """
    dev = [
        row["utterance_id"]
        for row in artifacts.read_rows(plan, "plan")
        if row["corpus"] == corpus and row["role"] == "dev"
    ]
    if not dev:
        raise ArtifactError(f"{plan}: {corpus} has no dev utterance to measure in-domain; raise splits.dev")
    kept = set(sorted(dev, key=lambda name: digest_of(corpus, name))[:limit])
    for source, schema, out in ((references, "labels", references_out), (predicted, "clues", predicted_out)):
        rows = [row for row in artifacts.read_rows(source, schema) if row["utterance_id"] in kept]
        artifacts.write(rows, out, schema, RULE)
