"""Marks of the tables: what a row used, and what was seen of a test corpus."""

import pytest
from tiny_config import RAW

from aligncap.evaluation.tables.contents import marks
from aligncap.systems import merge, parse

REST, HELD = ({"side": side, "share": 0.3} for side in ("rest", "held_out"))


@pytest.mark.parametrize(
    ("corpora", "mark"),
    [
        ({}, None),
        ({"a": {"part": REST}, "b": {"root": "a.csv", "part": HELD}}, "in-domain"),
        ({"a": {"part": REST}, "b": {"root": "./a.csv", "part": HELD}}, "in-domain"),
        ({"a": {"adapter": "meld"}, "b": {"adapter": "meld"}}, "in-domain"),
        ({"c": {"adapter": "meld", "root": "c", "role": "unlabelled"}, "b": {"adapter": "meld"}}, "unlabelled audio"),
    ],
)
def test_a_test_corpus_is_marked_by_what_was_seen_of_it(corpora, mark):
    assert marks(parse(merge(RAW, {"corpora": corpora}))).get("b") == mark


@pytest.mark.parametrize(("normalise", "mark"), [("train", "zero-shot"), ("corpus", "transductive")])
def test_a_row_is_marked_by_the_statistics_that_its_tags_need(normalise, mark):
    tagger = {"tagger": {"normalise": normalise, "measured": []}}
    assert marks(parse(merge(RAW, tagger)))["kd"] == mark
