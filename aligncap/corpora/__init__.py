"""Corpora: one adapter per format, and written captions for corpora that have labels only."""
