"""Corpora: one adapter each, and the captions of those that have labels only."""
