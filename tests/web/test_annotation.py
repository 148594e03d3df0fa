"""Annotation without a browser: questions, answers, blindness, leakage, what the answers say."""

import json
import sqlite3

import httpx
import numpy as np
import pytest
from page_server import running

from aligncap import artifacts
from aligncap.config import Judge
from aligncap.errors import ArtifactError, ConfigError, StorageError
from aligncap.evaluation.tables.judge_agreement import weighted_kappa
from aligncap.preference.facts import JudgedCaption
from aligncap.preference.judges import human
from aligncap.serving.web.annotation import annotation_app, default_answers, load_tasks, shown_first
from aligncap.serving.web.answers import Answers
from aligncap.serving.web.outcomes import export_preferences, fleiss_kappa, write_summary


def test_tasks_of_two_systems_leave_out_what_both_say(results):
    tasks = load_tasks(results, ["kd", "sft"], None, [], None)
    assert len(tasks.asked) == 5 and [task.utterance_id for task in tasks.identical] == ["unseen_sadness_0"]
    assert all(task.audio.is_file() and task.source == "test" for task in tasks.asked)
    assert load_tasks(results, ["kd", "sft"], None, [], 2).asked == tasks.asked[:2]


def test_candidates_are_of_preference_utterances_and_differ_in_what_they_claim(results):
    tasks = load_tasks(results, [], "kd", [], None)
    assert sorted(task.utterance_id for task in tasks.asked) == [f"known_sadness_{i}" for i in range(4)]
    for task in tasks.asked:
        assert set(task.captions) != {"She sounds happy.", "She is happy."}, "paraphrases train nothing"


def test_test_corpora_never_pass_as_training_candidates(results):
    rows = artifacts.read_rows(results / "candidates" / "kd.parquet", "candidates")
    rows[0] = rows[0] | {"corpus": "unseen", "utterance_id": "unseen_sadness_1"}
    artifacts.write(rows, results / "candidates" / "kd.parquet", "candidates", "test")
    with pytest.raises(ArtifactError, match="unseen/unseen_sadness_1 may not train preferences"):
        load_tasks(results, [], "kd", [], None)
    with pytest.raises(ArtifactError, match="'known' is not a test corpus"):
        load_tasks(results, ["kd", "sft"], None, ["known"], None)


def test_mistakes_of_the_command_line_are_one_line(results):
    for systems, candidates in ((["kd"], None), (["kd", "sft"], "kd"), ([], None)):
        with pytest.raises(ConfigError, match="name two systems"):
            load_tasks(results, systems, candidates, [], None)
    with pytest.raises(ArtifactError, match="no test corpus that both 'kd' and 'aligncap' captioned"):
        load_tasks(results, ["kd", "aligncap"], None, [], None)
    bad = results / "answers.sqlite"
    bad.write_text("no database " * 100)
    with pytest.raises(ArtifactError, match="not a file of answers"):
        Answers(bad)


def ask(address, name):
    return httpx.get(f"{address}/v1/question", params={"annotator": name}).json()


def give(address, name, task, choice, plays=1):
    body = {"annotator": name, "task": task, "choice": choice, "plays": plays}
    return httpx.post(f"{address}/v1/answers", json=body)


def test_a_session_is_blind_resumes_and_goes_back(results, tmp_path):
    tasks = load_tasks(results, ["kd", "sft"], None, [], None)
    file = tmp_path / "a.sqlite"
    with running(annotation_app(tasks, Answers(file))) as address:
        first = ask(address, "ann")
        assert (first["done"], first["total"]) == (0, 5)
        told = json.dumps(first)
        assert "sadness" not in told and "kd" not in told and "sft" not in told
        audio = httpx.get(f"{address}/audio/{first['question']['task']}")
        assert audio.status_code == 200 and "sadness" not in str(audio.headers)
        second = give(address, "ann", first["question"]["task"], "a").json()
        assert second["done"] == 1 and second["question"]["task"] != first["question"]["task"]
        back = httpx.post(f"{address}/v1/back", json={"annotator": "ann"}).json()
        assert back["question"] == first["question"] and back["done"] == 0
        give(address, "ann", first["question"]["task"], "b")
    with running(annotation_app(tasks, Answers(file))) as address:  # the server was killed; ann comes back as Ann
        assert ask(address, "Ann")["question"] == second["question"]
        assert ask(address, "bob")["question"]["task"] == first["question"]["task"]  # the same order for everybody
    (answer,) = Answers(file).all()
    preferred = {"first": 0, "second": 1}[answer.choice]
    assert (answer.first_caption, answer.second_caption)[preferred] == first["question"]["b"]


