"""The emotion grammar parser, which finds the clues in captions."""
