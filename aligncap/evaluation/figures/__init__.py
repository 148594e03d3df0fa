"""Figures 1 to 3, the report's charts, and what they draw with."""
