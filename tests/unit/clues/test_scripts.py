"""Scripts without blanks between words."""

import pytest

from aligncap.clues.scripts import by_characters, language_of, spaced


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("她的声音，很大。", ["她", "的", "声", "音", "很", "大"]),
        ("他叫Tom，「很」生气（真的）……", ["他", "叫", "Tom", "很", "生", "气", "真", "的"]),
        ("슬픈 목소리", ["슬", "픈", "목", "소", "리"]),
        ("カメラ、々", ["カ", "メ", "ラ", "々"]),
        ("𠀀", ["𠀀"]),
    ],
)
def test_each_character_is_a_word(text, words):
    assert spaced(text).split() == words


@pytest.mark.parametrize("text", ["She sounds sad — “truly”.", "naïve", "", "Она грустна"])
def test_other_texts_stay_as_they_are(text):
    assert spaced(text) is text and not by_characters(text)


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["他很生气", "她很开心", "Sad."], "zh"),
        (["她很 happy"], "zh"),
        (["She says 你好 and laughs"], "en"),
        (["彼女は悲しそうに話す"], "ja"),
        (["슬픈 목소리", "화난 목소리"], "ko"),
        (["Sad.", "他很生气"], "en"),
        (["Sad.", ""], "en"),
        (["", "…", "!"], None),
        ([], None),
    ],
)
def test_the_language_is_that_of_most_texts(texts, language):
    assert language_of(texts) == language
