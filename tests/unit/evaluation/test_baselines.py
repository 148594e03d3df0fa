"""Systems without an LLM."""

from __future__ import annotations

import json

import pytest
from made_up import WordEncoder, use_word_encoder, write_corpus

from aligncap import artifacts
from aligncap.errors import CorpusError
from aligncap.evaluation.baselines import caption_baseline, central_caption, import_captions


def test_central_caption_counts_repeats():
    captions = ["a b", "a b", "a c", "x y z"]
    assert central_caption(captions, WordEncoder()) == "a b"
    with pytest.raises(CorpusError, match="no captions"):
        central_caption([], WordEncoder())


def test_constant_and_tag_template(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    paths = write_corpus(tmp_path)
    plan = tmp_path / "plan.parquet"
    row = {"corpus": "train", "speaker_key": "train/a", "role": "align", "fold": 0}
    artifacts.write([{"utterance_id": f"u{n:02d}", **row} for n in range(12)], plan, "plan", "test")
    said = {}
    for stage in ("constant", "tag_template"):
        out = tmp_path / f"{stage}.parquet"
        caption_baseline(stage, plan, {"train": paths["labels"]}, paths["clues"], tmp_path / "manifest.json", out)
        said[stage] = [row["caption"] for row in artifacts.read_rows(out, "captions")]
    assert len(set(said["constant"])) == 1 and len(said["constant"]) == 12
    assert len(set(said["tag_template"])) == 4 and "angry" in said["tag_template"][0]


def _import(tmp_path, lines):
    source = tmp_path / "theirs.jsonl"
    source.write_text("\n".join(json.dumps(line) for line in lines))
    import_captions(source, write_corpus(tmp_path, clips=2)["audio"], tmp_path / "out.parquet")
    return [row["caption"] for row in artifacts.read_rows(tmp_path / "out.parquet", "captions")]


def test_import_takes_either_column_and_leaves_strangers_out(tmp_path):
    lines = [{"id": "u01", "caption_en": "b"}, {"id": "u00", "caption_en": "a"}, {"id": "u99", "caption_en": "c"}]
    assert _import(tmp_path, lines) == ["a", "b"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"id": "u00", "caption": "a"}], "'u01'"),
        ([{"id": "u00", "caption": "a"}, {"id": "u00", "caption": "b"}], "twice"),
        ([{"id": "u00", "text": "a"}], "no column caption"),
        ([{"utterance_id": "u00", "caption": "a"}, {"utterance_id": "u01", "caption": " "}], "no caption"),
    ],
)
def test_import_names_what_is_wrong(tmp_path, lines, words):
    with pytest.raises(CorpusError, match=words):
        _import(tmp_path, lines)


def test_import_of_a_missing_file(tmp_path):
    with pytest.raises(CorpusError, match="no such file"):
        import_captions(tmp_path / "none.jsonl", tmp_path / "a.parquet", tmp_path / "out.parquet")
