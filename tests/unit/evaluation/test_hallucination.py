"""What counts as a hallucination and what does not."""

from __future__ import annotations

import pytest

from aligncap.clues.hallucination_checks import Truth, factuality_flags, faithfulness_flags
from aligncap.clues.parser.grammar import parse_clues
from aligncap.evaluation.hallucination import METRICS, examine, second_values


@pytest.mark.parametrize(
    ("caption", "truth", "kinds"),
    [
        ("The speaker sounds sad.", Truth("angry"), ["emotion"]),
        ("The speaker sounds angry.", Truth("angry"), []),
        ("The speaker sounds angry.", Truth(), []),
        ("Speaking in a loud voice.", Truth(level="low"), ["level"]),
        ("Speaking in a loud voice.", Truth(level="mid"), []),
        ("Speaking in a loud voice.", Truth(level="high"), []),
        ("The speaker sounds sad and speaks fast.", Truth("sad", rate="slow"), ["rate"]),
        ("A high-pitched voice.", Truth(pitch="low"), ["pitch"]),
        ("The voice is there.", Truth("angry", "low", "low", "slow"), []),
        ("The speaker is not angry.", Truth("angry"), ["emotion"]),
    ],
)
def test_factuality(caption, truth, kinds):
    assert [flag.split(":")[0] for flag in factuality_flags(parse_clues(caption), truth)] == kinds


@pytest.mark.parametrize(
    ("caption", "kinds"),
    [
        ("The speaker sounds sad and speaks quietly.", set()),
        ("Angry, with a raised voice", set()),
        ("The speaker is sad because the train left.", {"event", "place"}),
        ("She sounds sad.", {"gender"}),
        ("Sad, as if the whole family had left.", {"event", "person"}),
        ("Speaking sadly to her mother at the hospital.", {"gender", "person", "place"}),
        ("A sad voice, thinking of Robert.", {"person"}),
        ("The speaker says come over here right now angrily.", {"transcript"}),
        ("The speaker sounds sad and", {"unfinished"}),
        ("", {"off_instruction"}),
        ("Sure, a sad voice.", {"off_instruction"}),
        ("I am sad.", {"persona"}),
        ("very sad tone, very sad tone, very sad tone, very sad tone", {"repetition"}),
        ("A sad voice. A quiet tone. A slow pace.", {"off_instruction"}),
        ("Bananas grow well.", {"off_instruction"}),
        ("sad " * 70, {"off_instruction", "repetition"}),
    ],
)
def test_faithfulness(caption, kinds):
    flags = faithfulness_flags(caption, "Come over here right now!", ["A plain reference."])
    assert {flag.split(":")[0] for flag in flags} == kinds


def test_what_a_reference_or_the_transcript_names_is_not_invented():
    text = "She sounds sad and misses her mother."
    assert faithfulness_flags(text, "", [text]) == []
    assert faithfulness_flags("A sad voice, missing a friend.", "my friend is gone", []) == []
    # A transcript does not tell the speaker's gender.
    assert faithfulness_flags("She sounds sad.", "she is gone", []) == ["gender: she"]


def test_length_limit_is_unfinished():
    assert faithfulness_flags("A sad voice.", "", [], finished=False)[0].startswith("unfinished")


def test_saying_nothing_is_no_success():
    verdict = examine("The voice speaks at length.", Truth("sad"), "", [])
    assert set(verdict.values) == set(METRICS)
    assert verdict.dominant is None and verdict.values["coverage"] == 0 and verdict.values["emotion_agreement"] == 0
    assert verdict.values["factuality_hallucination"] == 0
    assert verdict.values["factuality_hallucination_covered"] is None
    assert verdict.values["asserted_clues"] == 0 and verdict.values["contradicted_clues"] is None


def test_a_degree_alone_is_nothing_to_compare_with():
    assert examine("Slightly sad.", Truth(intensity="strong"), "", []).values["factuality_hallucination"] is None


def test_nothing_known_gives_no_figure():
    values = examine("The speaker sounds sad.", Truth(), "", []).values
    assert values["emotion_agreement"] is None and values["factuality_hallucination"] is None


@pytest.mark.parametrize(
    ("caption", "asserted", "contradicted"),
    [
        ("Angry, speaking loudly and fast in a high voice.", 3, 1 / 3),  # pitch was not measured
        ("Sad, speaking quietly and slowly.", 3, 2 / 3),
        ("The speaker sounds angry.", 1, 0.0),
        ("Not angry.", 1, 1.0),
        ("Speaking fast.", 1, 1.0),
        ("Not angry, speaking loudly.", 2, 1 / 2),
        ("Slightly angry, and quiet.", 2, 1 / 2),  # the degree is a hallucination, and part of its emotion here
    ],
)
def test_the_share_of_clues_that_contradict(caption, asserted, contradicted):
    truth = Truth(emotion="angry", level="high", rate="slow", intensity="strong")
    values = examine(caption, truth, "", []).values
    assert values["asserted_clues"] == asserted and values["contradicted_clues"] == pytest.approx(contradicted)


def test_the_second_instrument_counts_what_it_is_unsure_of_as_no_hallucination_and_leaves_it_out_where_covered():
    unsure = second_values(None, "sad", ["sad", "angry"])
    assert unsure["factuality_hallucination_2"] == 0 and unsure["factuality_hallucination_covered_2"] is None
    wrong = second_values("angry", "sad", ["sad", "angry"])
    assert wrong["factuality_hallucination_2"] == wrong["factuality_hallucination_covered_2"] == 1
    assert second_values("angry", "happy", ["sad", "angry"])["factuality_hallucination_covered_2"] is None
