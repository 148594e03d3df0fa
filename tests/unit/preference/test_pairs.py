"""Pairs: which candidates, how many, swaps, roles, refusals."""

from __future__ import annotations

import pytest

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth
from aligncap.config import Pairs
from aligncap.errors import ArtifactError
from aligncap.preference import pairs as module
from aligncap.preference.facts import ClipFacts
from aligncap.preference.pairs import PairInputs, PairSettings, build_pairs, dev_utterances, rate

SAD, HAPPY, LOUD = "The speaker sounds sad.", "The speaker sounds happy.", "The speaker sounds sad and loud."
WAR = "The speaker sounds sad because of the war."
QUIET_SAD = "The speaker sounds sad, with a quiet voice."
UNSURE = "The voice is quiet."
KINDS = {"factuality": {"share": 0.5, "margin": 0.5}, "faithfulness": {"share": 0.5, "margin": 0.5}}
# Judge and margin decide alone.
PLAIN = {
    **KINDS,
    "minimum": 1,
    "hard_negatives": "off",
    "wrong_clue_penalty": 0,
    "clean_chosen": False,
}
QUIET = {
    "pitch_hz": 120.0,
    "pitch_range_st": 4.0,
    "level_db": -40.0,
    "rate_hz": 3.0,
    "level": "low",
    "pitch": "low",
    "rate": "mid",
}


class Tokenizer:
    eos_token_id = 2

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(c) for c in text]}


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_tokenizer", lambda manifest: Tokenizer())

    def run(by_utterance, roles=None, max_tokens=100, speakers=None, emotion="sad", known=None, **settings):
        """by_utterance: id -> [(caption, factuality, faithfulness, finished)]; overall is their mean."""
        candidates, scores, labels, gold, plan, said = [], [], [], [], [], []
        nothing = {"caption_group": None, "intensity": None, "valence": None, "arousal": None, "transcript": None}
        for name, rows in by_utterance.items():
            labels.append({"utterance_id": name, "captions": [SAD], "emotion": emotion, **nothing, **(known or {})})
            gold.append({"utterance_id": name, "clues": [], "p_act": "", "p_sem_ids": []})
            role = (roles or {}).get(name, "preference")
            speaker = (speakers or {}).get(name, "tiny/a")
            plan.append({"utterance_id": name, "corpus": "tiny", "speaker_key": speaker, "role": role, "fold": 0})
            asr = {"transcript": "kids are talking by the door", "language": "en", "source": "asr", "avg_logprob": 0.0}
            said.append({"utterance_id": name, **asr})
            for number, (caption, factuality, faithfulness, finished) in enumerate(rows):
                key = f"tiny/{name}#{number}"
                candidates.append(
                    {
                        "candidate_id": key,
                        "utterance_id": name,
                        "corpus": "tiny",
                        "caption": caption,
                        "token_ids": [number + 10, *[3] * caption.count(","), 2],
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
            ("said", said, "transcripts"),
            ("prosody", [{"utterance_id": name, **QUIET} for name in by_utterance], "prosody"),
        ):
            artifacts.write(rows, tmp_path / name, schema, "test")
        inputs = PairInputs(
            tmp_path / "candidates",
            tmp_path / "scores",
            {"tiny": tmp_path / "gold"},
            {"tiny": tmp_path / "labels"},
            {"tiny": tmp_path / "said"},
            {"tiny": tmp_path / "prosody"},
            tmp_path / "plan",
            tmp_path / "manifest.json",
        )
        build_pairs(PairSettings(Pairs(**(PLAIN | settings)), 0, max_tokens), inputs, tmp_path / "pairs")
        return artifacts.read_rows(tmp_path / "pairs", "preference_pairs")

    return run


def test_widest_margin_first_and_token_ids_as_sampled(build):
    rows = build({"u0": [(SAD, 5, 5, True), (HAPPY, 1, 5, True), (WAR, 5, 1, True), (LOUD, 4.8, 5, True)]})
    assert [(r["chosen_id"], r["rejected_id"], r["kind"]) for r in rows] == [
        ("tiny/u0#0", "tiny/u0#2", "faithfulness"),
        ("tiny/u0#0", "tiny/u0#1", "factuality"),
    ]
    assert rows[1]["chosen_ids"] == [10, 2] and rows[1]["rejected_ids"] == [11, 2]
    assert rows[1]["margin"] == pytest.approx(4) and rows[1]["pair_id"] == "tiny/u0#0>tiny/u0#1"


def test_a_copied_transcript_makes_a_faithfulness_pair(build):
    (row,) = build({"u0": [(SAD, 5, 5, True), ("The speaker sounds sad, are talking by the door.", 5, 2.25, True)]})
    assert (row["chosen_id"], row["rejected_id"], row["kind"]) == ("tiny/u0#0", "tiny/u0#1", "faithfulness")


def test_a_chosen_caption_does_not_weaken_a_strong_emotion(build):
    rows = [("The speaker sounds slightly sad.", 5, 5, True), (SAD, 4.5, 5, True), (HAPPY, 1, 5, True)]
    weak = build({"u0": rows}, clean_chosen=True, per_utterance=1)
    assert [row["chosen_id"] for row in weak] == ["tiny/u0#0"]
    strong = build({"u0": rows}, clean_chosen=True, per_utterance=1, known={"intensity": "strong"})
    assert [row["chosen_id"] for row in strong] == ["tiny/u0#1"]


def test_no_swap_contradicts_a_label_outside_the_classes(build):
    rows = [("The speaker sounds sad.", 5, 5, True)]
    assert len(build({"u0": rows}, emotion="sad", hard_negatives="always")) == 1
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": rows}, emotion="other", hard_negatives="always")


def test_margin_number_and_unscored(build):
    factual = [(SAD, 5, 5, True), (HAPPY, 1, 5, True), ("The speaker sounds angry.", 2, 5, True)]
    assert len(build({"u0": factual})) == 2
    assert [row["rejected_id"] for row in build({"u0": factual}, per_utterance=1)] == ["tiny/u0#1"]
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(SAD, 5, 5, True), (LOUD, 4.75, 5, True)]})
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
    rows = build({"u0": [(SAD, 5, 5, True)]}, hard_negatives="fallback")
    (row,) = rows
    assert row["rejected_id"] == "tiny/u0#swap0" and row["margin"] == 0 and row["kind"] == "factuality"
    said = "".join(chr(i) for i in row["rejected_ids"][:-1])
    assert row["rejected_ids"][-1] == 2 and said != SAD and "sad" not in said


