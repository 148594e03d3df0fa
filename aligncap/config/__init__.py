"""The one configuration: typed, closed (an unknown key is an error), and the source of its own JSON schema.

``config.yaml`` is the embedded default with every key explained; an overlay of ``experiments/`` is merged over it.
``load`` returns frozen models; everything downstream takes a section of them, never a raw dict.
"""

from __future__ import annotations

from aligncap.config.base import Section
from aligncap.config.corpora import CaptionSource, Corpus
from aligncap.config.judges import Judge, JudgeName, Judging, OpenAiJudge
from aligncap.config.loading import json_schema, load, parse
from aligncap.config.outputs import Figures, Representations, Table, Tables
from aligncap.config.sections import (
    OVERRIDABLE,
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
from aligncap.config.seeds import plain_name, seed_members
from aligncap.config.systems import candidates_name, lineage, pairs_name, resolve_system, variant
from aligncap.config.training import Adapter, Alignment, Optimisation, Teacher, TeacherSampling, WarmStart
from aligncap.config.validation import merge

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
    "json_schema",
    "lineage",
    "load",
    "merge",
    "candidates_name",
    "pairs_name",
    "parse",
    "plain_name",
    "resolve_system",
    "seed_members",
    "variant",
]
