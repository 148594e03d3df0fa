"""Result tables: the zero-shot table, and tables 1 to 4 derived from it, with paired tests."""

from __future__ import annotations

from aligncap.evaluation.tables.claims import CLAIM_HEADINGS, claims_in_words, write_claims
from aligncap.evaluation.tables.columns import (
    COLUMNS,
    METRICS,
    TITLES,
    best_value,
    by_corpus,
    footnotes,
    heading,
    interval_text,
    mark_of,
    present_columns,
    value_text,
)
from aligncap.evaluation.tables.comparison import ComparisonInputs, ComparisonSettings, TableFiles, write_comparison
from aligncap.evaluation.tables.render import TableForms, render_terminal
from aligncap.evaluation.tables.seeds import Difference, scores_by_corpus
from aligncap.evaluation.tables.zero_shot import paired_differences, write_zero_shot

__all__ = [
    "CLAIM_HEADINGS",
    "COLUMNS",
    "METRICS",
    "TITLES",
    "TableForms",
    "ComparisonInputs",
    "ComparisonSettings",
    "Difference",
    "TableFiles",
    "best_value",
    "by_corpus",
    "claims_in_words",
    "footnotes",
    "heading",
    "interval_text",
    "mark_of",
    "paired_differences",
    "present_columns",
    "render_terminal",
    "scores_by_corpus",
    "value_text",
    "write_claims",
    "write_comparison",
    "write_zero_shot",
]
