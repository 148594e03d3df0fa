"""Preference optimisation: candidates, judges, pairs, training."""
