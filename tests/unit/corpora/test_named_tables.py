"""The table that corpora of named files may have beside their audio, and level-normalised corpora."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth, factuality_flags
from aligncap.clues.parser.grammar import parse_clues
from aligncap.clues.tagger.training import targets_of
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.base import BadRow, Utterance
from aligncap.corpora.captions import write_references
from aligncap.corpora.named import NAMED
from aligncap.corpora.prepare import prepare_corpus
from aligncap.corpora.registry import make_adapter, traits_of
from aligncap.errors import CorpusError
from aligncap.speech.prosody import measure_prosody

Wav = Callable[[str], Path]
ROW = {"id": "nea00001", "audio": "audio/a.opus", "speaker": "0011", "emotion": "neutral", "intensity": "normal"}


def read(adapter: str, root: Path, *rows: dict | str) -> list[Utterance | BadRow]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (root / "utterances.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return list(make_adapter(Corpus(adapter=adapter, role="train", root=str(root)), 0, root / "x").iter_utterances())


@pytest.mark.parametrize("adapter", sorted(NAMED))
def test_every_named_corpus_reads_the_table(tmp_path: Path, make_wav: Wav, adapter: str) -> None:
    make_wav("beside/the table.wav")  # the table alone decides
    (got,) = read(adapter, tmp_path, ROW | {"transcript": "Ja."})
    assert isinstance(got, Utterance), got
    assert (got.utterance_id, got.audio_path, got.speaker) == ("nea00001", tmp_path / "audio/a.opus", "0011")
    assert (got.emotion, got.intensity, got.transcript, got.captions) == ("neutral", "normal", "Ja.", ())
    assert len(got.language) == 2


@pytest.mark.parametrize(("adapter", "missing"), [("emovo", "emotion"), ("ased", "speaker"), ("ravdess", "intensity")])
def test_a_table_without_a_column_is_refused(tmp_path: Path, adapter: str, missing: str) -> None:
    with pytest.raises(CorpusError, match=f"no column '{missing}'"):
        read(adapter, tmp_path, {key: value for key, value in ROW.items() if key != missing})


def test_intensity_and_transcript_may_be_absent_where_a_corpus_has_none(tmp_path: Path) -> None:
    (got,) = read("ased", tmp_path, {key: value for key, value in ROW.items() if key != "intensity"})
    assert isinstance(got, Utterance) and (got.intensity, got.transcript, got.language) == (None, None, "am")


def test_bad_rows_are_told_apart(tmp_path: Path) -> None:
    told = ROW, ROW | {"emotion": "gioia"}, ROW | {"audio": ""}, "{", ROW | {"emotion": "bored"}
    good, unknown, silent, broken, bored = read("emovo", tmp_path, *told)
    assert isinstance(good, Utterance) and isinstance(bored, Utterance) and bored.emotion == "other"
    assert isinstance(unknown, BadRow) and "line 2: emotion 'gioia', expected one of" in unknown.reason
    assert isinstance(silent, BadRow) and "line 3: 'audio' is empty" in silent.reason
    assert isinstance(broken, BadRow) and "line 4: not JSON" in broken.reason


def test_koremo_takes_the_emotion_from_the_id(tmp_path: Path) -> None:
    told = [("nea00201", "angry"), ("ema00301", "sad"), ("nea00101", "happy"), ("nea", "sad")]
    sad, angry, happy, bad = read("koremo", tmp_path, *(ROW | {"id": i, "emotion": emotion} for i, emotion in told))
    assert [got.emotion for got in (sad, angry, happy)] == ["sad", "angry", "happy"]
    assert isinstance(bad, BadRow) and "id 'nea' is not as in KoreMO" in bad.reason


def loud_and_quiet(folder: Path, number: int) -> None:
    time = np.arange(16_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * (100 + 15 * number) * k * time) / k for k in range(1, 6))
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / f"03a{number:02}{'WLEAFT'[number % 6]}a.wav", 0.02 * (number + 1) * buzz, 16_000)


def test_emodb_says_nothing_of_loudness_and_leaves_boredom_out(tmp_path: Path) -> None:
    for number in range(12):
        loud_and_quiet(tmp_path / "wav", number)
    files = {
        name: tmp_path / f"{name}.parquet" for name in ("audio", "labels", "skipped", "prosody", "references", "bank")
    }
    corpus = Corpus(adapter="emodb", role="train", root=str(tmp_path), captions={"per_utterance": 9})
    prepare_corpus(
        "emodb", corpus, SpeechSettings(detector="off"), 0, files["audio"], files["labels"], files["skipped"]
    )
    skipped = artifacts.read_rows(files["skipped"], "skipped")
    assert [row["utterance_id"] for row in skipped] == ["03a01La", "03a07La"]
    assert all("emotion 'other', but captions are to be written from it" in row["reason"] for row in skipped)

    measure_prosody(files["audio"], files["prosody"], traits_of("emodb").level_normalised)
    rows = artifacts.read_rows(files["prosody"], "prosody")
    assert len(rows) == 10 and {(row["level"], row["level_db"]) for row in rows} == {(None, None)}
    assert {row["pitch"] for row in rows} == {"low", "mid", "high"}

    inputs = [files[name] for name in ("audio", "labels", "prosody", "references", "bank")]
    write_references(corpus, *inputs, "test")
    captions = [text for row in artifacts.read_rows(files["references"], "labels") for text in row["captions"]]
    kinds = {clue.kind for text in captions for clue in parse_clues(text)}
    assert "pitch" in kinds and "level" not in kinds

    known = targets_of({"emodb": files["references"]}, {"emodb": files["prosody"]}, {})
    assert {told["level"] for told in known.values()} == {""} and "" not in {told["rate"] for told in known.values()}

    for row in rows:
        truth = Truth.from_rows("angry", row)
        assert factuality_flags(parse_clues("A loud, angry voice."), truth) == []
        assert factuality_flags(parse_clues("A quiet, angry voice."), truth) == []
