"""Speech-text alignment: the teacher, KD-Regularization, warm start."""
