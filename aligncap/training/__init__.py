"""What every training stage shares: the plan, the data, the loop."""
