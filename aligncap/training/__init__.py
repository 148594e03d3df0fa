"""Code that all training stages share: the training plan, the training data and the training loop."""
