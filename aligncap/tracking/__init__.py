"""Tracking with MLflow: the logs of runs, the import into the store, and the look-up of runs."""
