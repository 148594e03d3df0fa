"""The second instrument: what it learns, what it refuses to say, and that it is measured on what it has not seen."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.config import Compute
from aligncap.errors import ArtifactError
from aligncap.evaluation import second_instrument as instrument
from aligncap.evaluation.second_instrument import (
    Instrument,
    InstrumentFiles,
    InstrumentInputs,
    fit,
    held_out,
    second_opinion,
    telling_words,
    train_instrument,
)
from aligncap.vocabulary import CLASSES

COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
TEXTS = [
    f"The {noun} is {word}."
    for noun in ("voice", "tone", "speaker")
    for word in ("furious", "gloomy", "livid", "tearful")
]
WANTED = ["angry", "sad", "angry", "sad"] * 3


def _states(n: int, shift: float = 3.0):
    generator = np.random.default_rng(0)
    wanted = [CLASSES[i % 3] for i in range(n)]
    states = generator.normal(size=(n, 8)).astype(np.float32)
    for i in range(n):
        states[i, i % 3] += shift
    return states, wanted


def test_it_learns_and_comes_back_from_its_file(tmp_path):
    states, wanted = _states(90)
    made = replace(fit(states, wanted), temperature=0.2)  # as calibration would: the regularised fit is too unsure
    made.save(tmp_path / "i.safetensors")
    read = Instrument.load(tmp_path / "i.safetensors")
    assert read.labels == made.labels == CLASSES[:3]
    np.testing.assert_array_equal(read.logits(states), made.logits(states))
    assert np.mean([label == want for (label, _), want in zip(read.opinions(states), wanted, strict=True)]) > 0.9


def test_two_classes_and_a_constant_column():
    states, wanted = _states(60)
    states[:, 7] = 5.0
    pair = [i for i, label in enumerate(wanted) if label != CLASSES[2]]
    made = fit(states[pair], [wanted[i] for i in pair])
    right = [made.labels[row.argmax()] == wanted[i] for i, row in zip(pair, made.logits(states[pair]), strict=True)]
    assert np.mean(right) > 0.9 and np.isfinite(made.logits(states)).all()


def test_unsure_says_nothing():
    states, wanted = _states(90)
    made = fit(states, wanted)
    between = (states[:3].mean(axis=0, keepdims=True) * 0).astype(np.float32)
    (label, probability), *_ = made.opinions(between)
    assert (label is None) == (probability < instrument.THRESHOLD)
    hot = Instrument(made.labels, made.weight, made.bias, temperature=1e6)
    assert [label for label, _ in hot.opinions(states)] == [None] * 90
    assert Instrument((), made.weight[:0], made.bias[:0]).opinions(states[:2]) == [(None, 0.0)] * 2


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match="train_instrument"):
        Instrument.load(tmp_path / "x")


def test_telling_words_are_the_emotion_words():
    assert telling_words(TEXTS, WANTED) == ["furious", "gloomy", "livid", "tearful"] * 3


def test_a_fold_is_judged_by_a_fit_without_it():
    # Every group has a state of its own that says nothing of the class: what was seen is recalled, what was not is not.
    generator = np.random.default_rng(0)
    groups = [f"g{i // 6}" for i in range(120)]
    wanted = [CLASSES[(i // 6) % 2] for i in range(120)]
    own = generator.normal(size=(20, 64)).astype(np.float32)
    states = own[np.arange(120) // 6]
    seen = fit(states, wanted).logits(states).argmax(axis=1)
    labels = [c for c in CLASSES if c in wanted]
    assert np.mean([labels[k] == want for k, want in zip(seen, wanted, strict=True)]) == 1
    unseen = held_out(states, wanted, groups, seed=0).argmax(axis=1)
    assert np.mean([labels[k] == want for k, want in zip(unseen, wanted, strict=True)]) < 0.8


def _references(path, rows):
    nothing = {"caption_group": None, "intensity": None, "valence": None, "arousal": None, "transcript": None}
    artifacts.write(
        [{"utterance_id": f"u{i}", "captions": [c], "emotion": e, **nothing} for i, (c, e) in enumerate(rows)],
        path,
        "labels",
        "test",
    )
    return path


def _plan(path, n):
    row = {"corpus": "train", "speaker_key": "train/a", "role": "align", "fold": 0}
    artifacts.write([{"utterance_id": f"u{i}", **row} for i in range(n)], path, "plan", "test")
    return path


def test_from_captions_to_opinions(tmp_path, tiny_llm):
    rows = [*zip(TEXTS, WANTED, strict=True), ("Not in the plan.", "happy"), ("Of no class.", "other")]
    references = {"train": _references(tmp_path / "references.parquet", rows)}
    plan = _plan(tmp_path / "plan.parquet", len(TEXTS))
    weights, described = tmp_path / "i.safetensors", tmp_path / "i.json"
    train_instrument(COMPUTE, 0, InstrumentInputs(plan, references, tiny_llm), InstrumentFiles(weights, described))
    first = weights.read_bytes()
    train_instrument(COMPUTE, 0, InstrumentInputs(plan, references, tiny_llm), InstrumentFiles(weights, described))
    assert weights.read_bytes() == first
    told = json.loads(described.read_text())
    assert told["labels"] == ["angry", "sad"] and told["captions"] == len(TEXTS)
    assert {"caption", "word"} == set(told["held_out"]) and 0 <= told["held_out"]["word"]["accuracy"] <= 1
    said = [*TEXTS[:-1], TEXTS[0], "What a system says."]
    rows = [{"utterance_id": f"u{i}", "caption": c, "n_tokens": 1, "finished": True} for i, c in enumerate(said)]
    captions, out = tmp_path / "captions.parquet", tmp_path / "opinions.parquet"
    artifacts.write(rows, captions, "captions", "test")
    second_opinion(COMPUTE, [captions], references["train"], weights, tiny_llm, out)
    found = artifacts.read_rows(out, "second_opinions")
    assert [row["caption"] for row in found] == sorted({*said, *TEXTS, "Not in the plan.", "Of no class."})
    assert artifacts.read_notes(out, "second_opinions") == {"labels": ["angry", "sad"]}
    assert all((row["dominant"] is None) == (row["probability"] < instrument.THRESHOLD) for row in found)


def test_a_caption_is_read_by_itself(tiny_llm):
    short, long = "Sad.", "A furious voice that goes on and on and on for a long while."
    together = instrument.llm_states([short, long], tiny_llm.parent, COMPUTE)
    alone = instrument.llm_states([short], tiny_llm.parent, COMPUTE)
    np.testing.assert_allclose(together[0], alone[0], atol=1e-4)


def test_one_emotion_gives_no_instrument(tmp_path, tiny_llm):
    references = {"train": _references(tmp_path / "references.parquet", [("Sad.", "sad"), ("Gloomy.", "sad")])}
    weights = tmp_path / "i.safetensors"
    inputs = InstrumentInputs(_plan(tmp_path / "plan.parquet", 2), references, tiny_llm)
    train_instrument(COMPUTE, 0, inputs, InstrumentFiles(weights, tmp_path / "i.json"))
    second_opinion(COMPUTE, [], references["train"], weights, tiny_llm, tmp_path / "o.parquet")
    assert [row["dominant"] for row in artifacts.read_rows(tmp_path / "o.parquet", "second_opinions")] == [None, None]
