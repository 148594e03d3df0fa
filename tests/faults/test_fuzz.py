"""Recordings, captions of two languages, answers of judges, and tables are fuzzed; the server is elsewhere."""

import pytest
from amount import LONG
from fuzz_inputs import answers, audio_files, captions, manifests
from fuzzing import fuzz

pytestmark = pytest.mark.timeout(36_000 if LONG else 600)


def test_recordings() -> None:
    fuzz("audio", audio_files(), 150)


def test_english_captions() -> None:
    fuzz("clues-en", captions(), 150)


def test_chinese_captions() -> None:
    pytest.importorskip("aligncap_zh")
    fuzz("clues-zh", captions(chinese=True), 200)


def test_answers_of_judges() -> None:
    fuzz("answer", answers(), 200)


def test_tables_and_shards() -> None:
    fuzz("manifest", manifests(), 80)
