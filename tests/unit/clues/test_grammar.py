"""The emotion grammar parser on hand-written captions: emotions, negation, contrast, intensity, attributes."""

import pytest

from aligncap.clues.parser import grammar
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues, parse_many
from aligncap.errors import ConfigError
from aligncap.vocabulary import CLASSES, EMOTIONS, KINDS, Clue, canonical

DOMINANT = [
    ("The speaker sounds furious.", "angry"),
    ("slightly annoyed", "angry"),
    ("She shouts angrily.", "angry"),
    ("barely contained rage", "angry"),
    ("I am so angry I could scream", "angry"),
    ("Cheerful and in good spirits.", "happy"),
    ("tears of joy", "happy"),
    ("She cannot hide her joy.", "happy"),
    ("Laughing, full of delight.", "happy"),
    ("The voice is full of sadness.", "sad"),
    ("In tears, the voice broken.", "sad"),
    ("The mood is low.", "sad"),
    ("an upset tone", "sad"),
    ("Calm and matter-of-fact.", "neutral"),
    ("no emotion at all", "neutral"),
    ("neither happy nor sad", "neutral"),
    ("hard to say, no particular mood", "neutral"),
    ("devoid of any feeling", "neutral"),
    ("Taken aback by the news.", "surprised"),
    ("She finds it hard to believe.", "surprised"),
    ("pleasantly surprised", "surprised"),
    ("Shaking with fear.", "fearful"),
    ("a worried mother", "fearful"),
    ("Nervous and ill at ease.", "fearful"),
    ("Sick with revulsion.", "disgusted"),
    ("laughing scornfully", "disgusted"),
    ("nothing but contempt", "disgusted"),
]
NEGATION = [
    ("She is not at all angry.", None),
    ("She isn't happy.", None),
    ("anything but happy", None),
    ("There is no trace of fear in the voice.", None),
    ("He never loses his temper.", None),
    ("without any anger, she sounds sad", "sad"),
    ("Far from happy, the speaker is grieving.", "sad"),
    ("Not angry but sad.", "sad"),
    ("rather than panic, there is grief", "sad"),
    ("without anger, fear or sadness, just plain and neutral", "neutral"),
    ("Anger is completely absent; the speaker is relaxed.", "neutral"),
    ("The speaker does not sound sad or angry; she sounds amused.", "happy"),
    ("The speaker is not happy, he is devastated.", "sad"),
    ("He's anything but calm: he is raging.", "angry"),
    ("not only sad but also angry", "angry"),
    ("The speaker does not look happy.", None),
    ("She does not make an angry impression.", None),
    ("The voice does not bear any anger.", None),
    ("She does not look angry at all, rather calm.", "neutral"),
    ("There is no effort and no anger in the voice.", None),
    ("She is not yet angry.", None),
    ("She is not yet afraid, just curious.", "surprised"),
    ("The anger is gone.", None),
    ("Joy is lacking in her voice.", None),
    ("There is no end of joy in the voice.", "happy"),
    ("He can't bear his anger.", "angry"),
    ("She does not know what to do with her anger.", "angry"),
]
# Of one verb or noun what cannot be helped and what is simply not there: "cannot contain" and "does not contain".
LIFTED = [
    ("She is not calm.", None),
    ("She does not sound calm.", None),
    ("not at all calm", None),
    ("He cannot stay calm.", None),
    ("She cannot calm her anger.", "angry"),
    ("The voice does not contain any anger.", None),
    ("The tone does not contain anger.", None),
    ("She cannot contain her anger.", "angry"),
    ("He does not try to contain his anger.", "angry"),
    ("barely contained anger", "angry"),
    ("The voice does not hold any sadness.", None),
    ("She can't hold back the sadness.", "sad"),
    ("She does not hold back her anger.", "angry"),
    ("No anger is held back.", "angry"),
    ("There is no suppressed anger in the voice.", None),
    ("The voice does not hide any anger.", None),
    ("not masked by joy", None),
    ("far from hiding her anger, she shouts", "angry"),
    ("without hiding her joy", "happy"),
    ("There is no doubt that she is angry.", "angry"),
    ("without a doubt angry", "angry"),
    ("without doubt angry", "angry"),
    ("There is no doubt about her sadness.", "sad"),
    ("There is no doubt in the voice.", None),
    ("no wonder she is angry", "angry"),
    ("It is not a question of anger.", None),
    ("cannot control her anger", "angry"),
    ("does not control her anger", "angry"),
    ("She has no control over her anger.", "angry"),
    ("can't stop laughing", "happy"),
    ("can't help being angry", "angry"),
    ("You can't miss his joy.", "happy"),
    ("There is no mistaking the anger.", "angry"),
    ("not to be mistaken for anger", None),
    ("does not attempt to be cheerful", None),
    ("does not even attempt to hide her anger", "angry"),
    ("does not dare to be happy", None),
    ("does not dare to show his fear", "fearful"),
    ("does not care to be happy", None),
    ("can't shake off the sadness", "sad"),
    ("The voice does not shake with anger.", None),
    ("not angry just sad", "sad"),
    ("no smile to hide her sadness", "sad"),
    ("not very angry", None),
]
CONTRAST = [
    ("outwardly cheerful, inwardly tense", "fearful"),
    ("cheerful, but tearful", "sad"),
    ("calm, but tearful", "sad"),
    ("stern, but sad", "sad"),
    ("sad, but stern", "angry"),
    ("sad, but polite", "sad"),
    ("stern, but polite", "neutral"),
    ("stern, slightly sad", "sad"),
    ("Though nervous, she is stern.", "angry"),
    ("Though furious, she stays polite.", "angry"),
    ("on the surface cheerful, underneath tense", "fearful"),
    ("trying to hide her sadness, tense", "sad"),
    ("laughing while angry", "angry"),
    ("calm and polite, but tense and tearful", "fearful"),
    ("calm on the surface, but furious", "angry"),
    ("Furious underneath a calm manner.", "angry"),
    ("outwardly polite, inwardly seething", "angry"),
    ("very angry, yet calm in appearance", "angry"),
    ("The speaker sounds happy but a little sad.", "sad"),
    ("Though tired, she is cheerful.", "happy"),
    ("cheerful, though slightly nervous", "happy"),
    ("The tone is cheerful despite the sorrow.", "happy"),
    ("trying to sound cheerful, deeply unhappy", "sad"),
    ("Feigned joy hides real grief.", "sad"),
    ("more sad than angry", "sad"),
    ("less angry than sad", "sad"),
    ("Happy yet anxious", "fearful"),
]
NOTHING = [
    ("", None),
    ("A man speaks about the weather.", None),
    ("Loud and fast.", None),
    ("angry, happy, sad and afraid", None),
    ("The speaker's feelings are hard to tell from the voice.", None),
]