def test_sides_are_mixed_over_questions_and_people(results):
    tasks = load_tasks(results, ["kd", "sft"], None, [], None).asked
    sides = [shown_first(task, f"person {n}") for task in tasks for n in range(20)]
    assert 30 < sides.count("first") < 70


def test_what_the_page_cannot_send_is_refused(results, tmp_path):
    tasks = load_tasks(results, ["kd", "sft"], None, [], None)
    with running(annotation_app(tasks, Answers(tmp_path / "a.sqlite"))) as address:
        key = tasks.asked[0].key
        assert give(address, "ann", "no such question", "a").status_code == 404
        assert give(address, "ann", key, "a", plays=0).status_code == 422  # nobody listened
        assert give(address, "ann", key, "maybe").status_code == 422
        assert give(address, " ", key, "a").status_code == 422
        assert give(address, "<b>", key, "a").status_code == 422
        assert httpx.get(f"{address}/audio/..%2Fa.sqlite").status_code == 404
        assert httpx.get(f"{address}/openapi.json").status_code == 404
    assert Answers(tmp_path / "a.sqlite").all() == []


def answered(tasks, file, choices):
    """Store name -> choices in the order of the tasks."""
    answers = Answers(file)
    for name, own in choices.items():
        for task, choice in zip(tasks.asked, own, strict=False):
            answers.put(task, name, choice, "first", 2)
    return file


def test_win_rate_and_agreement_become_an_artifact(results, tmp_path):
    tasks = load_tasks(results, ["kd", "sft"], None, [], None)
    choices = {
        "ann": ["first", "first", "second", "both_fine", "first"],
        "bob": ["first", "first", "first", "both_hallucinate", "first"],
    }
    file = answered(tasks, tmp_path / "a.sqlite", choices)
    out = tmp_path / "annotation.parquet"
    rows = {(r["measure"], r["annotators"]): r for r in write_summary(tasks, file, out)}
    assert artifacts.read_rows(out, "annotation") == list(rows.values())
    different, everything = rows["win_rate_different", "all"], rows["win_rate", "all"]
    assert different["value"] == pytest.approx((1 + 1 + 0.5 + 0.5 + 1) / 5) and different["n"] == 5
    assert everything["value"] == pytest.approx((4 + 0.5) / 6) and everything["n"] == 6
    assert different["ci_low"] <= different["value"] <= different["ci_high"]
    assert rows["share_both_fine", "all"]["value"] == pytest.approx(0.1)
    from sklearn.metrics import cohen_kappa_score

    assert rows["cohen_kappa_answer", "ann, bob"]["value"] == pytest.approx(cohen_kappa_score(*choices.values()))
    ties = [[c if c in ("first", "second") else "tie" for c in own] for own in choices.values()]
    assert rows["cohen_kappa_preference", "ann, bob"]["value"] == pytest.approx(cohen_kappa_score(*ties))
    assert rows["fleiss_kappa_preference", "all"]["n"] == 5
    assert "| win_rate | all | 0.75 [" in out.with_suffix(".md").read_text()


def test_the_case_of_a_name_makes_no_second_person(results, tmp_path):
    tasks, file = load_tasks(results, ["kd", "sft"], None, [], None), tmp_path / "a.sqlite"
    choices = {"Jörg": ["first"] * 3, "JÖRG": [None] * 2 + ["second"] * 3, "Bob": ["first"] * 5}
    for person, own in choices.items():
        for task, choice in zip(tasks.asked, own, strict=False):
            if choice:
                Answers(file).put(task, person, choice, "first", 1)
    rows = {(r["measure"], r["annotators"]): r for r in write_summary(tasks, file, tmp_path / "a.parquet")}
    assert {who for _, who in rows if "," in who} == {"Bob, Jörg"}
    assert rows["cohen_kappa_answer", "Bob, Jörg"]["n"] == 5
    answers = Answers(file)
    assert answers.answered("jörg") == [task.key for task in tasks.asked]
    answers.remove("JÖRG", tasks.asked[2].key)
    assert len(answers.answered("Jörg")) == 4 and len(answers.all()) == 9


