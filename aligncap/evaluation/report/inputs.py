"""Every file that the report reads, and how the files name the systems and corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from aligncap.job import By

APART = ("chance", "external")  # stages that are no competitors: a floor, and what others' models wrote
TRAINED = ("alignment", "preference")
OfTest = Annotated[Mapping[str, Path], By("test")]
OfTable = Annotated[Mapping[str, Path], By("tables")]


@dataclass(frozen=True)
class ReportInputs:
    """Every file that the report reads.

    Attributes:
        table: the zero-shot ``table`` artifact.
        snapshot: run.json.
        evaluations: (system, test corpus) -> ``evaluation`` artifact.
        references: test corpus -> ``labels`` artifact.
        transcripts: test corpus -> ``transcripts``.
        predicted: test corpus -> predicted ``clues``.
        audio: test corpus -> ``audio`` artifact, whose notes name the adapter; recordings are read from its paths.
        stages: system -> stage; a system without one is shown as a competitor.
        licences: test corpus -> licence of its recordings, in words.
        training: stage or system -> ``training`` log.
        out_of_fold: the tagger's out-of-fold predictions; None where no system has a tagger.
        pairs: name -> ``preference_pairs``.
        synthetic: test corpora that are computer-made speech.
        tables: table1 … table4 -> ``table`` artifact, those that the experiment has.
        tests: likewise -> ``differences``.
        figures: figure1 … figure3 -> SVG, those that the experiment has.
        claims: the ``claims`` artifact; None where the experiment lacks the systems.
        reliance: the ``table`` of ``tag_reliance``; None leaves the section out.
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
    out_of_fold: Path | None = None
    pairs: Annotated[Mapping[str, Path], By("pairs")] = field(default_factory=dict)
    synthetic: Sequence[str] = ()
    tables: OfTable = field(default_factory=dict)
    tests: OfTable = field(default_factory=dict)
    figures: Annotated[Mapping[str, Path], By("figures")] = field(default_factory=dict)
    claims: Path | None = None
    reliance: Path | None = None
