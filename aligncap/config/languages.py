"""The languages that a corpus may have: which codes there are, not which of them a model knows."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

# ISO 639-1, all 183 codes that are in force (https://www.loc.gov/standards/iso639-2/php/code_list.php).
ISO_639_1 = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo "
    "es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka "
    "kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng "
    "nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su "
    "sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu".split()
)
# Hawaiian and Cantonese have no code of two letters, and Whisper knows them by their codes of ISO 639-3.
LANGUAGES = ISO_639_1 | {"haw", "yue"}

WRONG = "'{}' is no ISO 639-1 code; write two small letters, such as en or zh"  # what is said of another code


def _checked(code: str) -> str:
    """Return a code of ``LANGUAGES``.

    Raises:
        ValueError: It is none of them; the message names the remedy.
    """
    if code not in LANGUAGES:
        raise ValueError(WRONG.format(code))
    return code


Language = Annotated[str, AfterValidator(_checked)]
