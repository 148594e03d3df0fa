"""The one configuration: typed, closed (an unknown key is an error), and the source of its own JSON schema.

The defaults are here and nowhere else. ``config.yaml``, the embedded default with every key explained, is written from
them (``writing``, ``make config``); an overlay of ``experiments/`` is merged over it. Sections are data and validation,
nothing else: what an artifact depends on is code that its rule's digest sees, and the digest does not look in here.
``aligncap.systems`` reads files of configuration, and knows what systems are.
"""

from __future__ import annotations

from aligncap.config.base import Section
from aligncap.config.corpora import CaptionSource, Corpus
from aligncap.config.judges import Judge, JudgeName, Judging, OpenAiJudge
from aligncap.config.outputs import Figures, Representations, Table, Tables
from aligncap.config.pairs import Candidates, Pairs, VllmServer
from aligncap.config.preference import Preference, PreferenceTraining
from aligncap.config.rows import OVERRIDABLE, OVERRIDABLE_PREFERENCE, System
from aligncap.config.sections import (
    AlignCapConfig,
    Compute,
    Decoding,
    Doubt,
    Evaluation,
    Features,
    Lora,
    Prompts,
    Report,
    SpeechSettings,
    Splits,
    TaggerSettings,
    Tracking,
    Transcripts,
)
from aligncap.config.sources import Models, ModelSource
from aligncap.config.training import (
    AdapterSettings,
    Alignment,
    Launch,
    Optimisation,
    Teacher,
    TeacherSampling,
    WarmStart,
)
from aligncap.config.validation import validated

__all__ = [
    "AdapterSettings",
    "AlignCapConfig",
    "Alignment",
    "Candidates",
    "CaptionSource",
    "Compute",
    "Corpus",
    "Decoding",
    "Doubt",
    "Evaluation",
    "Features",
    "Figures",
    "Judge",
    "JudgeName",
    "Judging",
    "Launch",
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
    "SpeechSettings",
    "Splits",
    "System",
    "Table",
    "Tables",
    "TaggerSettings",
    "Teacher",
    "TeacherSampling",
    "Tracking",
    "Transcripts",
    "VllmServer",
    "WarmStart",
    "validated",
]
