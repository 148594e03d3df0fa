"""The grammar's tables: every pattern has an example in which it applies, and docs/parser.md shows what is true now."""

from pathlib import Path

import pytest

from aligncap.clues.parser import grammar
from aligncap.clues.parser.chunks import mentions
from aligncap.clues.parser.constructions import CONSTRUCTIONS, matching, parse_element
from aligncap.clues.parser.grammar import _pipeline, _tokens, dominant_emotion, parse_clues, parse_many
from aligncap.clues.parser.patterns import WRITTEN, put_in, reading, render

PAGE = Path(__file__).resolve().parents[3] / "docs" / "parser.md"

# What the examples of the construction table mean; written by hand, not by the parser.
READINGS = {
    "hardly a trace of joy in her voice": "not happy weak",
    "scarcely any fear to be heard": "not fearful",
    "spoken with barely any emotion": "neutral",
    "not angry so much as sad": "not angry, sad",
    "not a little annoyed": "angry strong",
    "She could not be more delighted.": "happy strong",
    "He couldn't be happier.": "happy strong",
    "would be happy if he were not so afraid": "not happy, fearful strong",
    "She has no control over her anger.": "angry",
    "The anger has vanished.": "not angry",
    "beside herself with grief": "sad strong",
    "out of her mind with worry": "worried strong [fearful]",
    "mad with joy": "happy strong",
    "weeping for joy": "happy strong",
    "overwhelmed by grief": "sad strong",
    "scared to death": "fearful strong",
    "happy to the point of tears": "happy strong",
    "the saddest of voices": "sad strong",
    "an undertone of sadness": "sad weak",
    "sad, if only a little": "sad weak",
    "The anger fades into sadness.": "sad, angry weak [sad]",
    "smiling, though sad": "sad, happy weak [sad]",
    "swinging from joy to despair": "sad strong, happy weak [sad]",
    "quick, with hardly any pauses": "rate fast, pause few",
    "long silences between the words": "pause many",
    "a slow burn of anger": "angry",
    "fast becoming angry": "angry",
    "faintly amused": "happy weak",
}


@pytest.mark.parametrize("number", range(len(CONSTRUCTIONS)), ids=lambda n: CONSTRUCTIONS[n].example)
def test_a_construction_applies_in_its_example(number):
    row = CONSTRUCTIONS[number]
    tokens = _tokens(_pipeline()(row.example.lower()))
    assert row in [found for found, _ in matching(tokens, mentions(tokens))]


@pytest.mark.parametrize(("caption", "said"), READINGS.items())
def test_readings_of_constructions(caption, said):
    assert caption in {row.example for row in CONSTRUCTIONS}
    assert reading(parse_clues(caption)) == said


def test_every_rule_has_an_example_that_is_read():
    assert all(parse_clues(rule.example) for rule in WRITTEN)


def test_the_page_is_what_the_parser_does():
    page = PAGE.read_text(encoding="utf-8")
    assert page == put_in(page, render()), "docs/parser.md is stale; run `python -m aligncap.clues.parser.patterns`"


def test_an_element_is_read():
    element = parse_element("EMOTION.JJR?=asserted+strong")
    assert (element.clue, element.penn, element.optional) == ("EMOTION", "JJR", True)
    assert element.effects == ("asserted", "strong")
    assert parse_element("DET|the").tags == {"DET"} and parse_element("DET|the").words == {"the"}


SENTENCES = [
    ("no longer angry, just tired and sad", "sad"),
    ("unable to hide her disgust", "disgusted"),
    ("He fails to hide his rage.", "angry"),
    ("refuses to be happy", None),
    ("seething with disgust", "disgusted"),
    ("zero emotion", "neutral"),
    ("begins calmly and ends in a rage", "angry"),
    ("She sounds polite; underneath she is seething.", "angry"),
    ("smiling through tears", "sad"),
    ("her blood is boiling", "angry"),
    ("her heart sinks", "sad"),
    ("on pins and needles", "fearful"),
    ("with butterflies in her stomach", "fearful"),
    ("at his wits' end", "fearful"),
    ("out of the blue", "surprised"),
    ("her jaw drops", "surprised"),
    ("cool as a cucumber", "neutral"),
    ("makes her stomach turn", "disgusted"),
    ("in stitches", "happy"),
    ("on top of the world", "happy"),
    ("a hint of sadness, above all worried", "fearful"),
]


@pytest.mark.parametrize(("caption", "expected"), SENTENCES)
def test_idioms_and_constructions_in_sentences(caption, expected):
    assert dominant_emotion(caption) == expected


@pytest.mark.parametrize(
    ("caption", "attributes"),
    [
        ("The voice is low-pitched.", {("pitch", "low")}),
        ("voice low-pitched", {("pitch", "low")}),
        ("a low-pitched voice", {("pitch", "low")}),
        ("Her low-pitched, quiet voice", {("pitch", "low"), ("level", "low")}),
        ("The voice is low.", {("level", "low")}),
        ("the pitch is higher than usual", {("pitch", "high")}),
        ("loudness is moderate", {("level", "mid")}),
        ("no pauses", {("pause", "few")}),
        ("fluent, with no hesitation", {("pause", "few")}),
        ("a quick temper", set()),
        ("faintly amused", set()),
        ("She speaks up.", {("level", "high")}),
    ],
)
def test_attributes(caption, attributes):
    found = {
        (c.kind, c.lemma) for c in parse_clues(caption) if c.kind not in ("emotion", "intensity") and not c.negated
    }
    assert found == attributes


def test_captions_in_a_batch_are_read_as_alone():
    captions = [row.example for row in CONSTRUCTIONS] + [caption for caption, _ in SENTENCES]
    grammar._KNOWN.clear()
    grammar._clues.cache_clear()
    together = parse_many(captions)
    grammar._KNOWN.clear()
    grammar._clues.cache_clear()
    assert together == [parse_clues(caption) for caption in captions]
