"""Speech-text alignment: the warm start of the adapter, the teacher, and KD-Regularization."""
