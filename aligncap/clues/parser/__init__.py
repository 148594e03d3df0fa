"""The emotion grammar parser: captions to clues."""
