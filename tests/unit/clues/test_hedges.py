"""What becomes of a caption whose emotion is in doubt."""

import pytest

from aligncap.clues.doubt import hedge, in_doubt, settle
from aligncap.clues.hallucination_checks import CONTRADICTED, SUPPORTED, Truth, check
from aligncap.clues.parser.grammar import dominant_emotion, is_hedged, parse_clues
from aligncap.config import Doubt
from aligncap.vocabulary import Clue

SAD = "The speaker sounds sad, talking slowly."


def tags(**probability: float) -> list[Clue]:
    kinds = {"sad": "emotion", "angry": "emotion", "strong": "intensity", "slow": "rate", "high": "pitch"}
    return [Clue(kinds[lemma], lemma, lemma, probability=p) for lemma, p in probability.items()]


@pytest.mark.parametrize(
    ("caption", "hedged"),
    [
        (SAD, "The speaker sounds perhaps sad, talking slowly."),
        ("Her voice trembles with great sorrow.", "Her voice trembles perhaps with great sorrow."),
        ("An angry voice, talking fast.", "Perhaps an angry voice, talking fast."),
        ("She is very sad and close to tears.", "She is perhaps very sad and close to tears."),
        ("He speaks in a sad voice.", "He speaks perhaps in a sad voice."),
        ("Furious, her tone full of hatred.", "Perhaps furious, her tone full perhaps of hatred."),
        ("The speaker is not angry but sad.", "The speaker is not angry but perhaps sad."),
        ("A loud voice, talking fast.", "A loud voice, talking fast."),
    ],
)
def test_the_hedge_stands_before_what_asserts_the_emotion(caption: str, hedged: str) -> None:
    assert hedge(caption) == hedged
    assert hedge(hedged) == hedged, "what is hedged is not hedged again"


@pytest.mark.parametrize("caption", [SAD, "Her voice trembles with great sorrow.", "Utterly furious, she shouts."])
def test_a_hedged_emotion_is_an_assertion_of_the_same_emotion_and_degree(caption: str) -> None:
    def told(text: str) -> list[tuple[str, str, str, bool]]:
        return [(clue.kind, clue.lemma, clue.intensity, clue.negated) for clue in parse_clues(text)]

    assert told(hedge(caption)) == told(caption) and dominant_emotion(hedge(caption)) is not None
    assert is_hedged(hedge(caption)) and not is_hedged(caption)


@pytest.mark.parametrize("word", ["Perhaps", "Maybe", "Possibly", "Probably", "Presumably"])
def test_a_hedge_is_no_degree_and_does_not_excuse_a_wrong_emotion(word: str) -> None:
    clues = parse_clues(f"{word} sad, talking slowly.")
    assert is_hedged(f"{word} sad, talking slowly.") and {clue.kind for clue in clues} == {"emotion", "rate"}
    verdicts = [check(clues, Truth(emotion=emotion))[0].verdict for emotion in ("sad", "happy")]
    assert verdicts == [SUPPORTED, CONTRADICTED]


@pytest.mark.parametrize(
    "caption", ["As calm as a voice can possibly be.", "Perhaps loud, but sad.", "Perhaps loud, she is sad.", "Loud."]
)
def test_a_hedge_of_something_else_leaves_the_emotion_firm(caption: str) -> None:
    assert not is_hedged(caption)


@pytest.mark.parametrize(
    ("clues", "doubted"),
    [
        (tags(sad=0.5), False),
        (tags(sad=0.49), True),
        (tags(angry=0.9), True),
        (tags(slow=0.9), True),
        ([Clue("emotion", "worried", "worried", probability=0.9)], True),
    ],
)
def test_an_emotion_is_sure_where_the_tagger_is_sure_of_it(clues: list[Clue], doubted: bool) -> None:
    assert in_doubt(SAD, clues, 0.5) is doubted
    assert not in_doubt("A slow voice.", clues, 0.5), "what asserts no emotion is in no doubt about it"


def test_a_label_is_as_sure_as_its_class() -> None:
    assert not in_doubt("The speaker sounds afraid.", [Clue("emotion", "worried", "worried", probability=0.9)], 0.5)


@pytest.mark.parametrize(
    ("way", "clues", "caption"),
    [
        ("say", tags(sad=0.3), SAD),
        ("hedge", tags(sad=0.3), "The speaker sounds perhaps sad, talking slowly."),
        ("hedge", tags(sad=0.7), SAD),
        ("omit", tags(sad=0.7), SAD),
        ("omit", tags(sad=0.3, strong=0.9, slow=0.8, high=0.4), "The speaker talks slowly."),
        ("omit", tags(sad=0.3), "The speaker's feelings are hard to tell from the voice."),
        ("omit", tags(angry=0.8, slow=0.8), "The speaker sounds angry, speaking slowly."),
    ],
)
def test_what_is_in_doubt_is_said_hedged_or_omitted(way: str, clues: list[Clue], caption: str) -> None:
    assert settle(SAD, True, clues, Doubt(way=way)) == (caption, True)


def test_only_a_caption_in_other_words_is_finished_anew() -> None:
    cut = "The speaker sounds sad and"
    assert settle(cut, False, tags(sad=0.3), Doubt(way="omit"))[1]
    assert not settle(cut, False, tags(sad=0.3), Doubt(way="hedge"))[1]
    assert settle(cut, False, tags(sad=0.9), Doubt(way="omit")) == (cut, False)
