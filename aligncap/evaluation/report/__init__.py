"""The report: one self-contained page of tables, figures and examples, with links to the source files."""

from __future__ import annotations

from aligncap.evaluation.report.examples import pick_examples
from aligncap.evaluation.report.inputs import ReportInputs
from aligncap.evaluation.report.page import write_report

__all__ = ["ReportInputs", "pick_examples", "write_report"]
