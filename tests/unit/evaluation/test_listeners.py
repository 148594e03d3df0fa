"""Listeners' words against measured thirds, on a corpus small enough to count by hand."""

import pytest

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.tables.listeners import ends_said, write_listeners_table

# end said of the rate ("" none), measured third
CLIPS = [("fast", "fast"), ("fast", "slow"), ("fast", "mid"), ("slow", "fast"), ("", "slow"), ("", "slow")]


def clue(kind, lemma, negated=False):
    one = {"word": lemma, "intensity": "normal", "probability": 1.0}
    return {"kind": kind, "lemma": lemma, "negated": negated, **one}


def inputs(folder, source="corpus"):
    ids = [f"u{i}" for i in range(len(CLIPS))]
    none = dict.fromkeys(["emotion", "intensity", "valence", "arousal", "transcript"])
    labels = [
        {"utterance_id": u, "captions": [f"of {u}"], "caption_group": "g" if u in ("u0", "u1") else None, **none}
        for u in ids
    ]
    gold = [
        {"utterance_id": u, "clues": [clue("rate", end)] if end else [], "p_act": "", "p_sem_ids": []}
        for u, (end, _) in zip(ids, CLIPS, strict=True)
    ]
    figures = {"pitch_hz": 1.0, "pitch_range_st": 1.0, "level_db": 1.0, "rate_hz": 1.0}
    prosody = [
        {"utterance_id": u, **figures, "pitch": "mid", "level": "mid", "rate": third}
        for u, (_, third) in zip(ids, CLIPS, strict=True)
    ]
    for name, rows, schema in (("r", labels, "labels"), ("g", gold, "clues"), ("p", prosody, "prosody")):
        artifacts.write(rows, folder / f"{name}-{source}", schema, "test", {"caption_source": source})
    return tuple(folder / f"{name}-{source}" for name in "rgp")


def test_counts_shares_and_chance_by_hand(tmp_path):
    people, written = inputs(tmp_path), inputs(tmp_path, source="grammar")
    tables = ({"people": own, "written": ours} for own, ours in zip(people, written, strict=True))
    write_listeners_table(Evaluation(bootstrap=200), *tables, tmp_path / "t.parquet", tmp_path / "t.md")
    rows = artifacts.read_rows(tmp_path / "t.parquet", "listeners")
    assert {row["corpus"] for row in rows} == {"people"}, (
        "captions that the project wrote from the figures tell nothing"
    )
    rate = {(r["measure"], r["said"], r["measured"]): r for r in rows if r["kind"] == "rate"}
    assert [rate["count", "fast", third]["value"] for third in ("slow", "mid", "fast")] == [1, 1, 1]
    assert (rate["same", "all", ""]["value"], rate["opposite", "all", ""]["value"]) == (0.25, 0.5)
    assert rate["opposite", "all", ""]["ci_low"] < 0.5 < rate["opposite", "all", ""]["ci_high"]
    # Three of the six clips are slow, two fast: (3 * 3/6 + 1 * 2/6) / 4.
    assert rate["opposite_by_chance", "all", ""]["value"] == pytest.approx((1.5 + 2 / 6) / 4)
    assert {r["value"] for r in rows if r["kind"] == "level"} == {0.0}, "nobody speaks of it"
    text = (tmp_path / "t.md").read_text()
    assert "| rate fast | 3 | 1, 1, 1 |" in text and "| rate | 4 | 0.25 [" in text and "| level | " not in text


def test_clips_of_one_caption_are_drawn_together(tmp_path):
    def width(caption):
        references, gold, prosody = inputs(tmp_path)
        rows = [row | {"captions": [caption.format(row["utterance_id"])], "caption_group": None}
                for row in artifacts.read_rows(references, "labels")]  # fmt: skip
        artifacts.write(rows, references, "labels", "test", {"caption_source": "corpus"})
        tables = ({"people": path} for path in (references, gold, prosody))
        write_listeners_table(Evaluation(bootstrap=200), *tables, tmp_path / "t.parquet", tmp_path / "t.md")
        same = next(r for r in artifacts.read_rows(tmp_path / "t.parquet", "listeners") if r["measure"] == "same")
        return same["ci_high"] - same["ci_low"]

    assert width("of {}") > 0 == width("of all")


def test_a_level_that_is_not_known_is_not_compared(tmp_path):
    references, gold, prosody = inputs(tmp_path)
    changes = {gold: ("clues", {"clues": [clue("level", "high")]}), prosody: ("prosody", {"level": None})}
    for path, (schema, changed) in changes.items():
        artifacts.write([row | changed for row in artifacts.read_rows(path, schema)], path, schema, "test")
    tables = ({"people": path} for path in (references, gold, prosody))
    write_listeners_table(Evaluation(bootstrap=200), *tables, tmp_path / "t.parquet", tmp_path / "t.md")
    level = [row for row in artifacts.read_rows(tmp_path / "t.parquet", "listeners") if row["kind"] == "level"]
    assert {(row["measure"], row["n"]) for row in level} == {("count", 0)}


def test_only_an_end_that_is_asserted_counts():
    found = ends_said(
        [clue("rate", "mid"), clue("pitch", "high", negated=True), clue("emotion", "sad"), clue("level", "low")]
    )
    assert found == {"level": "low"}
    assert ends_said([clue("rate", "slow"), clue("rate", "fast")]) == {"rate": "slow"}
