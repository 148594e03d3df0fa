"""The Chinese parser on sentences of ours: segmentation, negation, degree, contrast, attributes, and the interface."""

import pytest
from aligncap_zh import patterns, words
from aligncap_zh.grammar import cut

from aligncap.clues.parser.grammar import dominant_emotion, is_chinese, parse_clues, parse_many
from aligncap.clues.parser.patterns import put_in
from aligncap.errors import ConfigError
from aligncap.vocabulary import CLASSES, EMOTIONS, KINDS, canonical


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("非常愤怒", "angry"),
        ("内心不满", "angry"),
        ("说话的人很开心", "happy"),
        ("忍不住大笑", "happy"),
        ("前所未有的愤怒", "angry"),
        ("从未有过的喜悦", "happy"),
        ("无言的悲伤", "sad"),
        ("无处发泄的愤怒", "angry"),
        ("无缘无故地生气", "angry"),
        ("充满了不甘和愤怒", "angry"),
        ("不易察觉的悲伤", "sad"),
        ("掩饰不住的喜悦", "happy"),
        ("喜极而泣", "happy"),
        ("难掩悲伤", "sad"),
        ("有点担心", "fearful"),
        ("不无担忧", "fearful"),
        ("语气厌恶", "disgusted"),
        ("不屑一顾", "disgusted"),
        ("难以置信", "surprised"),
        ("心平气和", "neutral"),
        ("毫无感情", "neutral"),
        ("没有愤怒，也没有悲伤", "neutral"),
        ("她一点也不生气", None),
        ("没有不满", None),
        ("既没有喜悦也没有悲伤", "neutral"),
        ("没有恐惧也没有愤怒，只是平静", "neutral"),
        ("语气缺乏热情", None),
        ("缺乏感情", "neutral"),
        ("她的语速不快。", None),
        ("他说话不快。", None),
        ("他心里不快。", "angry"),
        ("说话人对未来充满期待和喜悦", "happy"),
        ("对未知事物充满了好奇", "surprised"),
        ("告别时声音悲伤", "sad"),
        ("别人很生气", "angry"),
        ("语气无辜又委屈", "angry"),
        ("非凡的喜悦", "happy"),
        ("个别字带着愤怒", "angry"),
        ("不公让他愤怒", "angry"),
        ("没有害怕的感觉", None),
        ("并不开心，而是难过", "sad"),
        ("不是生气而是害怕", "fearful"),
        ("不再生气，只是难过", "sad"),
        ("既不高兴也不难过", "neutral"),
        ("虽然笑着，但很伤心", "sad"),
        ("表面平静，内心愤怒", "angry"),
        ("故作镇定，其实很害怕", "fearful"),
        ("声音平静却充满悲伤", "sad"),
        ("与其说生气，不如说失望", "sad"),
        ("从高兴转为愤怒", "angry"),
        ("惊奇的喜悦", "happy"),
        ("内心无法平静", None),
        ("无法让自己平静下来", None),
        ("难以平静", None),
        ("难以保持镇定", None),
        ("高兴不起来", None),
        ("心情平静不下来", None),
        ("无法抑制内心的愤怒", "angry"),
        ("无法控制自己的愤怒", "angry"),
        ("无法掩饰愤怒", "angry"),
        ("无法压抑心中的愤怒", "angry"),
        ("无法平息的怒火", "angry"),
        ("难以掩饰的喜悦", "happy"),
        ("难以忘怀的悲伤", "sad"),
        ("压抑不住内心的喜悦", "happy"),
        ("没有掩饰自己的愤怒", "angry"),
        ("不再压抑悲伤", "sad"),
        ("控制不了的愤怒", "angry"),
        ("没有压抑的感觉", None),
        ("毫无疑问生气", "angry"),
        ("声音平静却带着哭腔", "sad"),
        ("表面高兴，内心无奈", "sad"),
        ("故作开心，声音带着哭腔", "sad"),
        ("平静，但略显无奈", "sad"),
        ("虽然生气，但是很客气", "angry"),
        ("委屈和气愤", "angry"),
        ("今天天气很好", None),
        ("", None),
    ],
)
def test_dominant_emotion(caption, expected):
    assert dominant_emotion(caption, "zh") == expected
    assert dominant_emotion(parse_clues(caption, "zh")) == expected