@pytest.mark.parametrize(
    "rows", [[(SAD, 3, 5, True)], [(HAPPY, 5, 5, True)], [(SAD, 5, 5, False)], [("The voice is there.", 5, 5, True)]]
)
def test_no_swap_of_what_is_not_factual_or_not_finished(build, rows):
    with pytest.raises(ArtifactError, match="minimum is 1"):
        build({"u0": rows}, hard_negatives="fallback")


def test_swap_longer_than_the_limit_is_not_made(build):
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(SAD, 5, 5, True)]}, hard_negatives="fallback", max_tokens=4)


def test_swaps_always_or_only_where_no_factuality_pair_is(build):
    both = {"u0": [(SAD, 5, 5, True), (HAPPY, 1, 5, True)], "u1": [(SAD, 5, 5, True), (WAR, 5, 1, True)]}

    def swapped(mode):
        return {r["utterance_id"] for r in build(both, hard_negatives=mode) if r["rejected_id"].endswith("#swap0")}

    assert swapped(False) == set(), "a bare `off` of YAML"
    assert swapped("fallback") == {"u1"}, "its only pair is of faithfulness"
    assert swapped("always") == {"u0", "u1"}


def test_a_swap_is_contradicted_by_label_or_measurement(build):
    """The rate is mid: nothing speaks against a fast voice, so a copy that says fast is not known to be worse."""
    for seed in range(5):
        rows = build({f"u{seed}": [(QUIET_SAD, 5, 5, True)]}, hard_negatives="always")
        (said,) = ["".join(chr(i) for i in row["rejected_ids"][:-1]) for row in rows]
        assert "loud" in said or "sad" not in said
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [("The voice is slow.", 5, 5, True)]}, hard_negatives="always")


