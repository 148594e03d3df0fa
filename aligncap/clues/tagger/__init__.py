"""The clue tagger: speech features to clues."""
