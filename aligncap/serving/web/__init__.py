"""The two web pages of AlignCap: captions of recorded or uploaded speech, and blind comparison by people."""
