"""A corpus in Python."""

import pytest

from aligncap import load_corpus
from aligncap.corpora.base import Utterance
from aligncap.errors import ConfigError, CorpusError


def test_a_table_of_ones_own_becomes_utterances(tmp_path):
    table = tmp_path / "calls.csv"
    table.write_text("file,mood\na.wav,anger\nb.wav,grumpy\n", encoding="utf-8")
    columns = {"audio_path": "file", "emotion": "mood"}
    (got,) = load_corpus("manifest", table, language="en", columns=columns)
    assert isinstance(got, Utterance)
    assert (got.utterance_id, got.emotion, got.audio_path) == ("a", "angry", tmp_path / "a.wav")
    with pytest.raises(CorpusError, match="line 3: emotion 'grumpy'"):
        load_corpus("manifest", table, columns=columns, on_error="fail")


def test_an_adapter_or_a_setting_that_is_none_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="corpus 'ravdes'.*ravdess"):
        load_corpus("ravdes", tmp_path)
    with pytest.raises(ConfigError, match="langauge: unknown key"):
        load_corpus("manifest", tmp_path / "t.csv", langauge="en")
    with pytest.raises(ConfigError, match="needs root"):
        load_corpus("nemo")
