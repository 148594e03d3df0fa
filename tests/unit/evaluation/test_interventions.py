"""Clips captioned again under other clues and other speech: what is given, what is captioned, what is counted."""

import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import write_corpus

from aligncap import artifacts
from aligncap.captioner.caption import Sentence, speak
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel
from aligncap.clues.prompts import acoustic_prompt
from aligncap.config import AdapterSettings, Compute, Decoding, Prompts
from aligncap.errors import ArtifactError, MetricError
from aligncap.evaluation.interventions import (
    AS_PREDICTED,
    OTHER_BATCHES,
    Clips,
    Given,
    Recaptioner,
    contradicted,
    followed,
    interventions,
    read_clips,
    scored,
    with_emotion,
)
from aligncap.models.sources import model_folder
from aligncap.vocabulary import CLASSES, Clue


def tags(probability: float = 0.4, **kinds: str) -> tuple[Clue, ...]:
    degree = kinds.get("intensity", "normal")
    return tuple(
        Clue(kind, value, value, degree if kind == "emotion" else "normal", probability=probability)
        for kind, value in kinds.items()
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with twelve clips of the corpus demo."""
    folder = tmp_path / "results"
    made = write_corpus(folder / "corpora" / "demo")
    rows = artifacts.read_rows(made["clues"], "clues")
    artifacts.write(rows, folder / "clues/demo/predicted.parquet", "clues", "test")
    artifacts.write(rows[::-1], folder / "clues/demo/gold.parquet", "clues", "test")
    (folder / "transcripts").mkdir()
    made["transcripts"].rename(folder / "transcripts" / "demo.parquet")
    return folder


@pytest.fixture
def clips(results: Path, monkeypatch: pytest.MonkeyPatch) -> Clips:
    def load_features(path: Path, of: set[str]) -> dict[str, np.ndarray]:
        assert path == results / "features/demo.parquet"
        return {f"u{n:02d}": np.full((1, 1, 1), n, np.float16) for n in range(12)}

    monkeypatch.setattr("aligncap.speech.features.load_features", load_features)
    return read_clips(results, "demo")


class Parrot:
    """Says its acoustic prompt and which speech it hears, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, examples: list[Example], hears: bool) -> list[Sentence]:
        self.asked.append([e.utterance_id for e in examples])
        return [Sentence(f"{e.predicted_p_act} {int(e.features.mean()) if hears else '-'}", 9, True) for e in examples]


def test_contradicted_clues_are_the_next_emotion_and_the_opposite_voice() -> None:
    clues = tags(emotion="sad", intensity="strong", level="low", pitch="high", rate="slow", timbre="breathy")
    turned = contradicted(clues)
    assert acoustic_prompt(turned) == "Emotion: neutral. Level: high. Pitch: low. Rate: fast. Timbre: breathy."
    assert {clue.probability for clue in turned} == {0.4}
    assert acoustic_prompt(contradicted(tags(rate="fast"))) == "Rate: slow."
    others = [contradicted(tags(emotion=emotion))[0].lemma for emotion in CLASSES]
    assert sorted(others) == sorted(CLASSES)
    assert all(one != other for one, other in zip(CLASSES, others, strict=True))


def test_another_emotion_has_the_degree_that_was_predicted() -> None:
    clues = tags(emotion="happy", intensity="strong", level="high")
    assert with_emotion(clues, "angry", 1.0) == (
        Clue("emotion", "angry", "angry", "strong", probability=1.0),
        *clues[1:],
    )
    assert acoustic_prompt(with_emotion(tags(level="high"), "sad", 1.0)) == "Emotion: sad. Level: high."
    assert acoustic_prompt(with_emotion(clues, "neutral", 1.0)) == "Emotion: neutral. Level: high."


def test_what_each_intervention_gives(clips: Clips) -> None:
    given = interventions(clips, seed=3)
    names = list(clips.examples)
    own = given[AS_PREDICTED]
    assert own == given[OTHER_BATCHES] == {name: Given(clips.predicted[name], name) for name in names}
    assert {name: g.clues for name, g in given["gold clues"].items()} == {n: clips.gold_clues[n] for n in names}
    assert all(g == ((), name) for name, g in given["no clues"].items())
    assert all(g == (own[name].clues, None) for name, g in given["no speech embeddings"].items())
    moved = {name: g.heard for name, g in given["speech of another clip"].items()}
    assert sorted(moved.values()) == names and all(name != heard for name, heard in moved.items())
    assert all(g.clues == own[name].clues for name, g in given["speech of another clip"].items())
    assert interventions(clips, seed=3) == given and interventions(clips, seed=4) != given


