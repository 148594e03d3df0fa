"""The Chinese grammar as tables, for the README of this plugin: `python -m aligncap_zh.patterns` writes it."""

from __future__ import annotations

from pathlib import Path

from aligncap.clues.parser.patterns import Rule, put_in, rules_table, words_table

from . import words

PAGE = Path(__file__).resolve().parents[1] / "README.md"
RULES = (
    Rule("grammar", "EMOTION", "longest word of `words.py`: 不满 denies nothing", "内心不满"),
    Rule("grammar", "不|没有|并不|毫无 .. EMOTION", "denied, with a list behind it", "一点也不生气"),
    Rule("grammar", "忍不住|掩饰不住|不禁 EMOTION", "asserted", "忍不住大笑"),
    Rule("grammar", "不|没有 掩饰|压抑|控制 EMOTION", "asserted", "没有掩饰自己的愤怒"),
    Rule("grammar", "无法|难以 EMOTION", "denied, with 保持 or the like between at most", "内心无法平静"),
    Rule("grammar", "EMOTION 不起来|不下来", "denied", "高兴不起来"),
    Rule("grammar", "不|没有 FEELING", "neutral", "毫无感情"),
    Rule("grammar", "非常|十分|极其 .. EMOTION", "strong", "非常愤怒"),
    Rule("grammar", "EMOTION 不已|极了|万分", "strong", "难过不已"),
    Rule("grammar", "有点|略带|一丝 .. EMOTION", "weak", "略带忧伤"),
    Rule("grammar", "X ，但|却|而是 Y", "X is set aside, as in English", "声音平静却带着哭腔"),
    Rule("grammar", "X 转为|变成 Y", "X is set aside", "从高兴转为愤怒"),
    Rule("grammar", "虽然|尽管|与其 X", "X is set aside", "虽然笑着，但很伤心"),
    Rule("grammar", "表面上|故作|假装 X", "X is set aside", "表面平静，内心愤怒"),
    Rule("grammar", "EMOTION 的 EMOTION", "the first is set aside", "惊奇的喜悦"),
    Rule("grammar", "音调|声音|音量|语速 .. 高|大|快", "a value of the noun's scale", "声音大，语速快，音调高"),
    Rule("grammar", "压低|提高|放慢 NOUN", "likewise", "压低声音"),
    Rule("grammar", "NOUN 和 NOUN .. 高", "both", "音调和音量都很高"),
    Rule("grammar", "attribute words", "of their lists", "带着哭腔，声音颤抖，断断续续"),
    Rule("grammar", "idioms", "words of the lists", "怒不可遏"),
)


def render() -> str:
    """The generated part of the README."""
    return "\n".join([*words_table(words.EMOTION_WORDS, words.ATTRIBUTE_WORDS), "", *rules_table(RULES, "zh")]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(put_in(PAGE.read_text(encoding="utf-8"), render()), encoding="utf-8")
