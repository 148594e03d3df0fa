"""Clues to how a speaker sounds: parsed from captions (``parser``) or predicted from speech (``tagger``)."""
