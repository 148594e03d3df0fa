"""Descriptions of voices without sound: which are read, how, and that the teacher learns from them."""

import json

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.alignment.descriptions import read_descriptions, write_descriptions
from aligncap.captioner.example import Example
from aligncap.errors import CorpusError

SAID = [
    "The character's tone is low and very sad.",
    "There is music in the background, and the speaker sounds sad.",  # not of the voice
    "The speaker stands by the window of her mother's house and sounds angry.",  # persons and places
    "It cannot be told from this.",  # no clue
    "Sad.",  # too short
]


def clip(name: str, p_act: str, said: tuple[int, ...]) -> Example:
    return Example(name, "clips", ("Sad.",), p_act, p_act, said, np.zeros((1, 2, 3), np.float16))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "voices.jsonl"
    path.write_text("".join(json.dumps({"caption_en": text}) + "\n" for text in SAID), encoding="utf-8")
    return path


def test_what_tells_of_the_voice_alone_is_kept_with_its_clues(table, tmp_path):
    write_descriptions([table], tmp_path / "out.parquet")
    (row,) = artifacts.read_rows(tmp_path / "out.parquet", "descriptions")
    assert row["caption"] == "The speaker's tone is low and very sad."
    assert (row["source"], row["utterance_id"]) == ("voices", "voices#0")
    assert row["p_act"].startswith("Emotion: sad.") and "Pitch: low." in row["p_act"]


def test_a_description_borrows_the_words_of_a_clip_with_its_emotion(table, tmp_path):
    write_descriptions([table], tmp_path / "out.parquet")
    clips = [clip("a", "Emotion: angry.", (1,)), clip("b", "Emotion: sad. Level: low.", (2, 3))]
    (example,) = read_descriptions(tmp_path / "out.parquet", clips, 0)
    assert example.p_sem_ids == (2, 3) and example.captions == ("The speaker's tone is low and very sad.",)
    (example,) = read_descriptions(tmp_path / "out.parquet", clips[:1], 0)
    assert example.p_sem_ids == (1,)


def test_a_table_without_a_column_of_descriptions_is_named(tmp_path):
    (tmp_path / "voices.csv").write_text("text\nSad and low.\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"voices\.csv: none of the columns caption, caption_en"):
        write_descriptions([tmp_path / "voices.csv"], tmp_path / "out.parquet")


def test_no_description_of_a_voice_is_an_error(tmp_path):
    (tmp_path / "voices.csv").write_text("caption\nIt cannot be told from this.\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="no description of a voice"):
        write_descriptions([tmp_path / "voices.csv"], tmp_path / "out.parquet")


def test_a_description_that_cannot_be_read_is_left_out_with_a_warning(table, tmp_path, caplog):
    table.write_text("{broken\n" + table.read_text(encoding="utf-8"), encoding="utf-8")
    write_descriptions([table], tmp_path / "out.parquet")
    assert len(artifacts.read_rows(tmp_path / "out.parquet", "descriptions")) == 1
    assert "voices.jsonl: line 1: not JSON" in caplog.text
