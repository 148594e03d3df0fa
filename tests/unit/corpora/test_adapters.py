"""The tables of EMOSEC and of any corpus."""

import json
from pathlib import Path

import pandas as pd
import pytest

from aligncap.corpora.base import Utterance
from aligncap.corpora.emosec import Emosec
from aligncap.corpora.manifest import Manifest


def write_jsonl(path: Path, *rows: dict) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def only(adapter: Emosec | Manifest) -> Utterance:
    (utterance,) = adapter.iter_utterances()
    assert isinstance(utterance, Utterance), utterance
    return utterance


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