READ = [  # found by a reader who tried sentences of the kind that people write
    ("The man appears to be happy, speaking in a calm tone.", "happy"),
    ("The speaker appears to be very angry, perhaps a bit scared.", "angry"),
    ("The speaker wants to be heard and sounds angry, a little nervous.", "angry"),
    ("He tries to sound cheerful and sounds sad.", "sad"),
    ("The voice lacks warmth.", None),
    ("The voice lacks any emotion.", "neutral"),
    ("There is no lack of joy in her voice.", "happy"),
    ("She scarcely sounds happy.", None),
    ("Her voice hardly shows any joy.", None),
    ("She can hardly contain her joy.", "happy"),
    ("He rarely sounds happy.", None),
    ("There is no change in her mood: she remains sad.", "sad"),
    ("Without much expression, he sounds sad.", "sad"),
    ("Despite her smile she is sad.", "sad"),
    ("Though she smiles she is sad.", "sad"),
    ("Without any sign of stress he sounds happy.", "happy"),
    ("With no trace of fear she speaks proudly.", "happy"),
    ("She is too tired to be angry.", None),
    ("Never has she sounded so happy.", "happy"),
    ("I have never heard a sadder voice.", "sad"),
    ("One can't ignore the anger in his voice.", "angry"),
    ("No one could overlook her joy.", "happy"),
    ("It is not unusual for him to be angry.", "angry"),
    ("He sounds neither bored nor amused.", None),
    ("She sounds neither calm nor excited.", None),
    ("He sounds neither angry nor happy.", "neutral"),
    ("A sad voice lacking energy.", "sad"),
    ("She is sad that he is gone.", "sad"),
    ("He sounds worried about his missing child.", "fearful"),
    ("He sounds frustrated at not being heard.", "angry"),
    ("Her anger at not being heard is plain.", "angry"),
    ("An angry voice lacking any warmth.", "angry"),
    ("A barely audible voice full of sorrow.", "sad"),
    ("He speaks without a pause in an angry tone.", "angry"),
    ("A never-ending grief.", "sad"),
    ("Her little voice is full of joy.", "happy"),
    ("She is barely able to speak through her grief.", "sad"),
    ("There is no joy in her sad voice.", "sad"),
    ("She answers without hesitation in a cheerful tone.", "happy"),
    ("An older man speaks in a loud voice.", None),
    ("The intonation is dynamic, with occasional pauses.", None),
    ("The speaker sounds uninterested.", "neutral"),
    ("The speaker does not raise her voice, suggesting sadness or fatigue.", "sad"),
    ("The speaker initially sounds cheerful, then becomes sad.", "sad"),
    ("The mood shifts from a cheerful one to a sad one.", "sad"),
    ("Her joy gives way to a quiet sadness.", "sad"),
    ("She starts out happy and grows sad.", "sad"),
    ("She is not angry - she is amused.", "happy"),
    ("Not sad... more annoyed.", "angry"),
    ("She doesnt sound happy.", None),
    ("There is little variation in pitch and a calm tone.", "neutral"),
    ("She is not happy and a bit sad.", "sad"),
    ("Without any sign of anger the speaker sounds happy.", "happy"),
    ("Despite the smile there is sadness in her voice.", "sad"),
    ("She speaks with a sad smile.", "sad"),
    ("She smiles sadly.", "sad"),
    ("He puts strong stress on every word.", None),
    ("He is losing his patience.", "angry"),
    ("She is losing her composure.", None),
    ("There is a barely perceptible sadness in her voice.", "sad"),
    ("In spite of the bad news, she sounds relaxed.", "neutral"),
    ("She is trying not to cry.", "sad"),
    ("Spoken with minimal emotion.", "neutral"),
    ("There is no emotion other than anger.", "angry"),
    ("She is not in a happy mood.", None),
    ("He talks in a low-spirited tone.", "sad"),
    ("She is feeling low.", "sad"),
    ("The speaker sounds less than enthusiastic.", None),
    ("He sounds nothing short of furious.", "angry"),
    ("A relaxed, stress-free voice.", "neutral"),
    ("Her voice is surprisingly deep.", None),
]


