"""What a run knows of one utterance."""

import json

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.clues.tagger.heads import Head
from aligncap.clues.tagger.model import Tagger
from aligncap.errors import ArtifactError
from aligncap.serving import cli
from aligncap.serving.explain import explain

CLUE = dict(kind="emotion", word="sad", lemma="sad", intensity="normal", negated=False, probability=0.75)


@pytest.fixture
def results(tmp_path):
    """A run on the corpora ``train`` and ``test``, which both have an utterance ``u1``."""
    place = tmp_path / "results" / "e"

    def put(rows: list[dict], path: str, schema: str, notes: dict | None = None) -> None:
        artifacts.write(rows, place / f"{path}.parquet", schema, "test", notes)

    for corpus, ids in {"train": ("u1", "u2"), "test": ("u1", "v7")}.items():
        audio = {"audio_path": "x.wav", "audio_sha256": "0", "sample_rate": 8000, "duration_s": 2.0, "speaker": "S"}
        audio |= {"session": "", "language": "en", "split": corpus}
        put([{"utterance_id": i, **audio} for i in ids], f"corpora/{corpus}/audio", "audio")
        labels = {"captions": ["A sad voice."], "caption_group": None, "emotion": "sad", "intensity": None}
        labels |= {"valence": None, "arousal": None, "transcript": "hi"}
        put([{"utterance_id": i, **labels} for i in ids], f"corpora/{corpus}/references", "labels")
        said = {"transcript": "hello", "language": "en", "source": "asr", "avg_logprob": -0.1}
        put([{"utterance_id": i, **said} for i in ids], f"transcripts/{corpus}", "transcripts")
        clues = [{"utterance_id": i, "clues": [CLUE], "p_act": "Emotion: sad.", "p_sem_ids": [1, 2]} for i in ids]
        put(clues, f"clues/{corpus}/predicted", "clues")
    put([{"utterance_id": "w3", "audio_path": "w.wav", "reason": "w.wav: 0 bytes"}], "corpora/test/skipped", "skipped")
    sound = {"pitch_hz": None, "pitch_range_st": None, "level_db": -20.0, "rate_hz": 4.0, "pause_share": 0.0}
    thirds = {"pitch": "mid", "level": "mid", "rate": "mid"}
    put([{"utterance_id": "v7", **sound, **thirds}], "corpora/test/prosody", "prosody")
    fold = {"corpus": "train", "kind": "emotion", "target": "sad", "labels": ["angry", "sad"]}
    put([{"utterance_id": "u1", **fold, "probabilities": [0.25, 0.75]}], "tagger/out_of_fold", "tagger_predictions")
    features = np.ones((1, 2, 3), np.float16)
    shape = {"n_layers": 1, "n_frames": 2, "dim": 3, "dtype": "float16", "data": features.tobytes()}
    put([{"utterance_id": "v7", **shape}], "features/test", "features")
    head = Head(("angry", "sad"), np.array([[1, 0, 0], [0, 0, 0]], np.float32), np.zeros(2, np.float32))
    tagger = Tagger(np.zeros(3, np.float32), np.ones(3, np.float32), {"emotion": head}, "train", "mean")
    tagger.save(place / "tagger" / "tagger.safetensors")
    put(
        [{"utterance_id": "v7", "caption": "She is furious.", "n_tokens": 4, "finished": True}],
        "captions/kd/test",
        "captions",
    )
    scored = {"utterance_id": "v7", "caption": "She is furious.", "cluster": "c", "label": "sad", "dominant": "angry"}
    values = {
        "metric_names": ["emotion_agreement", "meteor"],
        "metric_values": [0.0, None],
        "flags": ["emotion: furious"],
        "assertions": [],
    }
    put([scored | values], "evaluation/kd/test", "evaluation")
    opinion = {"caption": "She is furious.", "dominant": "angry", "probability": 0.9}
    put([opinion], "second_opinions/test", "second_opinions", {"labels": ["angry"]})
    drawn = {"utterance_id": "u1", "corpus": "train", "caption": "Sad.", "token_ids": [1], "sum_logprob": -2.0}
    drawn |= {"temperature": 1.0, "seed": 1, "finished": True}
    put([{"candidate_id": f"train/u1#{n}", **drawn} for n in (0, 1)], "candidates/kd", "candidates")
    judged = {"judge": "reference", "factuality": 5.0, "faithfulness": 4.0, "overall": 4.5, "rationale": "says sad"}
    put([{"candidate_id": "train/u1#1", **judged}], "judge_scores/kd/reference", "judge_scores")
    pair = {"pair_id": "p", "utterance_id": "u1", "corpus": "train", "kind": "factuality", "chosen_id": "train/u1#1"}
    pair |= {"rejected_id": "train/u1#0", "chosen_ids": [1], "rejected_ids": [2], "margin": 1.5, "role": "train"}
    put([pair], "preference_pairs/kd", "preference_pairs")
    return place


def test_a_test_utterance_has_what_the_systems_said_and_why_it_is_wrong(results):
    found = explain(results, "v7")
    assert json.loads(json.dumps(found)) == found
    assert (found["corpus"], found["transcript"]["transcript"]) == ("test", "hello")
    (said,) = found["captions"]
    assert (said["system"], said["caption"], said["flags"]) == ("kd", "She is furious.", ["emotion: furious"])
    assert said["metrics"] == {"emotion_agreement": 0.0}, "a metric that does not apply is absent"
    assert said["second_opinion"] == {"dominant": "angry", "probability": 0.9}
    assert found["clues"]["predicted"]["p_act"] == "Emotion: sad."
    angry = 1 / (1 + np.exp(-1))
    assert found["probabilities"]["emotion"] == pytest.approx({"angry": angry, "sad": 1 - angry})
    assert "pairs" not in found


def test_a_training_utterance_has_its_candidates_scores_and_pairs(results):
    found = explain(results, "train/u1")
    assert found["probabilities"] == {"emotion": {"angry": 0.25, "sad": 0.75}}
    assert found["probabilities_from"] == "out of fold"
    assert [len(candidate["scores"]) for candidate in found["candidates"]] == [0, 1]
    assert found["candidates"][1]["scores"][0]["rationale"] == "says sad"
    assert [pair["margin"] for pair in found["pairs"]] == [1.5]
    assert explain(results, "u1", corpus="train") == found


def test_the_command_prints_all_of_it_for_people_and_for_programs(results, capsys):
    for utterance, told in {
        "v7": (
            "kd: She is furious.",
            "hallucination: emotion: furious",
            "angry (0.90)",
            "angry 0.73, sad 0.27",
            "hello",
        ),
        "train/u1": ("reference 1", "A sad voice.", "train/u1#1", "judge reference:", "says sad", "1.5", "out of fold"),
    }.items():
        assert cli.main(["explain", utterance, "--results", str(results)]) == 0
        printed = capsys.readouterr().out
        assert [words for words in told if words not in printed] == []
    assert cli.main(["explain", "v7", "--results", str(results), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == explain(results, "v7")


@pytest.mark.parametrize(
    ("utterance", "said"),
    [("u1", "in test and train; write test/u1"), ("v77", "no utterance 'v77'; there are v7"), ("w3", "w.wav: 0 bytes")],
)
def test_an_utterance_that_is_not_there_is_one_line(results, utterance, said):
    with pytest.raises(ArtifactError, match=said):
        explain(results, utterance)


def test_a_folder_without_results_says_how_to_name_one(tmp_path):
    with pytest.raises(ArtifactError, match="--results"):
        explain(tmp_path, "u1")
