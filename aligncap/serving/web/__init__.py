"""The two pages that AlignCap serves: captions of what you say or drop, and blind comparison by people."""
