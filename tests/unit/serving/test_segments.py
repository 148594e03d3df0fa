"""Long recordings: cut at pauses, whatever the windows; times; changes of emotion; JSON, SRT and WebVTT."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from aligncap.serving.segments import LONGEST_S, SegmentCaption, clock, cut_at_pauses, whole, written
from aligncap.vocabulary import Clue

RATE = 16_000


def sound(*parts: tuple[str, float]) -> np.ndarray:
    """Speech ("s", seconds) and pauses ("p", seconds); each sample of speech has a value of its own."""
    pieces = [np.full(int(RATE * seconds), 1.0 if kind == "s" else 0.0, np.float32) for kind, seconds in parts]
    samples = np.concatenate(pieces)
    return samples * np.linspace(0.5, 1, len(samples), dtype=np.float32)


def spans(samples: np.ndarray) -> Sequence[tuple[int, int]]:
    loud = np.concatenate([[0], (samples > 0).astype(int), [0]])
    edges = np.flatnonzero(np.diff(loud))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


CALL = sound(("p", 1), ("s", 6), ("p", 2), ("s", 2), ("p", 1), ("s", 3), ("p", 3), ("s", 70), ("p", 1), ("s", 5))


@pytest.mark.parametrize("window_s", [200, 60, 10])
def test_segments_end_at_pauses_and_hold_the_recording_s_own_samples(window_s: int) -> None:
    windows = np.split(CALL, range(window_s * RATE, len(CALL), window_s * RATE))
    found = list(cut_at_pauses(windows, spans))
    times = [(segment.start / RATE, (segment.start + len(segment.samples)) / RATE) for segment in found]
    assert times[0] == pytest.approx((0.9, 7.1))
    assert times[1] == pytest.approx((8.9, 15.1)), "two turns, of which the first is short"
    assert times[-1] == pytest.approx((88.9, 94.0), abs=0.11)
    for segment in found:
        assert np.array_equal(segment.samples, CALL[segment.start : segment.start + len(segment.samples)])
        assert len(segment.samples) / RATE <= LONGEST_S + 0.21
    heard = np.zeros(len(CALL), bool)
    for segment in found:
        heard[segment.start : segment.start + len(segment.samples)] = True
    assert heard[CALL > 0].all(), "no speech is lost"


def test_a_recording_without_speech_has_no_segment() -> None:
    assert list(cut_at_pauses([np.zeros(RATE * 5, np.float32)] * 3, spans)) == []


def test_what_is_held_does_not_grow_with_the_recording() -> None:
    longest = 0

    def measured(samples: np.ndarray) -> Sequence[tuple[int, int]]:
        nonlocal longest
        longest = max(longest, len(samples))
        return spans(samples)

    minute = sound(*[("s", 9), ("p", 1)] * 6)
    assert len(list(cut_at_pauses([minute] * 40, measured))) == 240
    assert longest < 2 * 60 * RATE


def said(start: float, end: float, emotion: str | None, change: str = "", **own) -> SegmentCaption:
    clues = [Clue("level", "high", "high").to_dict()]
    if emotion:
        clues.insert(0, Clue("emotion", emotion, emotion).to_dict())
    caption = f"The speaker sounds {emotion}."
    return SegmentCaption("a.wav", start, end, False, caption, emotion, change, clues, "words", **own)


CAPTIONS = [said(0, 10, "sad"), said(12, 20, None), said(25, 61, "angry", "sad to angry", warnings=["odd"])]


def test_the_whole_says_what_most_of_the_speech_has_and_what_changes() -> None:
    found = whole(CAPTIONS, 70.0, ["cut: 70.00 of 90.00 s are there"])
    assert found.caption == (
        "The speaker sounds angry, with a loud voice. The emotion changes: sad at first, then angry from 0:25."
    )
    assert (found.start_s, found.end_s, found.whole, found.emotion) == (0.0, 70.0, True, "angry")
    assert found.warnings == ["cut: 70.00 of 90.00 s are there", "odd"]
    assert found.transcript == "words words words"


def test_many_changes_are_counted() -> None:
    many = [said(n, n + 1, ("sad", "happy")[n % 2], "a change" if n else "") for n in range(9)]
    assert whole(many, 9.0).caption.endswith("The emotion changes 8 times: sad and happy.")


def test_times() -> None:
    assert [clock(s) for s in (0, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]
    assert clock(3725.5, 3, ",") == "01:02:05,500"
    assert clock(59.9996, 3) == "00:01:00.000"


def test_formats() -> None:
    everything = [*CAPTIONS, whole(CAPTIONS, 70.0)]
    rows = [json.loads(line) for line in written(everything, "json")]
    assert [row["whole"] for row in rows] == [False, False, False, True]
    assert rows[2]["change"] == "sad to angry"
    srt = "".join(written(everything, "srt"))
    assert srt.startswith("1\n00:00:00,000 --> 00:00:10,000\nThe speaker sounds sad.\n\n2\n")
    assert srt.count("-->") == 3
    vtt = "".join(written([said(0, 1, "sad", "<b> & c")], "vtt"))
    assert vtt == "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\nThe speaker sounds sad. (&lt;b> &amp; c)\n\n"
    text = list(written(everything, "text"))
    assert text[2] == "a.wav 0:25-1:01: The speaker sounds angry. (sad to angry)\n"
    assert text[3].startswith("a.wav 0:00-1:10 whole: ")
