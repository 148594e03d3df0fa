"""MLflow: runs, their logs, the store, and what is read back from it."""