@pytest.mark.parametrize(
    ("caption", "intensity"),
    [
        ("非常愤怒", "strong"),
        ("难过不已", "strong"),
        ("高兴极了", "strong"),
        ("暴怒", "strong"),
        ("十分悲伤和愤怒", "strong"),
        ("生气", "normal"),
        ("较为难过", "normal"),
        ("有点担心", "weak"),
        ("一丝喜悦", "weak"),
        ("略带忧伤", "weak"),
    ],
)
def test_intensity(caption, intensity):
    clues = parse_clues(caption, "zh")
    assert clues[0].intensity == intensity
    assert [c.lemma for c in clues if c.kind == "intensity"] == ([] if intensity == "normal" else [intensity])


@pytest.mark.parametrize(
    ("caption", "attributes"),
    [
        ("声音很大", {("level", "high")}),
        ("声音大，语速快，音调高", {("level", "high"), ("rate", "fast"), ("pitch", "high")}),
        ("语速比较慢，音调比较低", {("rate", "slow"), ("pitch", "low")}),
        ("压低声音", {("level", "low")}),
        ("放慢语速", {("rate", "slow")}),
        ("语速适中", {("rate", "mid")}),
        ("声音低沉", {("pitch", "low")}),
        ("音调和音量都很高", {("pitch", "high"), ("level", "high")}),
        ("小声说话", {("level", "low")}),
        ("声音颤抖，沙哑", {("timbre", "trembling"), ("timbre", "hoarse")}),
        ("带着哭腔，断断续续", {("timbre", "tearful"), ("pause", "many")}),
        ("没有停顿", {("pause", "few")}),
        ("语速不快", set()),
        ("声音不大，音调不高", set()),
        ("音量不低", set()),
        ("音调和音量都不高", set()),
        ("他并不生气，声音很大", {("level", "high")}),
        ("心情低落", set()),
    ],
)
def test_vocal_attributes(caption, attributes):
    clues = parse_clues(caption, "zh")
    assert {(c.kind, c.lemma) for c in clues if c.kind not in ("emotion", "intensity") and not c.negated} == attributes
    assert {c.kind for c in clues} <= set(KINDS)


@pytest.mark.parametrize(("caption", "denied"), [("声音不大", ("level", "high")), ("语速不高", ("rate", "fast"))])
def test_a_denied_scale_word_is_a_denied_clue(caption, denied):
    assert [(c.kind, c.lemma) for c in parse_clues(caption, "zh") if c.negated] == [denied]


def test_words_are_those_of_the_caption_and_the_longest():
    assert [word.text for word in cut("他很不满")] == ["他", "很", "不满"]
    clues = parse_clues("语速很快，十分不满", "zh")
    assert [(c.word, c.negated) for c in clues if c.kind == "emotion"] == [("不满", False)]
    assert [c.word for c in clues if c.kind == "rate"] == ["语速很快"]


def test_lists_are_sound():
    assert set(words.EMOTION_WORDS) == set(EMOTIONS)
    for label, text in words.EMOTION_WORDS.items():
        items = [item.rstrip("!?") for item in text.split()]
        assert len(items) == len(set(items)), label
        assert all(is_chinese(item) for item in items) and canonical(label) in CLASSES


def test_languages_share_one_interface():
    assert parse_many(["非常愤怒", ""], "zh") == [parse_clues("非常愤怒", "zh"), []]
    with pytest.raises(ConfigError, match="language 'de'"):
        parse_clues("sehr traurig", "de")


def test_every_rule_has_an_example_that_it_reads_and_the_readme_shows_what_is_true_now():
    assert all(parse_clues(rule.example, "zh") for rule in patterns.RULES)
    page = patterns.PAGE.read_text(encoding="utf-8")
    assert page == put_in(page, patterns.render()), "run `python -m aligncap_zh.patterns`"
