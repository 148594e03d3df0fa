"""The input files of the report, and the names of systems and corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from aligncap.job import By

APART = ("chance", "external")  # stages that are no competitors: a floor, and captions of other models
TRAINED = ("alignment", "preference")
OfTest = Annotated[Mapping[str, Path], By("test")]
OfTable = Annotated[Mapping[str, Path], By("tables")]


@dataclass(frozen=True)
class ReportInputs:
    """The input files of the report.

    Attributes:
        table: Zero-shot ``table`` artifact.
        snapshot: File run.json.
        evaluations: (system, test corpus) -> ``evaluation`` artifact.
        references: Test corpus -> ``labels`` artifact.
        transcripts: Test corpus -> ``transcripts``.
        predicted: Test corpus -> predicted ``clues``.
        audio: Test corpus -> ``audio`` artifact, whose notes name the adapter; recordings are read from its paths.
        stages: System -> stage; a system without one is shown as a competitor.
        licences: Test corpus -> licence of its recordings, in words.
        training: Stage or system -> ``training`` log.
        synthetic: Test corpora of synthetic speech.
        tables: table1 … table4 -> ``table`` artifact, for tables that the experiment has.
        tests: table1 … table4 -> ``differences``.
        figures: figure1 … figure4 -> SVG, for figures that the experiment has.
        claims: ``claims`` artifact; None where the experiment lacks the systems.
        reliance: ``table`` artifact of ``tag_reliance``; None leaves the section out.
        assertions: ``assertions`` artifact; None leaves the section out.
    """

    table: Path
    snapshot: Path
    evaluations: Annotated[Mapping[tuple[str, str], Path], By("rows")]
    references: OfTest
    transcripts: OfTest
    predicted: OfTest
    audio: OfTest
    stages: Mapping[str, str] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    training: Annotated[Mapping[str, Path], By("trained")] = field(default_factory=dict)
    synthetic: Sequence[str] = ()
    tables: OfTable = field(default_factory=dict)
    tests: OfTable = field(default_factory=dict)
    figures: Annotated[Mapping[str, Path], By("figures")] = field(default_factory=dict)
    claims: Path | None = None
    reliance: Path | None = None
    assertions: Path | None = None
