"""What an example of the report shows: marked words, a recording and a spectrogram."""

import base64
import io

import numpy as np
import pytest
import soundfile

from aligncap.clues.hallucination_checks import Truth, factuality_flags, faithfulness_flags
from aligncap.clues.parser.grammar import parse_clues
from aligncap.corpora.registry import licence_of
from aligncap.evaluation.report.marks import mark_words
from aligncap.evaluation.report.media import BANDS, COLUMNS, RANGE_DB, levels, recording, spectrogram

SAD = Truth(emotion="sad", level="low", pitch="high", rate="slow", intensity="strong")


def marked(caption: str, flags: list[str]) -> list[tuple[str, str]]:
    return [(part.text, part.kind) for part in mark_words(caption, flags) if part.kind]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("The speaker sounds furious and talks loudly.", [("furious", "factuality"), ("loudly", "factuality")]),
        ("A Quick, sorrowful voice.", [("Quick", "factuality")]),
        ("She is sad, for a mother is ill.", [("She", "faithfulness"), ("mother", "faithfulness")]),
        ("The speaker is sad because of the war, in a slow voice.", [("because of the war", "faithfulness")]),
        ("A slightly sad voice.", [("slightly", "factuality")]),
        ("The voice is not sad at all.", [("sad", "factuality")]),
        ("A sad voice, slow and", [("and", "faithfulness")]),
        ("A sad and slow voice.", []),
        ("Sad: come over here, right now!", [("come over here, right", "faithfulness")]),
    ],
)
def test_the_words_that_the_checks_object_to_are_marked(caption, words):
    flags = factuality_flags(parse_clues(caption), SAD) + faithfulness_flags(caption, "come over here right now", [])
    assert marked(caption, flags) == words, flags


def test_the_pieces_are_the_caption_and_a_flag_about_all_of_it_marks_no_word():
    caption = "  He sounds happy, happy and loud.\n"
    flags = ["emotion: happy against sad", "gender: he", "off_instruction: nothing about how it sounds"]
    parts = mark_words(caption, flags)
    assert "".join(part.text for part in parts) == caption.strip()
    wrong = [("He", "faithfulness"), ("happy", "factuality"), ("happy", "factuality")]
    assert [(p.text, p.kind) for p in parts if p.kind] == wrong
    assert mark_words("", ["off_instruction: empty"]) == []


def tone(hertz: float, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 16_000)) / 16_000)).astype(np.float32)


def decoded(address: str) -> bytes:
    return base64.b64decode(address.split("base64,")[1])


def test_a_recording_is_small_sounds_alike_and_equal_samples_give_equal_bytes():
    samples = tone(440, 2.0)
    address = recording(samples)
    assert address.startswith("data:audio/mpeg;base64,") and address == recording(samples)
    heard, rate = soundfile.read(io.BytesIO(decoded(address)))
    assert rate == 16_000 and len(heard) == pytest.approx(32_000, abs=2_400)
    assert np.argmax(np.abs(np.fft.rfft(heard[8_000:24_000]))) == 440  # a bin a hertz
    assert len(address) < 16_000


def test_a_spectrogram_shows_where_the_energy_is():
    low, high = (int(levels(tone(hertz, 1.0)).mean(axis=1).argmax()) for hertz in (300, 3000))
    assert 0 < low < high < BANDS
    long = levels(tone(500, 30.0))
    assert long.shape[0] == BANDS and COLUMNS / 2 < long.shape[1] <= COLUMNS
    assert long.max() == pytest.approx(0, abs=1) and long.min() >= -RANGE_DB
    assert decoded(spectrogram(tone(500, 1.0)))[8:12] == b"WEBP"


def test_a_corpus_without_a_known_licence_says_what_to_do():
    assert "CC BY-NC-SA" in licence_of("r", "ravdess")
    assert licence_of("r", "ravdess", "mine") == "mine"
    assert "corpora.calls.licence" in licence_of("calls", "manifest")