def test_unfinished_answers_have_no_overall_win_rate(results, tmp_path):
    tasks = load_tasks(results, ["kd", "sft"], None, [], None)
    file = answered(tasks, tmp_path / "a.sqlite", {"ann": ["first", "first"]})
    measures = {row["measure"] for row in write_summary(tasks, file, tmp_path / "x.parquet")}
    assert "win_rate_different" in measures and "win_rate" not in measures and "cohen_kappa_answer" not in measures
    with pytest.raises(ArtifactError, match="no answer to any"):
        write_summary(load_tasks(results, [], "kd", [], None), file, tmp_path / "y.parquet")


def test_fleiss_kappa_of_his_own_example():
    # Fleiss 1971 as retold by many: ten subjects, fourteen raters, five categories: 0.210
    table = "0 0 0 0 14;0 2 6 4 2;0 0 3 5 6;0 3 9 2 0;2 2 8 1 1;7 7 0 0 0;3 2 6 3 0;2 5 3 2 2;6 5 2 1 0;0 2 2 3 7"
    counts = np.array([[int(n) for n in row.split()] for row in table.split(";")])
    assert fleiss_kappa(np.ones((1, 10)), counts)[0] == pytest.approx(0.210, abs=5e-4)
    assert np.isnan(fleiss_kappa(np.ones((1, 2)), np.array([[3, 0], [2, 0]]))[0])
    assert weighted_kappa(np.ones((1, 2)), np.array([0, 1]), np.array([0, 1]))[0] == 1


def test_preferences_of_people_reach_the_human_judge_and_test_answers_do_not(results, tmp_path):
    candidates = load_tasks(results, [], "kd", [], None)
    file = answered(candidates, tmp_path / "a.sqlite", {"ann": ["first", "second", "both_fine"], "bob": ["first"]})
    answered(load_tasks(results, ["kd", "sft"], None, [], None), file, {"ann": ["first"] * 5})
    out = tmp_path / "preferences.jsonl"
    assert export_preferences(results, file, out) == 4
    assert "unseen" not in out.read_text()
    items = [
        JudgedCaption(task.corpus, task.utterance_id, text, True, None)  # this judge looks at no facts
        for task in candidates.asked[:3]
        for text in task.captions
    ]
    judge = Judge(name="human", human={"answers": str(out)})
    overall = [opinion.overall for opinion in human.score(judge, items)]
    assert overall == pytest.approx([5, 1, 1, 5, 3, 3])


def test_an_utterance_that_became_test_material_is_not_exported(results, tmp_path):
    tasks = load_tasks(results, [], "kd", [], None)
    file = answered(tasks, tmp_path / "a.sqlite", {"ann": ["first"] * 4})
    plan = artifacts.read_rows(results / "plan.parquet", "plan")
    artifacts.write([row | {"role": "dev"} for row in plan], results / "plan.parquet", "plan", "test")
    with pytest.raises(ArtifactError, match="none of its 4 answers is about training candidates"):
        export_preferences(results, file, tmp_path / "p.jsonl")
    assert not (tmp_path / "p.jsonl").exists()


def test_answers_lie_outside_of_what_make_clean_removes(results):
    assert default_answers(results) == results.parents[1] / "annotations" / "made_up.sqlite"


def test_an_answer_that_cannot_be_stored_is_said_in_one_line(results, tmp_path, monkeypatch):
    answers = Answers(tmp_path / "answers.sqlite")

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("aligncap.serving.web.answers._delete", full)
    with pytest.raises(StorageError, match=r"answers\.sqlite: cannot be stored: database or disk is full; free"):
        answers.remove("ann", "x")
