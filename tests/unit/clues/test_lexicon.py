"""The lexicon: marks, parts of speech, and the place of the NRC words."""

import os
import subprocess
import sys

from aligncap.clues.parser.lexicon import CALM, CUE, NORMAL, emotion_weight, nrc, parse_item, patterns, stems
from aligncap.clues.parser.words import EMOTION_WORDS
from aligncap.vocabulary import CLASSES, EMOTIONS


def test_items_are_split_into_words_part_of_speech_and_marks():
    assert parse_item("lose_~_temper!") == (("lose", "~", "temper"), None, "!")
    assert parse_item("mild/ADJ?") == (("mild",), "ADJ", "?")
    assert parse_item("seething?!") == (("seething",), None, "?!")


def test_every_label_has_words_and_no_word_has_two_labels():
    assert set(EMOTION_WORDS) == set(EMOTIONS)
    seen = [item.rstrip("!?") for text in EMOTION_WORDS.values() for item in text.split()]
    assert len(seen) == len(set(seen)) > 500


def test_nrc_adds_only_unambiguous_words_that_are_not_curated():
    curated = {p.words[0] for found in patterns()["emotion"].values() for p in found if len(p.words) == 1}
    assert len(nrc()) > 500 and not curated & set(nrc())
    assert set(nrc().values()) <= set(CLASSES)
    assert "abandoned" not in nrc()  # anger, fear and sadness


def test_weights_rank_emotion_before_calm_before_cues():
    assert emotion_weight("sad") == NORMAL
    assert emotion_weight("matter-of-fact") == CALM
    assert emotion_weight("stern") == CUE
    assert emotion_weight(next(iter(nrc()))) == CUE


def test_stems_undo_common_endings():
    assert "angry" in stems("angrily") and "happy" in stems("happiness") and "love" in stems("loving")


def test_the_instrument_does_not_depend_on_the_hash_seed():
    code = (
        "from aligncap.clues.parser.lexicon import *; from aligncap.clues.parser.words import EMOTION_WORDS as w;"
        "print([emotion_weight(i.rstrip('!?')) for t in w.values() for i in t.split()], sorted(nrc().items()))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert len(set(runs)) == 1
