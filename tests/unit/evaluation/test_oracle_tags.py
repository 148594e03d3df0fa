"""Emotion tags of a chosen accuracy: nested draws, the tagger's own mistakes, paired curves and their picture."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aligncap.captioner.caption import Sentence
from aligncap.captioner.example import Example
from aligncap.clues.hallucination_checks import Truth
from aligncap.config import Evaluation
from aligncap.evaluation.figures.tag_accuracy import draw_tag_accuracy
from aligncap.evaluation.gold import Gold
from aligncap.evaluation.interventions import Clips, Recaptioner, item_row, scored
from aligncap.evaluation.oracle_tags import (
    AGREEMENT,
    HALLUCINATION,
    LEVELS,
    TAG,
    curves,
    member,
    mistakes,
    oracle_tags,
    rights,
)
from aligncap.evaluation.tables.seeds import CorpusScores
from aligncap.vocabulary import CLASSES, Clue

COUNT = 70
NAMES = [f"u{number:02d}" for number in range(COUNT)]
LABELS = {name: CLASSES[number % 7] for number, name in enumerate(NAMES)}


@pytest.fixture
def clips() -> Clips:
    """Seventy clips of seven emotions, which are all tagged sad, with a loud voice."""
    gold = Gold(
        references={name: ["A voice."] for name in NAMES},
        label=dict(LABELS),
        cluster={name: name for name in NAMES},
        truth={name: Truth(emotion=label) for name, label in LABELS.items()},
        transcript=dict.fromkeys(NAMES, ""),
    )
    clues = (Clue("emotion", "sad", "sad", probability=0.3), Clue("level", "high", "high", probability=0.6))
    features = np.zeros((1, 1, 1), np.float16)
    examples = {name: Example(name, "", (), "", "", (), features) for name in NAMES}
    return Clips(gold, examples, dict.fromkeys(NAMES, clues), dict.fromkeys(NAMES, ()))


def test_the_clips_that_are_right_stay_right_and_their_share_is_the_accuracy_in_each_emotion() -> None:
    until = rights(LABELS, np.random.default_rng(0))
    before: set[str] = set()
    for level in LEVELS:
        right = {name for name in NAMES if until[name] < level}
        assert before <= right
        assert set(Counter(LABELS[name] for name in right).values()) <= {round(10 * level), round(10 * level) + 1}
        before = right
    assert before == set(NAMES)
    assert rights(LABELS, np.random.default_rng(1)) != until


def test_every_clip_is_as_likely_to_be_right() -> None:
    drawn = [rights({"a": "sad", "b": "sad", "c": "happy"}, np.random.default_rng(seed)) for seed in range(600)]
    for name in "abc":
        assert np.mean([until[name] < 0.3 for until in drawn]) == pytest.approx(0.3, abs=0.06)


def test_wrong_tags_are_the_taggers_own_mistakes() -> None:
    tags = dict(LABELS)
    happy = [name for name in NAMES if LABELS[name] == "happy"]
    tags |= {happy[0]: "angry", happy[1]: "angry", happy[2]: "angry", happy[3]: "sad", happy[4]: None}
    drawn = Counter(mistakes(tags, LABELS, np.random.default_rng(seed))[happy[9]] for seed in range(400))
    assert set(drawn) == {"angry", "sad"}
    assert drawn["angry"] / 400 == pytest.approx(0.75, abs=0.08)
    wrong = mistakes(tags, LABELS, np.random.default_rng(0))
    assert all(wrong[name] != LABELS[name] for name in NAMES)
    fearful = {wrong[name] for name in NAMES if LABELS[name] == "fearful"}
    assert len(fearful) > 2, "a class without a mistake gets any other emotion"


def test_a_tag_does_not_tell_whether_it_is_right(clips: Clips) -> None:
    tags = oracle_tags(clips, seed=0)
    assert oracle_tags(clips, seed=0) == tags
    for name in NAMES:
        (right, *rest), (wrong, *others) = tags.right[name].clues, tags.wrong[name].clues
        assert right.lemma == LABELS[name] != wrong.lemma
        assert right.probability == wrong.probability == 1.0
        assert rest == others == [clips.predicted[name][1]], "other clues stay as predicted"
    half = tags.at(0.5)
    assert {half[name] for name in NAMES if tags.is_right(name, 0.5)} <= set(tags.right.values())
    assert sum(half[name].clues[0].lemma == LABELS[name] for name in NAMES) == pytest.approx(35, abs=7)
    assert tags.at(1.0) == tags.right


@pytest.fixture
def rows(clips: Clips) -> list[dict]:
    """Curves of a system that repeats its tag, one that says nothing of emotions when the tag is wrong, and a third."""
    tags, asked = oracle_tags(clips, seed=0), []

    def repeat(examples, hears):
        asked.extend(examples)
        return [Sentence(f"The speaker sounds {e.predicted_p_act.split()[1]}", 9, True) for e in examples]

    captioner, items = Recaptioner(clips.examples, repeat), {}
    for level in LEVELS:
        own = captioner.captions(tags.at(level))
        quiet = {n: s if tags.is_right(n, level) else Sentence("The voice is even.", 9, True) for n, s in own.items()}
        items[member("sft", level)] = scored(clips.gold, own, {})
        items[member("kd", level)] = scored(clips.gold, quiet, {})
        items[member("aligncap", level)] = scored(clips.gold, own, {})
        right = {name: {"emotion_agreement": float(tags.is_right(name, level))} for name in NAMES}
        items[member(TAG, level)] = [item_row(name, clips.gold, right[name]) for name in NAMES]
    assert len(asked) <= 2 * COUNT, "two captions a clip for all levels"
    return curves(CorpusScores(Evaluation(bootstrap=60), "demo", items, {}), ["sft", "kd", "aligncap"])


def test_curves_are_paired_and_compared_at_equal_coverage(rows: list[dict]) -> None:
    found = {(row["system"], row["metric"], row["tag_accuracy"]): row for row in rows}
    assert len(found) == len(rows) == len(LEVELS) * (3 + 3 + 1 + 2 + 2)
    for level in LEVELS:
        said, tag = found["sft", AGREEMENT, level], found[TAG, AGREEMENT, level]
        assert said["value"] == pytest.approx(tag["value"]) == pytest.approx(level, abs=0.1)
        assert found["kd - sft", AGREEMENT, level]["value"] == pytest.approx(0)
        assert found["sft", HALLUCINATION, level]["value"] == 0, "of clips where all name an emotion, kd's are right"
        assert found["kd - sft", HALLUCINATION, level]["n"] == found["sft", HALLUCINATION, level]["n"] < 71
    assert found["sft", AGREEMENT, 1.0]["value"] == found["sft", AGREEMENT, 1.0]["ci_low"] == 1


def test_the_picture_is_the_same_every_time(rows: list[dict], tmp_path: Path) -> None:
    systems = ["sft", "kd", "aligncap"]
    for folder in ("a", "b"):
        draw_tag_accuracy(rows, systems, 0.38, tmp_path / folder / "t.svg", tmp_path / folder / "t.png")
    text = (tmp_path / "a/t.svg").read_text()
    assert (tmp_path / "b/t.svg").read_text() == text
    for words in ("aligncap - kd", TAG, "macro recall of the run's own tags, 0.38", "accuracy of the emotion tag"):
        assert words in text
    assert (tmp_path / "a/t.png").read_bytes()[:4] == b"\x89PNG"