@pytest.mark.parametrize(("caption", "expected"), DOMINANT + NEGATION + LIFTED + CONTRAST + NOTHING + READ)
def test_dominant_emotion(caption, expected):
    assert dominant_emotion(caption) == expected
    assert dominant_emotion(parse_clues(caption)) == expected


@pytest.mark.parametrize(
    ("caption", "kind", "values"),
    [
        ("a loud voice", "level", {"high"}),
        ("She whispers.", "level", {"low"}),
        ("in a low voice", "level", {"low"}),
        ("The volume drops.", "level", {"low"}),
        ("Her voice is slightly raised.", "level", {"high"}),
        ("neither loud nor soft", "level", {"mid"}),
        ("moderate volume", "level", {"mid"}),
        ("a high voice", "pitch", {"high"}),
        ("a deep voice", "pitch", {"low"}),
        ("deep sorrow", "pitch", set()),
        ("in high spirits", "pitch", set()),
        ("low in both pitch and volume", "pitch", {"low"}),
        ("low in both pitch and volume", "level", {"low"}),
        ("The voice is low in pitch.", "pitch", {"low"}),
        ("The voice is low in pitch.", "level", set()),
        ("The tone is low in volume.", "pitch", set()),
        ("The voice is deep and the pace is fast.", "rate", {"fast"}),
        ("The voice is deep and the pace is fast.", "pitch", {"low"}),
        ("The tone is not high and the pace not slow.", "rate", set()),
        ("The speaker never raises the voice.", "level", set()),
        ("The pitch rises.", "pitch", {"high"}),
        ("high-pitched and shrill", "pitch", {"high"}),
        ("raised intonation", "pitch", {"high"}),
        ("speaking very fast", "rate", {"fast"}),
        ("slow, drawn-out phrases", "rate", {"slow"}),
        ("an even, steady tempo", "rate", {"mid"}),
        ("The pace is no faster or slower than usual.", "rate", {"mid"}),
        ("a trembling voice", "timbre", {"trembling"}),
        ("husky and breathy", "timbre", {"hoarse", "breathy"}),
        ("with many pauses", "pause", {"many"}),
        ("He is clearly angry.", "timbre", set()),
        ("clearly audible sadness", "timbre", set()),
        ("She speaks clearly and calmly.", "timbre", {"bright"}),
        ("Her voice is not raised.", "level", set()),
        ("The voice is never raised.", "level", set()),
        ("She seldom raises her voice.", "level", set()),
        ("The speaker takes no time to breathe.", "rate", set()),
        ("She takes her time.", "rate", {"slow"}),
        ("There is little variation in pitch.", "pitch", set()),
        ("little volume", "level", {"low"}),
        ("Her pitch is even higher.", "pitch", {"high"}),
        ("Even her pace is slow.", "rate", {"slow"}),
        ("an even pace", "rate", {"mid"}),
    ],
)
def test_vocal_attributes(caption, kind, values):
    assert {c.lemma for c in parse_clues(caption) if c.kind == kind and not c.negated} == values


