"""Figures 1 to 3, the charts of the report, and their drawing tools."""
