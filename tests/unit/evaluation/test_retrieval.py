"""Retrieval: the caption of the training clip that sounds most alike."""

from __future__ import annotations

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.errors import CorpusError
from aligncap.evaluation.retrieval import caption_retrieval, nearest


def _features(path, means: dict[str, list[float]]):
    sway = np.array([-0.25, 0.25, 0.0, 0.25, -0.25])[None, :, None]  # every clip's, so that only means differ
    rows = []
    for name, mean in means.items():
        frames = np.tile(np.asarray(mean) + sway, (2, 1, 1)).astype(np.float16)
        shape = {"n_layers": 2, "n_frames": 5, "dim": len(mean), "dtype": "float16"}
        rows.append({"utterance_id": name, **shape, "data": frames.tobytes()})
    artifacts.write(rows, path, "features", "test")
    return path


def _references(path, captions: dict[str, list[str]]):
    nothing = {"caption_group": None, "emotion": None, "intensity": None, "valence": None, "arousal": None}
    artifacts.write(
        [{"utterance_id": n, "captions": c, **nothing, "transcript": None} for n, c in captions.items()],
        path,
        "labels",
        "test",
    )
    return path


def _plan(path, names):
    row = {"speaker_key": "k", "role": "align", "fold": 0}
    artifacts.write([{"utterance_id": n, "corpus": c, **row} for c, n in names], path, "plan", "test")
    return path


def test_nearest_is_by_direction(monkeypatch):
    stored = np.array([[1, 0], [0, 1], [5, 5]], np.float32)
    queries = np.array([[9, 1], [0, 0.1], [1, 1], [0, 0]], np.float32)
    assert nearest(queries, stored).tolist() == [0, 1, 2, 0]
    monkeypatch.setattr("aligncap.evaluation.retrieval.QUERIES", 3)
    assert nearest(queries, stored).tolist() == [0, 1, 2, 0] and nearest(queries[:0], stored).tolist() == []


def test_the_alike_clip_speaks(tmp_path):
    loud, quiet, odd = [1.0, 0.0, 0.5], [-1.0, 0.0, -0.5], [0.0, 3.0, 0.0]
    features = {
        "en": _features(tmp_path / "en.parquet", {"a": loud, "b": quiet, "x": odd}),
        "pl": _features(tmp_path / "pl.parquet", {"a": odd}),
    }
    references = {
        "en": _references(tmp_path / "en_r.parquet", {"a": ["Loud.", "Second."], "b": ["Quiet."], "x": ["Unplanned."]}),
        "pl": _references(tmp_path / "pl_r.parquet", {"a": ["Odd."]}),
    }
    plan = _plan(tmp_path / "plan.parquet", [("en", "a"), ("en", "b"), ("pl", "a")])
    test = _features(tmp_path / "test.parquet", {"q2": quiet, "q1": [0.75, 0.25, 0.5], "q3": [0.25, 2.0, 0.0]})
    out = tmp_path / "captions.parquet"
    caption_retrieval(plan, references, features, test, out)
    rows = artifacts.read_rows(out, "captions")
    assert [(row["utterance_id"], row["caption"]) for row in rows] == [
        ("q2", "Quiet."),
        ("q1", "Loud."),
        ("q3", "Odd."),
    ]


def test_nothing_to_say_is_an_error(tmp_path):
    features = {"en": _features(tmp_path / "en.parquet", {"a": [1.0]})}
    references = {"en": _references(tmp_path / "r.parquet", {"a": []})}
    plan = _plan(tmp_path / "plan.parquet", [("en", "a")])
    with pytest.raises(CorpusError, match="give the training corpora captions"):
        caption_retrieval(plan, references, features, features["en"], tmp_path / "out.parquet")
