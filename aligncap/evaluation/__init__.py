"""Evaluation of captions: metrics, hallucinations, intervals, tables, figures and the report."""
