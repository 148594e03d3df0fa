"""The one configuration: typed, closed (an unknown key is an error), and the source of its own JSON schema.

``config.yaml`` is the embedded default with every key explained; an overlay of ``experiments/`` is merged over it.
Sections are data and validation, nothing else: what an artifact depends on is code that its rule's digest sees, and the
digest does not look in here. ``aligncap.systems`` reads files of configuration, and knows what systems are.
"""

from __future__ import annotations

from aligncap.config.base import Section
from aligncap.config.corpora import CaptionSource, Corpus
from aligncap.config.judges import Judge, JudgeName, Judging, OpenAiJudge
from aligncap.config.outputs import Figures, Representations, Table, Tables
from aligncap.config.sections import (
    OVERRIDABLE,
    OVERRIDABLE_PREFERENCE,
    AlignCapConfig,
    Candidates,
    Compute,
    Decoding,
    Evaluation,
    Features,
    Lora,
    Models,
    ModelSource,
    Pairs,
    Preference,
    PreferenceTraining,
    Prompts,
    Report,
    Splits,
    System,
    Tagger,
    Tracking,
    Transcripts,
)
from aligncap.config.training import Adapter, Alignment, Optimisation, Teacher, TeacherSampling, WarmStart
from aligncap.config.validation import validated

__all__ = [
    "Adapter",
    "AlignCapConfig",
    "Alignment",
    "Candidates",
    "CaptionSource",
    "Compute",
    "Corpus",
    "Decoding",
    "Evaluation",
    "Features",
    "Figures",
    "Judge",
    "JudgeName",
    "Judging",
    "Lora",
    "ModelSource",
    "Models",
    "OVERRIDABLE",
    "OVERRIDABLE_PREFERENCE",
    "OpenAiJudge",
    "Optimisation",
    "Pairs",
    "Preference",
    "PreferenceTraining",
    "Prompts",
    "Report",
    "Representations",
    "Section",
    "Splits",
    "System",
    "Table",
    "Tables",
    "Tagger",
    "Teacher",
    "TeacherSampling",
    "Tracking",
    "Transcripts",
    "WarmStart",
    "validated",
]
