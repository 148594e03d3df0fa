"""What a run knows of one utterance."""

import json

import numpy as np
import pytest
from audio_rows import audio_row

from aligncap import artifacts
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
        put([audio_row(i, seconds=2.0, speaker="S", split=corpus) for i in ids], f"corpora/{corpus}/audio", "audio")
        labels = {"captions": ["A sad voice."], "caption_group": None, "emotion": "sad", "intensity": None}
        labels |= {"valence": None, "arousal": None, "transcript": "hi"}
        put([{"utterance_id": i, **labels} for i in ids], f"corpora/{corpus}/references", "labels")
        said = {"transcript": "hello", "language": "en", "source": "asr", "avg_logprob": -0.1}
        put([{"utterance_id": i, **said} for i in ids], f"transcripts/{corpus}", "transcripts")
        clues = [{"utterance_id": i, "clues": [CLUE], "p_act": "Emotion: sad.", "p_sem_ids": [1, 2]} for i in ids]
        put(clues, f"clues/{corpus}/predicted", "clues")
    put([{"utterance_id": "w3", "audio_path": "w.wav", "reason": "w.wav: 0 bytes"}], "corpora/test/skipped", "skipped")
    sound = {"pitch_hz": None, "pitch_range_st": None, "level_db": -20.0, "rate_hz": 4.0}
    thirds = {"pitch": "mid", "level": "mid", "rate": "mid"}
    put([{"utterance_id": "v7", **sound, **thirds}], "corpora/test/prosody", "prosody")
    fold = {"corpus": "train", "kind": "emotion", "target": "sad", "labels": ["angry", "sad"]}
    put([{"utterance_id": "u1", **fold, "probabilities": [0.25, 0.75]}], "tagger/out_of_fold", "tagger_predictions")
    features = np.ones((1, 2, 3), np.float16)
    shape = {"n_layers": 1, "n_frames": 2, "dim": 3, "dtype": "float16", "data": features.tobytes()}
    put([{"utterance_id": "v7", **shape}], "features/test", "features")
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
    put(
        [opinion, {"caption": "Calm.", "dominant": None, "probability": 0.4}],
        "second_opinions/test",
        "second_opinions",
        {"labels": ["angry"]},
    )
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
    rows = found["artifacts"]
    assert (found["corpus"], rows["transcripts/test"][0]["transcript"]) == ("test", "hello")
    (said,) = rows["evaluation/kd/test"]
    assert (said["caption"], said["flags"]) == ("She is furious.", ["emotion: furious"])
    assert said["values"] == {"emotion_agreement": 0.0}, "a metric that does not apply is absent"
    assert [row["dominant"] for row in rows["second_opinions/test"]] == ["angry"], "of its own caption only"
    assert rows["clues/test/predicted"][0]["p_act"] == "Emotion: sad."
    assert "p_sem_ids" not in rows["clues/test/predicted"][0] and "data" not in rows["features/test"][0]
    assert not any(name.startswith(("candidates", "preference_pairs", "corpora/train")) for name in rows)


def test_a_training_utterance_has_its_candidates_scores_and_pairs(results):
    found = explain(results, "train/u1")
    rows = found["artifacts"]
    assert rows["tagger/out_of_fold"][0]["probabilities"] == {"angry": 0.25, "sad": 0.75}
    assert [row["candidate_id"] for row in rows["candidates/kd"]] == ["train/u1#0", "train/u1#1"]
    assert [row["rationale"] for row in rows["judge_scores/kd/reference"]] == ["says sad"]
    assert [pair["margin"] for pair in rows["preference_pairs/kd"]] == [1.5]
    assert explain(results, "u1", corpus="train") == found


def test_a_slash_may_be_part_of_an_id(results):
    for name, schema in {"audio": "audio", "references": "labels"}.items():
        path = results / "corpora" / "test" / f"{name}.parquet"
        rows = artifacts.read_rows(path, schema)
        renamed = [row | {"utterance_id": row["utterance_id"].replace("v7", "part/v7")} for row in rows]
        artifacts.write(renamed, path, schema, "test")
    assert explain(results, "part/v7")["corpus"] == "test"
    assert explain(results, "test/part/v7")["utterance_id"] == "part/v7"


def test_the_command_prints_all_of_it_for_people_and_for_programs(results, capsys):
    for utterance, told in {
        "v7": ("captions/kd/test:", "caption: She is furious.", "emotion: furious", "transcript: hello"),
        "train/u1": ("- A sad voice.", "train/u1#1", "rationale: says sad", "margin: 1.5"),
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


@pytest.mark.parametrize("size", [0, 40, -1])
def test_a_damaged_artifact_is_named(results, size):
    path = results / "captions/kd/test.parquet"
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[10] ^= 1
    path.write_bytes(changed if size < 0 else whole[:size])
    with pytest.raises(ArtifactError, match="captions/kd/test.parquet: .*delete it and run the same command again"):
        explain(results, "v7")
