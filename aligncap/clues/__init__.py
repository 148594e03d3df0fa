"""Clues: what a caption says of a voice (``parser``), and what is heard in one (``tagger``)."""
