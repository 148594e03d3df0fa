"""The script of captions: Chinese, Japanese and Korean ones, which are compared character by character."""

from __future__ import annotations

import re
from collections.abc import Iterable

LANGUAGES = {"en": "English", "zh": "Chinese", "ja": "Japanese", "ko": "Korean"}
_KANA, _HANGUL = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CHARACTER = re.compile(f"[{_HAN}{_KANA}{_HANGUL}]")
_MARK = re.compile(
    "[\u00b7\u2010-\u2027\u3001-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)
JAPANESE = 0.1  # share of kana from which on the text is Japanese; Chinese ones quote one now and then


def spaced(text: str) -> str:
    """Return a text with blanks around every Han, kana and hangul character, and without the marks between them.

    So each character is a word of its own. A text without such characters is returned as it is.
    """
    return _CHARACTER.sub(r" \g<0> ", _MARK.sub(" ", text)) if _CHARACTER.search(text) else text


def by_characters(text: str) -> bool:
    """Return whether at least half of a text is Han, kana or hangul, where every other word counts as one character."""
    units = re.findall(r"\w+", spaced(text))
    return bool(units) and 2 * sum(bool(_CHARACTER.match(unit)) for unit in units) >= len(units)


def language_of(texts: Iterable[str]) -> str | None:
    """Return the language of captions by their script: zh, ja, ko, and en for every other; None where none has words.

    What most texts are written in counts.
    """
    written = [text for text in texts if re.search(r"\w", text)]
    ours = [text for text in written if by_characters(text)]
    if 2 * len(ours) <= len(written):
        return "en" if written else None
    characters = _CHARACTER.findall("".join(ours))
    kana, hangul = (sum(bool(re.match(f"[{script}]", c)) for c in characters) for script in (_KANA, _HANGUL))
    if 2 * hangul > len(characters):
        return "ko"
    return "ja" if kana > JAPANESE * len(characters) else "zh"