@pytest.mark.parametrize(
    ("caption", "intensity"),
    [
        ("very sad", "strong"),
        ("deep sorrow", "strong"),
        ("a touch of sadness", "weak"),
        ("mildly surprised", "weak"),
        ("sad", "normal"),
        ("furious", "strong"),
        ("slightly furious", "normal"),
        ("a hint of worry", "weak"),
        ("sad to the core", "strong"),
        ("angry, a little nervous", "normal"),
    ],
)
def test_intensity_of_the_emotion(caption, intensity):
    clues = parse_clues(caption)
    assert clues[0].kind == "emotion" and clues[0].intensity == intensity
    assert [c.lemma for c in clues if c.kind == "intensity"] == ([] if intensity == "normal" else [intensity])


def test_denied_clues_stay_visible_as_denied():
    clues = parse_clues("not loud, and not angry")
    assert {(c.kind, c.lemma) for c in clues if c.negated} == {("level", "high"), ("emotion", "angry")}


def test_the_firmest_emotion_stands_first_and_what_is_set_aside_last():
    def said(caption):
        return [(c.lemma, c.intensity) for c in parse_clues(caption) if c.kind == "emotion"]

    assert said("slightly annoyed, very sad") == [("sad", "strong"), ("angry", "weak")]
    assert said("outwardly sad, stern") == [("angry", "normal"), ("sad", "weak")]
    assert said("stern, slightly sad") == [("sad", "weak"), ("angry", "normal")]
    assert said("heartbroken, yet powerless") == [("sad", "strong"), ("sad", "normal")]  # no contrast


def test_only_the_doubt_or_the_calm_is_denied():
    for caption, denied in (("no doubt that she is angry", "surprised"), ("cannot calm her anger", "calm")):
        emotions = {(c.lemma, c.negated) for c in parse_clues(caption) if c.kind == "emotion"}
        assert emotions == {(denied, True), ("angry", False)}


def test_words_are_those_of_the_caption():
    caption = "Deeply Sad, with a HIGH-pitched voice."
    assert all(c.word in caption for c in parse_clues(caption))


def test_finer_labels_are_kept_and_kinds_are_known():
    clues = parse_clues("Worried, scornful and calm, loud, slow, hoarse, pausing.")
    assert {c.lemma for c in clues if c.kind == "emotion"} == {"worried", "contemptuous", "calm"}
    assert {c.kind for c in clues} <= set(KINDS)


def test_canonical_labels():
    assert {canonical(label) for label in EMOTIONS} == set(CLASSES)
    assert canonical("other") is None and canonical(None) is None


def test_clue_round_trip_and_many():
    clues = parse_clues("very sad")
    assert [Clue.from_dict(c.to_dict()) for c in clues] == clues
    assert parse_many(["very sad", ""]) == [clues, []]


def test_a_chinese_caption_without_its_grammar_is_one_line_that_says_what_to_install(monkeypatch):
    grammar._plugin.cache_clear()
    monkeypatch.setattr(grammar, "entry_points", lambda **_: [])
    with pytest.raises(ConfigError, match=r"'zh', there is one for en; `pip install plugins/aligncap-zh`[^\n]*$"):
        parse_clues("愤怒", "zh")


@pytest.mark.parametrize(
    ("caption", "intensity"),
    [
        ("She speaks very quickly in an angry tone.", "normal"),
        ("A slightly raised pitch conveying annoyance.", "normal"),
        ("Very softly, she sounds sad.", "normal"),
        ("There is no strong feeling in the voice.", "normal"),
        ("A hint of quiet sadness.", "weak"),
        ("A very sad, loud voice.", "strong"),
    ],
)
def test_a_degree_belongs_to_the_clue_behind_it(caption, intensity):
    clues = parse_clues(caption)
    assert clues[0].kind == "emotion" and clues[0].intensity == intensity


@pytest.mark.parametrize(
    ("caption", "kind", "value"),
    [
        ("There is no particular emotion in this quiet voice.", "level", "low"),
        ("Her voice barely rises above a whisper.", "level", "low"),
        ("A hint of joy - the voice is loud.", "level", "high"),
        ("He speaks in a deep, calm voice.", "pitch", "low"),
        ("She talks in a low, sad voice.", "level", "low"),
        ("With a raised, angry voice.", "level", "high"),
        ("Speaking at a low, calm volume.", "level", "low"),
        ("In a raised, low-pitched voice.", "pitch", "low"),
    ],
)
def test_what_the_voice_is_like_is_asserted(caption, kind, value):
    assert [(c.lemma, c.negated) for c in parse_clues(caption) if c.kind == kind] == [(value, False)]


@pytest.mark.parametrize(
    ("caption", "kind"),
    [
        ("There is a faint hint of annoyance in her voice.", "level"),
        ("It is clear that the speaker is frustrated.", "timbre"),
        ("Thinly veiled contempt.", "timbre"),
        ("She is reading out loud.", "level"),
    ],
)
def test_a_word_of_another_meaning_says_nothing_of_the_voice(caption, kind):
    assert [c for c in parse_clues(caption) if c.kind == kind] == []