def test_a_wrong_emotion_is_rejected_against_its_corrected_copy(build):
    said = [("The speaker sounds happy, with a quiet voice.", 1, 5, True), (HAPPY, 1, 5, True)]
    (row,) = build({"u0": said}, corrected=True)
    assert row["chosen_id"] == "tiny/u0#corrected0" and row["rejected_id"] == "tiny/u0#0"
    assert "".join(chr(i) for i in row["chosen_ids"][:-1]) == "The speaker sounds sad, with a quiet voice."
    assert row["margin"] == 0 and row["kind"] == "factuality"


def test_a_corrected_copy_is_clean_where_that_is_asked_for(build):
    said = [("A woman sounds happy, with a loud voice.", 1, 5, True)]  # the clip is quiet
    (row,) = build({"u0": said}, corrected=True, clean_chosen=False)
    assert row["rejected_id"] == "tiny/u0#0"
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": said}, corrected=True, clean_chosen=True)


def test_no_candidate_is_rejected_a_second_time_against_its_corrected_copy(build):
    rows = build({"u0": [(SAD, 5, 5, True), (HAPPY, 1, 5, True)]}, corrected=True)
    assert [row["rejected_id"] for row in rows] == ["tiny/u0#1"]


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        ([(SAD, 5, 5, True)], {}),
        ([(UNSURE, 3, 5, True)], {}),
        ([(HAPPY, 1, 5, False)], {}),
        ([(HAPPY, 1, 5, True)], {"emotion": None, "known": {"captions": []}}),
        ([(HAPPY, 1, 5, True)], {"max_tokens": 4}),
    ],
    ids=["right", "none named", "unfinished", "no label", "too long"],
)
def test_nothing_is_corrected_that_is_not_known_to_be_wrong(build, rows, settings):
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": rows}, corrected=True, **settings)


def test_kinds_are_built_apart(build):
    # better in one kind, worse in the other: no pair of either kind
    with pytest.raises(ArtifactError, match="0 pairs"):
        build({"u0": [(HAPPY, 1, 5, True), (WAR, 5, 1, True)]})
    captions = {"u0": [(SAD, 5, 5, True), (HAPPY, 3.5, 5, True), (WAR, 5, 3.5, True)]}
    wide = {"share": 0.5, "margin": 2.0}
    assert {row["kind"] for row in build(captions, factuality=wide)} == {"faithfulness"}
    assert {row["kind"] for row in build(captions, faithfulness=wide)} == {"factuality"}
    only = {"factuality": {"share": 1, "margin": 0.5}, "faithfulness": {"share": 0, "margin": 0.5}}
    assert {row["kind"] for row in build(captions, **only)} == {"factuality"}


def test_a_kind_of_clue_is_wrong_once_however_often_it_is_said():
    facts = ClipFacts(Truth("sad", level="low"), (), "", ())
    said = {"caption": "A loud voice, not a quiet one.", "factuality": 5.0, "faithfulness": 5.0, "finished": True}
    rated = rate(said, facts, Pairs(wrong_clue_penalty=1.5))
    assert (rated["wrong"], rated["points"]["factuality"]) == (1, 3.5)


def test_an_uncertain_caption_beats_a_wrong_one_that_says_more(build):
    """The judge pays a wrong emotion for its supported clues; a penalty for what is wrong turns the order round."""
    captions = {"u0": [(UNSURE, 2.5, 5, True), ("The speaker sounds happy, with a quiet voice.", 2.5, 5, True)]}
    with pytest.raises(ArtifactError, match="0 pairs"):
        build(captions)
    (row,) = build(captions, wrong_clue_penalty=1.0)
    assert row["chosen_id"] == "tiny/u0#0" and row["margin"] == 1.0
    right = {"u0": [(UNSURE, 2.5, 5, True), (SAD, 4.5, 5, True)]}
    assert build(right, wrong_clue_penalty=1.0)[0]["chosen_id"] == "tiny/u0#1", "silence does not beat the truth"


