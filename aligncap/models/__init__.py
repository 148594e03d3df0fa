"""Weights: where they come from, how foreign formats are read, and where models run."""
