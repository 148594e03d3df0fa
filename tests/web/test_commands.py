"""The two pages as their users start them: `aligncap serve` and `aligncap annotate`, as processes of their own."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from aligncap import Captioner, artifacts
from aligncap.config import Compute, Judge, Pairs
from aligncap.preference.judges import CandidateScoringInputs, score_candidates
from aligncap.preference.pairs import PairInputs, PairSettings, build_pairs
from aligncap.serving import cli

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "serving"))
from tiny_checkpoint import COMPUTE, write_checkpoint  # noqa: E402


@contextlib.contextmanager
def command(*arguments: object) -> Iterator[tuple[str, list[str]]]:
    """A running command's address and what it said before; Ctrl-C ends it, and it must end well."""
    line = [sys.executable, "-m", "aligncap.serving.cli", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}) as process:
        said: list[str] = []
        try:
            for text in process.stderr:
                said.append(text.strip())
                if found := re.search(r"is on (http://\S+)", text):
                    yield found[1], said
                    process.send_signal(signal.SIGINT)
                    break
            process.stderr.read()
            assert process.wait(300) == 0, said
        finally:
            process.kill()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """``kd`` of an experiment that has ``sft``, too."""
    folder = write_checkpoint(tmp_path_factory.mktemp("project"))
    shutil.copytree(folder, folder.with_name("sft"))
    return folder


@pytest.mark.web
def test_serve_shows_a_second_caption_from_sft_and_answers_programs(checkpoint, sounds, open_page):
    with command("serve", "--model", checkpoint) as (address, _):
        data = {"language": "en", "compare": "true"}
        sent = {"file": ("loud.wav", (sounds / "loud.wav").read_bytes())}
        answer = httpx.post(f"{address}/v1/captions", files=sent, data=data, timeout=300).json()
        said = Captioner.load(checkpoint, compute=COMPUTE).caption(sounds / "loud.wav", "en")
        assert [own["system"] for own in answer["captions"]] == ["kd", "sft"]
        assert {own["caption"] for own in answer["captions"]} == {said.caption}
        page = open_page(address)
        page.get_by_text("compare with sft").wait_for()
        with page.expect_file_chooser() as chosen:
            page.get_by_role("button", name="Choose files").click()
        chosen.value.set_files([sounds / "soft.flac"])
        page.locator(".caption:not(.speaking)").nth(1).wait_for(timeout=300_000)
        assert page.locator(".system").all_inner_texts()[1].startswith("sft")


def test_serve_alone_loads_one(checkpoint, capsys):
    with command("serve", "--model", checkpoint, "--alone") as (address, _):
        assert httpx.get(f"{address}/v1/systems", timeout=300).json()["systems"] == ["kd"]
    assert cli.main(["serve", "--model", str(checkpoint), "--alone", "--compare", "x"]) == 2
    assert "give one of them" in capsys.readouterr().err


def answer_all(address: str, name: str, choose) -> int:
    """Answer every question as somebody would who reads the captions; how many."""
    state = httpx.get(f"{address}/v1/question", params={"annotator": name}, timeout=300).json()
    while question := state["question"]:
        given = {"annotator": name, "task": question["task"], "choice": choose(question), "plays": 1}
        state = httpx.post(f"{address}/v1/answers", json=given, timeout=300).json()
    return state["done"]


def test_annotate_asks_about_two_systems_and_writes_who_wins(results, tmp_path, capsys):
    options = ["annotate", "--results", str(results), "--system", "kd", "--system", "sft"]
    with command(*options) as (address, said):
        assert any("5 questions, answers go to" in line and "made_up.sqlite" in line for line in said)
        for name in ("ann", "bob"):
            assert answer_all(address, name, lambda q: "a" if "sad" in q["a"] else "b") == 5
    out = tmp_path / "wins.parquet"
    assert cli.main([*options, "--summary", str(out)]) == 0 and str(out) in capsys.readouterr().err
    rows = pd.read_parquet(out).set_index(["measure", "annotators"])
    win = rows.loc["win_rate", "all"]
    assert win.value == pytest.approx(5.5 / 6) and win.ci_low <= win.value <= win.ci_high
    assert rows.loc["cohen_kappa_answer", "ann, bob"].n == 5 and "win_rate" in out.with_suffix(".md").read_text()


def write_facts(folder: Path, corpus: str, count: int) -> dict[str, dict[str, Path]]:
    """What judge and pairs read of a training corpus beside its candidates: nothing that takes sides."""
    unknown = {"caption_group": None, "intensity": None, "valence": None, "arousal": None, "transcript": None}
    measured = {"pitch_hz": 120.0, "pitch_range_st": 4.0, "level_db": -30.0, "rate_hz": 3.0}
    known = {
        "labels": {"captions": ["Somebody talks."], "emotion": None, **unknown},
        "clues": {"clues": [], "p_act": "", "p_sem_ids": []},
        "transcripts": {"transcript": "a word", "language": "en", "source": "asr", "avg_logprob": 0.0},
        "prosody": {**measured, "level": "mid", "pitch": "mid", "rate": "mid"},
    }
    for schema, row in known.items():
        rows = [{"utterance_id": f"{corpus}_sadness_{number}", **row} for number in range(count)]
        artifacts.write(rows, folder / f"{schema}.parquet", schema, "test")
    return {schema: {corpus: folder / f"{schema}.parquet"} for schema in known}


def test_what_people_prefer_among_candidates_becomes_pairs_that_train(results, tmp_path):
    options = ["annotate", "--results", str(results), "--candidates", "kd"]
    with command(*options) as (address, _):
        assert answer_all(address, "ann", lambda q: "a" if "happy" in q["a"] else "b") == 4
    answers = tmp_path / "preferences.jsonl"
    assert cli.main([*options, "--export", str(answers)]) == 0
    asked = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    preferred = [(row["candidate_a"], row["candidate_b"])[:: 1 if row["preferred"] == "a" else -1] for row in asked]

    facts, candidates = write_facts(tmp_path / "facts", "known", 6), results / "candidates" / "kd.parquet"
    judge = Judge(name="human", human={"answers": str(answers)})
    read = (facts["labels"], facts["clues"], facts["transcripts"])
    scored = CandidateScoringInputs(candidates, *read, facts["prosody"], None)
    score_candidates(judge, Compute(precision="fp32", threads=1), scored, tmp_path / "scores.parquet")
    inputs = PairInputs(
        candidates,
        tmp_path / "scores.parquet",
        facts["clues"],
        facts["labels"],
        facts["transcripts"],
        facts["prosody"],
        results / "plan.parquet",
        tmp_path / "manifest.json",
    )
    settings = PairSettings(Pairs(minimum=1, hard_negatives="off", wrong_clue_penalty=0, clean_chosen=False), 0, 100)
    build_pairs(settings, inputs, tmp_path / "pairs.parquet")
    texts = {row["candidate_id"]: row["caption"] for row in artifacts.read_rows(candidates, "candidates")}
    pairs = artifacts.read_rows(tmp_path / "pairs.parquet", "preference_pairs")
    made = {(texts[pair["chosen_id"]], texts[pair["rejected_id"]]) for pair in pairs}
    assert made and made <= set(preferred), "what trains is what somebody preferred"


@pytest.mark.parametrize("line", [["serve"], ["annotate", "results/none"]])
def test_a_port_beyond_the_last_is_refused_before_anything_is_loaded(line, capsys):
    assert cli.main([*line, "--port", "80000"]) == 2
    told = capsys.readouterr().err
    assert "--port" in told and "65535" in told
