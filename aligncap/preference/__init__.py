"""Preference optimisation: sampling of candidates, judges, preference pairs, and PO-Regularization."""
