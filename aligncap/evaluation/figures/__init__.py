"""Figures 1 to 4, the charts of the report, and their drawing tools."""