def test_what_a_chosen_caption_may_be(build):
    def chosen(captions, **settings):
        try:
            return [row["chosen_id"][-1] for row in build({"u0": captions}, **settings)]
        except ArtifactError:
            return []

    wrong = [("The speaker sounds angry.", 3, 5, True), (HAPPY, 1, 5, True)]
    assert chosen(wrong) == ["0"] and chosen(wrong, clean_chosen=True) == []
    wordy = [(QUIET_SAD, 5, 5, True), (SAD, 4, 5, True)]
    assert chosen(wordy) == ["0"] and chosen(wordy, extra_clues=0) == [] and chosen(wordy, extra_clues=1) == ["0"]
    # three tokens against two
    assert chosen(wordy, length_tolerance=0.4) == [] and chosen(wordy, length_tolerance=0.5) == ["0"]


def test_the_limit_keeps_the_shares_as_far_as_there_are_enough(build):
    both = [(SAD, 5, 5, True), (HAPPY, 1, 5, True), (WAR, 5, 1, True)]
    many = {f"u{n:02d}": both for n in range(20)}

    def kinds(captions, **settings):
        rows = build(captions, **settings)
        return [sum(row["kind"] == kind for row in rows) for kind in ("factuality", "faithfulness")], rows

    shares = {"factuality": {"share": 0.75, "margin": 0.5}, "faithfulness": {"share": 0.25, "margin": 0.5}}
    counts, rows = kinds(many, limit=16, **shares)
    assert counts == [12, 4]
    assert kinds(dict(reversed(many.items())), limit=16, **shares)[0] == [12, 4]
    assert {r["pair_id"] for r in kinds(dict(reversed(many.items())), limit=16, **shares)[1]} == {
        r["pair_id"] for r in rows
    }
    few = {name: both if number < 2 else both[:2] for number, name in enumerate(many)}
    assert kinds(few, limit=16, **shares)[0] == [14, 2], "what one kind lacks goes to the other"


def test_notes_count_the_kinds(build, tmp_path):
    rows = build({"u0": [(SAD, 5, 5, True), (HAPPY, 1, 5, True)], "u1": [(SAD, 5, 5, True)]}, hard_negatives="fallback")
    longer = [len(row["chosen_ids"]) - len(row["rejected_ids"]) for row in rows]
    notes = artifacts.read_notes(tmp_path / "pairs", "preference_pairs")
    assert notes["kinds"]["factuality"] == {
        "pairs": 2,
        "swaps": 1,
        "tokens": pytest.approx(sum(longer) / len(longer), abs=1e-4),
        "margin": 4,
        "vocal": 0,
        "wrong": -1,
    }
    assert notes["kinds"]["faithfulness"] == {"pairs": 0, "swaps": 0}


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


def test_a_speaker_with_most_of_the_clips_stays_in_training():
    keys = [("c", f"u{n:03d}") for n in range(100)]
    speakers = {key: f"s{max(0, number - 95)}" for number, key in enumerate(keys)}  # 96 clips, and four of one
    for seed in range(10):
        assert 1 <= len(dev_utterances(keys, seed, speakers)) <= 10


def test_whole_speakers_are_dev_where_there_are_enough(build):
    names = [f"u{n:02d}" for n in range(30)]
    speakers = {name: f"tiny/{number % 6}" for number, name in enumerate(names)}
    rows = build({name: [(SAD, 5, 5, True), (HAPPY, 1, 5, True)] for name in names}, speakers=speakers)
    dev = {speakers[row["utterance_id"]] for row in rows if row["role"] == "dev"}
    train = {speakers[row["utterance_id"]] for row in rows if row["role"] == "train"}
    assert len(dev) == 1 and not dev & train and len(train) == 5


def test_dev_speakers_and_too_few_pairs_are_refused(build):
    captions = [(SAD, 5, 5, True), (HAPPY, 1, 5, True)]
    with pytest.raises(ArtifactError, match="'tiny/u0' has none of the roles preference and adapt"):
        build({"u0": captions}, roles={"u0": "dev"})
    with pytest.raises(ArtifactError, match="1 pairs from 1 utterances, preference.pairs.minimum is 2.*raise"):
        build({"u0": captions}, minimum=2)
