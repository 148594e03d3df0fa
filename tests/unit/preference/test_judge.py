"""The reference judge: order of scores, weights, what it reads."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import parse_clues
from aligncap.config import Compute, Judge
from aligncap.errors import ArtifactError
from aligncap.preference.facts import ClipFacts, facts_of, scored_candidates
from aligncap.preference.judges import (
    CandidateScoringInputs,
    CaptionScoringInputs,
    Judged,
    score_candidates,
    score_captions_of,
)
from aligncap.preference.judges.reference import grade_factuality, grade_faithfulness, judge

REFERENCE = "The speaker sounds very sad, with a quiet voice."
FACTS = ClipFacts(
    Truth("sad", level="low", rate="slow", intensity="strong"),
    tuple(parse_clues(REFERENCE)),
    "i will never see you here again",
    (REFERENCE,),
)
WEIGHTS = (0.3, 0.4, 0.3)


def test_no_emotion_is_right_or_wrong_where_the_label_is_outside_the_classes():
    gold = tuple(parse_clues("The speaker sounds surprised."))
    row = {"captions": ["The speaker sounds surprised."], "intensity": None}
    unlabelled = facts_of(row | {"emotion": None}, gold, "", None)
    other = facts_of(row | {"emotion": "other"}, gold, "", None)
    assert grade_factuality("The speaker sounds angry.", unlabelled)[0] < 2
    assert grade_factuality("The speaker sounds angry.", other) == (3.0, [])


def factuality(caption):
    return grade_factuality(caption, FACTS)[0]


def faithfulness(caption, finished=True):
    return grade_faithfulness(caption, FACTS, finished)[0]


def test_factuality_orders_captions():
    best = factuality("The speaker sounds very sad, with a quiet voice.")
    right = factuality("The speaker sounds sad.")
    mixed = factuality("The speaker sounds angry, a bit sad.")
    silent = factuality("The speaker talks at length.")
    near = factuality("The speaker sounds angry.")
    far = factuality("The speaker sounds happy.")
    worst = factuality("The speaker sounds happy, with a loud voice, speaking fast.")
    assert best > right > mixed > silent >= near > far > worst >= 1
    assert best <= 5


def test_measured_prosody_counts_where_the_reference_is_silent():
    assert factuality("Sad, speaking slowly.") > factuality("Sad.") > factuality("Sad, speaking fast.")


@pytest.mark.parametrize(
    "caption",
    [
        "The speaker sounds sad because the war came.",
        "He sounds sad, with a quiet voice.",
        "Sad, saying i will never see you again.",
        "The speaker sounds sad, at the hospital, quietly.",
        "The speaker sounds sad, with a quiet voice and",
        REFERENCE + " " + REFERENCE,
    ],
)
def test_unfaithful_captions_lose_points(caption):
    assert faithfulness(REFERENCE) == 5
    assert faithfulness(caption) < 5


def test_unfinished_and_overlong():
    assert faithfulness(REFERENCE, finished=False) == 3
    long = "The speaker sounds sad and quiet and low and slow and tired and weary and grey and dull and faint."
    assert faithfulness(long) < faithfulness(REFERENCE)


def test_overall_is_weighted_and_says_why():
    opinion = judge(REFERENCE, FACTS, True, 0.5, WEIGHTS)
    expected = 0.3 * 3 + 0.4 * opinion.factuality + 0.3 * opinion.faithfulness
    assert opinion.overall == pytest.approx(expected)
    assert "as labelled" in opinion.rationale and "similarity 0.50" in opinion.rationale
    without = judge(REFERENCE, FACTS, True, None, WEIGHTS)
    assert without.overall == pytest.approx((0.4 * opinion.factuality + 0.3 * opinion.faithfulness) / 0.7)
    assert judge(REFERENCE, FACTS, True, None, (1.0, 0.0, 0.0)).overall > 1


class WordEncoder:
    def __init__(self, folder=None):
        self.folder = folder

    def encode(self, texts):
        vectors = np.full((len(texts), 32), 1e-3)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % 32] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def candidate_row(number, caption, corpus="tiny", utterance="u00", finished=True):
    return {
        "candidate_id": f"{corpus}/{utterance}#{number}",
        "utterance_id": utterance,
        "corpus": corpus,
        "caption": caption,
        "token_ids": [5, 6, number],
        "sum_logprob": -3.0,
        "temperature": 1.0,
        "seed": 1,
        "finished": finished,
    }


@pytest.fixture
def files(tmp_path, monkeypatch):
    import aligncap.models.sentence_encoder as text
    import aligncap.models.sources as sources

    monkeypatch.setattr(text, "SentenceEncoder", WordEncoder)
    monkeypatch.setattr(sources, "model_folder", lambda manifest: manifest.parent)
    nothing = {"caption_group": None, "intensity": None, "valence": None, "arousal": None, "transcript": None}
    labels = [{"utterance_id": "u00", "captions": [REFERENCE], "emotion": "sad", **nothing}]
    artifacts.write(labels, tmp_path / "labels", "labels", "test")
    clues = [clue.to_dict() for clue in parse_clues(REFERENCE)]
    gold = [{"utterance_id": "u00", "clues": clues, "p_act": "", "p_sem_ids": []}]
    artifacts.write(gold, tmp_path / "gold", "clues", "test")
    said = {"transcript": "hello", "language": "en", "source": "corpus", "avg_logprob": 0.0}
    artifacts.write([{"utterance_id": "u00", **said}], tmp_path / "said", "transcripts", "test")
    return tmp_path


def _score(files, rows, settings=None):
    artifacts.write(rows, files / "candidates", "candidates", "test")
    by_corpus = [{"tiny": files / name} for name in ("labels", "gold", "said")]
    inputs = CandidateScoringInputs(files / "candidates", *by_corpus, {}, files / "manifest.json")
    score_candidates(settings or Judge(), Compute(precision="fp32", threads=1), inputs, files / "scores")
    return artifacts.read_rows(files / "scores", "judge_scores")


def test_score_candidates_writes_a_row_each_and_tells_them_apart(files):
    captions = [REFERENCE, "The speaker sounds sad.", "The speaker sounds happy.", "He is sad because of the war."]
    rows = _score(files, [candidate_row(n, caption) for n, caption in enumerate(captions)])
    assert [row["candidate_id"] for row in rows] == [f"tiny/u00#{n}" for n in range(4)]
    overall = [row["overall"] for row in rows]
    assert len(set(overall)) == 4 and max(overall) == overall[0]
    for row in rows:
        assert all(1 <= row[name] <= 5 for name in ("factuality", "faithfulness", "overall")) and row["rationale"]


def test_candidate_of_no_training_utterance_is_refused(files):
    with pytest.raises(ArtifactError, match="'tiny/u77' is no utterance of this run"):
        _score(files, [candidate_row(0, "x", utterance="u77")])


def test_a_judge_without_an_answer_leaves_nulls_that_make_no_pair(files):
    (files / "answers.jsonl").write_text(
        '{"corpus": "tiny", "utterance_id": "u00", "candidate": "Sad.", "factuality": 5, "faithfulness": 4}'
    )
    settings = Judge(name="human", human={"answers": str(files / "answers.jsonl")})
    rows = _score(files, [candidate_row(0, "Sad."), candidate_row(1, "Happy.")], settings)
    assert (rows[0]["factuality"], rows[0]["faithfulness"], rows[0]["judge"]) == (5, 4, "human")
    assert [rows[1][name] for name in ("factuality", "faithfulness", "overall")] == [None] * 3
    notes = artifacts.read_notes(files / "scores", "judge_scores")
    assert notes["judge"] == "human" and "unscored" not in notes, "the rows say it"
    assert rows[1]["rationale"] == "unscored: nobody was asked"
    grouped = dict(scored_candidates(files / "candidates", files / "scores"))
    assert [row["candidate_id"] for row in grouped["tiny", "u00"]] == ["tiny/u00#0"]


@pytest.mark.parametrize(
    ("order", "has", "where"),
    [([0], "no row", "'tiny/u00#1'"), ([1, 0], "'tiny/u00#1'", "'tiny/u00#0'"), ([0, 1, 1], "'tiny/u00#1'", "no row")],
)
def test_scores_that_are_not_of_the_candidates_are_refused(files, order, has, where):
    rows = _score(files, [candidate_row(0, "Sad."), candidate_row(1, "Happy.")])
    artifacts.write([rows[place] for place in order], files / "scores", "judge_scores", "test")
    with pytest.raises(ArtifactError, match=f"scores: has {has} where .*candidates has {where}; run the judge again"):
        list(scored_candidates(files / "candidates", files / "scores"))


def test_candidates_of_an_utterance_that_are_no_neighbours_are_refused(files):
    rows = [candidate_row(0, "Sad."), candidate_row(1, "Happy.", utterance="u01"), candidate_row(2, "Calm.")]
    artifacts.write(rows, files / "candidates", "candidates", "test")
    scored = {"judge": "human", "factuality": 3.0, "faithfulness": 3.0, "overall": 3.0, "rationale": ""}
    given = [{"candidate_id": row["candidate_id"], **scored} for row in rows]
    artifacts.write(given, files / "scores", "judge_scores", "test")
    with pytest.raises(ArtifactError, match="candidates: those of 'tiny/u00' are no neighbours; sample"):
        list(scored_candidates(files / "candidates", files / "scores"))


def captions(files, system, texts):
    rows = [{"utterance_id": name, "caption": text, "n_tokens": 4, "finished": True} for name, text in texts.items()]
    artifacts.write(rows, files / system, "captions", "test")
    return files / system


def _judge_captions(files, **systems):
    said = {system: captions(files, system, texts) for system, texts in systems.items()}
    facts = [files / name for name in ("labels", "gold", "said")]
    prosody = {"pitch_hz": 200.0, "pitch_range_st": 3.0, "level_db": -40.0, "rate_hz": 3.0}
    terciles = {"pitch": "mid", "level": "low", "rate": "slow"}
    artifacts.write([{"utterance_id": "u00", **prosody, **terciles}], files / "prosody", "prosody", "test")
    outs = {system: files / f"judged_{system}" for system in systems}
    inputs = CaptionScoringInputs(said, *facts, files / "prosody", files / "manifest.json")
    score_captions_of("tiny", Judge(), Compute(precision="fp32", threads=1), inputs, Judged(outs))
    return {system: artifacts.read_rows(path, "judged_captions") for system, path in outs.items()}


def test_captions_of_a_test_corpus_are_judged_by_system(files):
    judged = _judge_captions(files, kd={"u00": REFERENCE}, sft={"u00": "The speaker sounds happy."})
    (kd,), (sft,) = judged["kd"], judged["sft"]
    assert (kd["utterance_id"], kd["judge"]) == ("u00", "reference")
    assert kd["overall"] > sft["overall"] and kd["factuality"] > sft["factuality"]
    assert artifacts.read_notes(files / "judged_kd", "judged_captions")["unscored"] == 0


def test_captions_of_another_corpus_are_refused(files):
    with pytest.raises(ArtifactError, match="'tiny/u99' is no utterance of this run"):
        _judge_captions(files, kd={"u99": REFERENCE})
