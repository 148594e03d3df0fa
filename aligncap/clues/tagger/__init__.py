"""The clue tagger, which predicts clues from speech features."""
