"""What the fuzzer found in captions, by name; what it found in tables is in ``test_bad_headers.py``."""

import pytest

from aligncap.clues.parser.grammar import parse_clues, parse_many


@pytest.mark.parametrize("before", ["İ", "İİİ, ", "SİNİRLİ. "])
def test_a_letter_that_grows_in_lower_case_moves_no_clue(before: str) -> None:
    """The capital I with a dot is two letters in lower case, so words behind it were cut at other places."""
    caption = f"{before} She sounds dreadful and LOUD."
    found = parse_clues(caption)
    assert found and all(clue.word in caption and clue.word == clue.word.strip() for clue in found)
    assert "LOUD" in [clue.word for clue in found] and parse_many([caption]) == [found]
