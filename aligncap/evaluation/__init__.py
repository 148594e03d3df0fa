"""Scoring captions: metrics, hallucinations, intervals, tables, report."""
