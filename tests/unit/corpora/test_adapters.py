"""The published layouts and the table layouts of the corpora."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from aligncap.corpora.base import BadRow, Utterance
from aligncap.corpora.emosec import Emosec
from aligncap.corpora.manifest import Manifest
from aligncap.corpora.nemo import Nemo
from aligncap.corpora.ravdess import Ravdess
from aligncap.errors import CorpusError

Wav = Callable[[str], Path]


def write_jsonl(path: Path, *rows: dict) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def only(adapter: Ravdess | Nemo | Emosec | Manifest) -> Utterance:
    (utterance,) = adapter.iter_utterances()
    assert isinstance(utterance, Utterance), utterance
    return utterance


def test_ravdess_published_names(tmp_path: Path, make_wav: Wav) -> None:
    make_wav("Actor_12/03-01-06-02-02-01-12.wav")
    make_wav("Actor_12/03-02-06-02-02-01-12.wav")  # sung
    got = only(Ravdess(tmp_path))
    assert (got.emotion, got.intensity, got.speaker, got.language) == ("fearful", "strong", "12", "en")
    assert got.transcript == "Dogs are sitting by the door."
    assert got.utterance_id == "03-01-06-02-02-01-12"


def test_ravdess_misnamed_file_is_a_bad_row(tmp_path: Path, make_wav: Wav) -> None:
    make_wav("Actor_01/take one.wav")
    (row,) = Ravdess(tmp_path).iter_utterances()
    assert isinstance(row, BadRow)
    assert "take one.wav" in row.reason


def test_ravdess_table(tmp_path: Path) -> None:
    row = {"id": "a", "audio": "audio/a.opus", "speaker": "01", "emotion": "calm", "intensity": "normal"}
    write_jsonl(tmp_path / "utterances.jsonl", row)
    got = only(Ravdess(tmp_path))
    assert (got.audio_path, got.emotion, got.captions) == (tmp_path / "audio/a.opus", "calm", ())


def test_empty_folder_is_no_ravdess(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Actor_XX"):
        list(Ravdess(tmp_path).iter_utterances())


def test_nemo_published_table(tmp_path: Path) -> None:
    header = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    row = 'SK0_anger_1.wav\tanger\t„Ród" smoka\tród smoka\t        SK0\tfemale\t21\n'  # a stray quote, and blanks
    (tmp_path / "data.tsv").write_text(header + row, encoding="utf-8")
    got = only(Nemo(tmp_path))
    assert got.audio_path == tmp_path / "samples/SK0_anger_1.wav"
    assert (got.emotion, got.speaker, got.language, got.transcript) == ("angry", "SK0", "pl", '„Ród" smoka')


def test_emosec_keeps_the_chinese_caption_as_group(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "utterances.jsonl",
        {
            "id": "x1",
            "audio": "audio/x1.opus",
            "session": "s1",
            "transcript_zh": "你好",
            "caption_zh": "开心",
            "caption_en": "A placeholder.",
            "emotion": "happy",
            "valence": "high",
            "arousal": "mid",
        },
    )
    got = only(Emosec(tmp_path))
    assert (got.captions, got.caption_group, got.session) == (("A placeholder.",), "开心", "s1")
    assert (got.valence, got.arousal, got.transcript, got.speaker) == ("high", "mid", "你好", "")


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "parquet"])
def test_manifest_reads_every_kind_of_table(tmp_path: Path, extension: str) -> None:
    table = tmp_path / f"clips.{extension}"
    frame = pd.DataFrame({"file": ["wavs/a.wav"], "who": ["Ann"], "mood": ["Anger"], "caption": ["He is angry."]})
    if extension == "parquet":
        frame.to_parquet(table)
    elif extension == "jsonl":
        frame.to_json(table, orient="records", lines=True)
    else:
        frame.to_csv(table, sep="," if extension == "csv" else "\t", index=False)
    adapter = Manifest(table, {"audio_path": "file", "speaker": "who", "emotion": "mood"})
    got = only(adapter)
    assert adapter.has_captions
    assert got.audio_path == tmp_path / "wavs/a.wav"
    assert (got.utterance_id, got.speaker, got.emotion, got.captions) == ("a", "Ann", "angry", ("He is angry.",))


def test_manifest_takes_several_captions(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "m.jsonl", {"audio_path": "a.wav", "caption": ["One  here.", "", "Two."]})
    assert only(Manifest(tmp_path / "m.jsonl", {})).captions == ("One here.", "Two.")


def test_manifest_with_a_path_alone(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("audio_path\nsub/a.wav\n", encoding="utf-8")
    adapter = Manifest(tmp_path / "m.csv", {})
    got = only(adapter)
    assert not adapter.has_captions
    assert (got.utterance_id, got.emotion, got.language) == ("a", None, "")
