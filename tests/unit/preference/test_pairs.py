"""Pairs: which candidates, how many, swaps, roles, refusals."""

from __future__ import annotations

import pytest

from aligncap import artifacts
from aligncap.config import Pairs
from aligncap.errors import ArtifactError
from aligncap.preference import pairs as module
from aligncap.preference.pairs import build_pairs, dev_utterances

SAD, HAPPY, LOUD = "The speaker sounds sad.", "The speaker sounds happy.", "The speaker sounds sad and loud."
WAR = "The speaker sounds sad because of the war."


class Tokenizer:
    eos_token_id = 2

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(c) for c in text]}


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_tokenizer", lambda manifest: Tokenizer())

    def run(by_utterance, roles=None, max_tokens=100, **settings):
        """by_utterance: id -> [(caption, factuality, faithfulness, finished)]; overall is their mean."""
        candidates, scores, labels, gold, plan = [], [], [], [], []
        nothing = {"caption_group": None, "intensity": None, "valence": None, "arousal": None, "transcript": None}
        for name, rows in by_utterance.items():
            labels.append({"utterance_id": name, "captions": [SAD], "emotion": "sad", **nothing})
            gold.append({"utterance_id": name, "clues": [], "p_act": "", "p_sem_ids": []})
            role = (roles or {}).get(name, "preference")
            plan.append({"utterance_id": name, "corpus": "tiny", "speaker_key": "tiny/a", "role": role, "fold": 0})
            for number, (caption, factuality, faithfulness, finished) in enumerate(rows):
                key = f"tiny/{name}#{number}"
                candidates.append(
                    {
                        "candidate_id": key,
                        "utterance_id": name,
                        "corpus": "tiny",
                        "caption": caption,
                        "token_ids": [number + 10, 2],
                        "sum_logprob": -1.0,
                        "temperature": 1.0,
                        "seed": 0,
                        "finished": finished,
                    }
                )
                overall = None if factuality is None else (factuality + faithfulness) / 2
                scores.append(
                    {
                        "candidate_id": key,
                        "judge": "reference",
                        "factuality": factuality,
                        "faithfulness": faithfulness,
                        "overall": overall,
                        "rationale": "",
                    }
                )
        for name, rows, schema in (
            ("candidates", candidates, "candidates"),
            ("scores", scores, "judge_scores"),
            ("labels", labels, "labels"),
            ("gold", gold, "clues"),
            ("plan", plan, "plan"),
        ):
            artifacts.write(rows, tmp_path / name, schema, "test")
        build_pairs(
            Pairs(**({"minimum": 1, "margin": 0.5, "clue_swap": False} | settings)),
            0,
            tmp_path / "candidates",
            tmp_path / "scores",
            {"tiny": tmp_path / "gold"},
            {"tiny": tmp_path / "labels"},
            tmp_path / "plan",
            tmp_path / "manifest.json",
            max_tokens,
            tmp_path / "pairs",
        )
        return artifacts.read_rows(tmp_path / "pairs", "preference_pairs")

    return run


def test_widest_margin_first_and_token_ids_as_sampled(build):
    rows = build({"u0": [(SAD, 5, 5, True), (HAPPY, 1, 5, True), (WAR, 5, 1, True), (LOUD, 4.8, 5, True)]})
    assert [(r["chosen_id"], r["rejected_id"], r["kind"]) for r in rows] == [
        ("tiny/u0#0", "tiny/u0#1", "factuality"),
        ("tiny/u0#0", "tiny/u0#2", "faithfulness"),
    ]
    assert rows[0]["chosen_ids"] == [10, 2] and rows[0]["rejected_ids"] == [11, 2]
    assert rows[0]["margin"] == pytest.approx(2) and rows[0]["pair_id"] == "tiny/u0#0>tiny/u0#1"


def test_margin_number_and_unscored(build):
    assert len(build({"u0": [(SAD, 5, 5, True), (HAPPY, 1, 5, True), (WAR, 5, 1, True)]}, per_utterance=1)) == 1
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(SAD, 5, 5, True), (LOUD, 4.5, 5, True)]})
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(SAD, 5, 5, True), (HAPPY, None, None, True)]})


def test_paraphrases_repeats_and_unfinished_make_no_pair(build):
    repeats = [(SAD, 5, 5, True), (SAD.upper(), 1, 1, True), ("A sad speaker's voice.", 1, 1, True)]
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": repeats})
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(HAPPY, 5, 5, False), (SAD, 1, 1, True)]})  # an unfinished caption is never chosen
    assert len(build({"u0": [(SAD, 5, 5, True), ("The speaker sounds sad and", 5, 2, False)]})) == 1


def test_clue_swap_where_no_candidate_is_worse(build):
    rows = build({"u0": [(SAD, 5, 5, True)]}, clue_swap=True)
    (row,) = rows
    assert row["rejected_id"] == "tiny/u0#swap0" and row["margin"] == 0 and row["kind"] == "factuality"
    said = "".join(chr(i) for i in row["rejected_ids"][:-1])
    assert row["rejected_ids"][-1] == 2 and said != SAD and "sad" not in said


@pytest.mark.parametrize(
    "rows", [[(SAD, 3, 5, True)], [(HAPPY, 5, 5, True)], [(SAD, 5, 5, False)], [("The voice is there.", 5, 5, True)]]
)
def test_no_swap_of_what_is_not_factual_or_not_finished(build, rows):
    with pytest.raises(ArtifactError, match="minimum is 1"):
        build({"u0": rows}, clue_swap=True)


def test_swap_longer_than_the_limit_is_not_made(build):
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(SAD, 5, 5, True)]}, clue_swap=True, max_tokens=4)


def test_a_tenth_of_the_utterances_is_dev_and_pairs_of_one_stay_together(build):
    captions = [(SAD, 5, 5, True), (HAPPY, 1, 5, True), (WAR, 5, 1, True)]
    rows = build({f"u{n:02d}": captions for n in range(30)})
    roles: dict[str, set[str]] = {}
    for row in rows:
        roles.setdefault(row["utterance_id"], set()).add(row["role"])
    assert all(len(own) == 1 for own in roles.values())
    assert sum(own == {"dev"} for own in roles.values()) == 3


def test_dev_is_the_same_in_any_order():
    keys = [("c", f"u{n}") for n in range(25)]
    assert dev_utterances(keys, 1) == dev_utterances(keys[::-1], 1)
    assert len(dev_utterances(keys[:2], 1)) == 1 and dev_utterances(keys[:1], 1) == set()


def test_dev_speakers_and_too_few_pairs_are_refused(build):
    captions = [(SAD, 5, 5, True), (HAPPY, 1, 5, True)]
    with pytest.raises(ArtifactError, match="role 'dev'"):
        build({"u0": captions}, roles={"u0": "dev"})
    with pytest.raises(ArtifactError, match="1 pairs from 1 utterances, preference.pairs.minimum is 2.*raise"):
        build({"u0": captions}, minimum=2)
