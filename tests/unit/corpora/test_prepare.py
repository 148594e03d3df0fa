import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.base import Utterance
from aligncap.corpora.drawing import draw
from aligncap.corpora.prepare import prepare_corpus
from aligncap.errors import CorpusError


def prepare(folder: Path, **settings: Any) -> tuple[list[dict], list[dict], list[dict]]:
    paths = {name: folder / f"{name}.parquet" for name in ("audio", "labels", "skipped")}
    corpus = Corpus(**{"role": "train", **settings})
    prepare_corpus("c", corpus, SpeechSettings(detector="off"), 0, paths["audio"], paths["labels"], paths["skipped"])
    audio, labels, skipped = (artifacts.read_rows(path, name) for name, path in paths.items())
    return audio, labels, skipped


@pytest.fixture
def manifest(tmp_path, make_wav) -> Path:
    rows = []
    for number in range(24):
        make_wav(f"wavs/{number}.wav")
        rows.append(
            {
                "audio_path": f"wavs/{number}.wav",
                "speaker": f"s{number % 4}",
                "emotion": "angry" if number < 18 else "sad",
            }
        )
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_paths_are_relative_to_the_working_directory(tmp_path, manifest, monkeypatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    audio, labels, skipped = prepare(tmp_path / "out", adapter="manifest", root=str(manifest), language="en")
    assert audio[0]["audio_path"] == "../wavs/0.wav"
    assert audio[0]["split"] == "train"
    assert audio[0]["duration_s"] == 0.5
    assert audio[0]["audio_sha256"] == artifacts.file_digest(tmp_path / "wavs/0.wav")
    assert [row["utterance_id"] for row in audio] == [row["utterance_id"] for row in labels]
    assert (len(audio), skipped) == (24, [])


def test_of_an_unlabelled_corpus_only_the_sound_is_kept(tmp_path, manifest) -> None:
    settings = {"adapter": "manifest", "root": str(manifest), "language": "en", "role": "unlabelled"}
    audio, labels, _ = prepare(tmp_path / "out", **settings)
    assert {row["split"] for row in audio} == {"unlabelled"} and audio[5]["speaker"] == "s1"
    assert {value for row in labels for key, value in row.items() if key not in ("utterance_id", "captions")} == {None}
    assert not any(row["captions"] for row in labels)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(json.dumps({"audio_path": row["audio_path"]}) for row in rows), encoding="utf-8")
    audio, _, skipped = prepare(tmp_path / "bare", **settings)  # nobody labelled a folder of calls
    assert (len(audio), skipped) == (24, [])
    with pytest.raises(CorpusError, match="all 24 clips were skipped"):
        prepare(tmp_path / "train", **{**settings, "role": "train"})


def test_limit_is_even_over_emotions_and_speakers(tmp_path, manifest) -> None:
    settings = {"adapter": "manifest", "root": str(manifest), "language": "en", "limit": 8}
    audio, labels, _ = prepare(tmp_path / "out", **settings)
    assert Counter(row["emotion"] for row in labels) == {"angry": 4, "sad": 4}
    assert set(Counter(row["speaker"] for row in audio).values()) == {2}
    again, _, _ = prepare(tmp_path / "again", **settings)
    assert audio == again


def test_limit_replaces_a_bad_clip(tmp_path, manifest) -> None:
    settings = {"adapter": "manifest", "root": str(manifest), "language": "en", "limit": 23}
    (tmp_path / "wavs" / "3.wav").write_bytes(b"")
    audio, _, skipped = prepare(tmp_path / "out", **settings)
    assert len(audio) == 23
    assert [row["utterance_id"] for row in skipped] == ["3"]


def test_equal_inputs_give_equal_bytes(tmp_path, manifest) -> None:
    settings = {"adapter": "manifest", "root": str(manifest), "language": "en", "limit": 8}
    prepare(tmp_path / "one", **settings)
    prepare(tmp_path / "two", **settings)
    for name in ("audio", "labels", "skipped"):
        assert (tmp_path / f"one/{name}.parquet").read_bytes() == (tmp_path / f"two/{name}.parquet").read_bytes()


def test_the_two_parts_share_no_speaker_session_or_caption(tmp_path, make_wav) -> None:
    rows = []
    for number in range(40):
        make_wav(f"wavs/{number}.wav")
        own = {
            "audio_path": f"wavs/{number}.wav",
            "session": f"s{number // 4}",
            "caption": f"sounds like {number % 37}",
        }
        rows.append(own)  # captions 0 to 2 tie the first session to the last
    table = tmp_path / "m.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = {"adapter": "manifest", "root": str(table), "language": "en"}
    sides = {}
    for side in ("rest", "held_out"):
        audio, labels, _ = prepare(tmp_path / side, **settings, part={"side": side, "share": 0.3})
        sides[side] = {row["session"] for row in audio}, {c for row in labels for c in row["captions"]}, len(audio)
    (rest, told, n), (held, other, m) = sides["rest"], sides["held_out"]
    assert not rest & held and not told & other
    assert n + m == 40 and 8 <= m <= 16
    assert ("s0" in rest) == ("s9" in rest)


def test_a_corpus_that_hangs_together_cannot_be_cut(tmp_path, manifest) -> None:
    rows = [json.loads(line) | {"session": "one"} for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(CorpusError, match="hang together"):
        prepare(tmp_path / "o", adapter="manifest", root=str(manifest), language="en", part={"side": "rest"})


def test_every_beginning_of_a_draw_is_even() -> None:
    clips = [
        Utterance(f"{emotion}{speaker}{n}", Path("x"), "", speaker=speaker, emotion=emotion)
        for emotion in ("angry", "sad", "happy")
        for speaker in ("1", "2", "3")
        for n in range(5)
    ]
    order = draw(clips, seed=1)
    assert sorted(c.utterance_id for c in order) == sorted(c.utterance_id for c in clips)
    for beginning in (9, 18, 27):
        assert set(Counter((c.emotion, c.speaker) for c in order[:beginning]).values()) == {beginning // 9}
    assert order != draw(clips, seed=2)