def test_clues_are_those_of_another_clip(clips: Clips) -> None:
    apart = {name: tags(emotion=CLASSES[n % 7], level=("low", "high")[n // 7]) for n, name in enumerate(clips.examples)}
    shuffled = interventions(Clips(clips.gold, clips.examples, apart, apart), seed=0)["clues of another clip"]
    assert all(given.clues != apart[name] and given.heard == name for name, given in shuffled.items())
    assert sorted(acoustic_prompt(g.clues) for g in shuffled.values()) == sorted(map(acoustic_prompt, apart.values()))


def test_one_clip_cannot_be_shuffled(clips: Clips) -> None:
    with pytest.raises(MetricError, match="1 clips; shuffling between clips needs two"):
        interventions(clips.only(["u03"]), seed=0)


def test_a_part_of_the_clips_keeps_their_order(clips: Clips) -> None:
    part = clips.only(["u07", "u02"])
    assert part.gold.ids == list(part.examples) == list(part.predicted) == ["u02", "u07"]
    assert part.gold.truth["u07"] == clips.gold.truth["u07"]


def test_a_clip_is_captioned_once_with_the_same_prompts(clips: Clips) -> None:
    part, parrot = clips.only(["u00", "u01", "u02"]), Parrot()
    captioner = Recaptioner(part.examples, parrot)
    own = {name: Given(part.predicted[name], name) for name in part.examples}
    assert captioner.captions(own)["u01"] == Sentence("Emotion: sad. 1", 9, True)
    other = own | {"u00": Given((), "u00"), "u01": Given(part.predicted["u01"], None), "u02": Given((), "u01")}
    assert [said.text for said in captioner.captions(other).values()] == [" 0", "Emotion: sad. -", " 1"]
    surer = {name: Given(with_emotion(g.clues, g.clues[0].lemma, 1.0), name) for name, g in own.items()}
    assert captioner.captions(surer) == captioner.captions(own), "the same prompt"
    assert captioner.captions(other)["u02"].text == " 1"
    assert parrot.asked == [["u00", "u01", "u02"], ["u00", "u02"], ["u01"]]


def test_the_control_captions_every_other_clip_first(clips: Clips) -> None:
    parrot = Parrot()
    captioner = Recaptioner(clips.examples, parrot)
    assert captioner.in_other_batches() == captioner.captions(interventions(clips, 0)[AS_PREDICTED])
    names = list(clips.examples)
    assert parrot.asked == [names[::2], names[1::2], names]


def test_prompts_of_other_code_are_refused(results: Path) -> None:
    path = results / "clues/demo/predicted.parquet"
    rows = artifacts.read_rows(path, "clues")
    rows[1]["p_act"] = "Emotion: perhaps sad."
    artifacts.write(rows, path, "clues", "test")
    with pytest.raises(ArtifactError, match="p_act of 'u01' is 'Emotion: perhaps sad.', not what this code makes"):
        read_clips(results, "demo")


@pytest.mark.parametrize(
    ("caption", "given", "predicted", "counts"),
    [  # same, repeats given, predicted, the same where they differ, given is right; the label is sad
        ("A sad voice.", "sad", "angry", (0, 1, 0, 1, 0, 1)),
        ("An angry voice.", "happy", "angry", (0, 0, 1, 0, 1, 0)),
        ("A happy voice.", "happy", "happy", (1, 1, 1, None, None, 0)),
        ("A loud voice.", None, "angry", (0, None, 0, None, None, None)),
        ("A happy voice.", "happy", None, (1, 1, None, None, None, 0)),
    ],
)
def test_whose_emotion_a_caption_follows(caption, given, predicted, counts) -> None:
    clues = [tags(emotion=own) if own else () for own in (given, predicted)]
    assert tuple(followed(Sentence(caption, 9, True), "A happy voice.", *clues, "sad").values()) == counts
    assert followed(Sentence(caption, 9, True), "", *clues, None)["given_right"] is None


def test_captions_are_scored_as_those_of_the_run(clips: Clips) -> None:
    said = {name: Sentence("The speaker sounds sad, with a quiet voice.", 9, True) for name in clips.examples}
    rows = scored(clips.gold, said, {"u00": {"same": 1.0}})
    values = [dict(zip(row["metric_names"], row["metric_values"], strict=True)) for row in rows]
    assert [row["utterance_id"] for row in rows] == clips.gold.ids
    assert [own["emotion_agreement"] for own in values[:4]] == [0, 1, 0, 0], "angry, sad, happy, neutral"
    assert values[1]["factuality_hallucination"] == 1, "the level is high in every clip"
    assert values[0]["same"] == 1 and "same" not in values[1]


def test_without_speech_the_prompt_is_that_of_a_cascade(tiny_llm: Path, examples: list[Example]) -> None:
    model = CaptionModel(model_folder(tiny_llm), Prompts(), Compute(precision="fp32", device="cpu")).eval()
    decoding = Decoding(max_new_tokens=4, batch_size=2)
    cascade = speak(model, examples, decoding, "test")
    model.add_adapter(AdapterSettings(width=16, heads=2, queries=2, layers=1), n_layers=2, dim=8).eval()
    assert speak(model, examples, decoding, "test", heard=False) == cascade
    assert speak(model, examples, decoding, "test") != cascade, "not even the log-probabilities are the same"


def test_the_scripts_write_nothing_into_the_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    from clips import spread
    from cue_interventions import read_arguments

    command = ["x", str(tmp_path), "demo", "--out"]
    monkeypatch.setattr(sys, "argv", [*command, str(tmp_path / "tables")])
    with pytest.raises(SystemExit, match="lies in the results folder"):
        read_arguments("about")
    monkeypatch.setattr(sys, "argv", [*command, f"{tmp_path}-out"])
    assert read_arguments("about").systems == ["sft", "kd", "aligncap"]
    assert spread(list("abcdefg"), 3) == ["a", "d", "g"] and spread(["a", "b"], None) == ["a", "b"]
    assert spread(list("abcdefg"), 4) == ["a", "c", "e", "g"] and spread(["a", "b"], 1) == ["a"]
