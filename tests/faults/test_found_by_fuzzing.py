"""What the fuzzer found in captions and answers, by name; what it found in tables is in ``test_bad_headers.py``."""

import json
from pathlib import Path

import pytest

from aligncap.clues.parser.grammar import parse_clues, parse_many
from aligncap.preference.judges.answers import AnswerCache, BadAnswer, read_answer


@pytest.mark.parametrize("before", ["İ", "İİİ, ", "SİNİRLİ. "])
def test_a_letter_that_grows_in_lower_case_moves_no_clue(before: str) -> None:
    """The capital I with a dot is two letters in lower case, so words behind it were cut at other places."""
    caption = f"{before} She sounds dreadful and LOUD."
    found = parse_clues(caption)
    assert found and all(clue.word in caption and clue.word == clue.word.strip() for clue in found)
    assert "LOUD" in [clue.word for clue in found] and parse_many([caption]) == [found]


def test_a_judge_that_gives_a_separator_as_its_reason_gives_none(tmp_path: Path) -> None:
    """Python strips the separators of ASCII, pydantic does not."""
    text = json.dumps({"factuality": 4.0, "faithfulness": 3.5, "why": "\x1e"})
    with pytest.raises(BadAnswer, match="why: .*should have at least 1 character"):
        read_answer(text)
    key = "ab" * 32
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / f"{key}.json").write_text(text, encoding="utf-8")
    assert AnswerCache(tmp_path).get(key) is None
