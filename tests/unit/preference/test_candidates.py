"""Candidates: both engines write the same rows; what a vLLM server may do wrong costs a retry or ends in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from candidate_inputs import SAMPLES, SEED, UTTERANCES, by_vllm, preferred, rows_are_ours, sampled

from aligncap.config import VllmServer
from aligncap.errors import EngineError
from aligncap.hashes import seed_of


@pytest.fixture
def program(tmp_path: Path) -> str:
    """The fake `vllm`, as an executable."""
    path = tmp_path / "vllm"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("fake_vllm.py")} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_the_default_engine_needs_no_other(inputs, monkeypatch):
    monkeypatch.delitem(sys.modules, "aligncap.preference.vllm", raising=False)
    assert len(sampled(inputs)) == UTTERANCES * SAMPLES
    assert "aligncap.preference.vllm" not in sys.modules and not Path("work").exists()


def test_vllm_writes_the_rows_of_the_default_engine_with_samples_of_its_own(inputs, program, tmp_path):
    note = tmp_path / "requests.jsonl"
    rows_are_ours(by_vllm(inputs, program, f"--note={note}"), inputs)
    asked = [json.loads(line) for line in note.read_text().splitlines()]
    assert Counter(request.get("n", 1) for request in asked) == {1: UTTERANCES, SAMPLES: UTTERANCES}
    seeds = {seed_of(SEED, example.key) for example in preferred(inputs)}
    assert {request["seed"] for request in asked if "seed" in request} == seeds


def test_a_request_that_fails_is_asked_again_and_a_seed_gives_the_same_samples(inputs, program, caplog):
    rows = by_vllm(inputs, program)
    assert rows == by_vllm(inputs, program, "--misbehave=first two")
    again = [message for message in caplog.messages if message.endswith("asked again")]
    assert len(again) == 2 and "HTTP 500" in again[0] and "half an answer" in again[1]


def test_equal_samples_stay_in_the_table_as_with_the_default_engine(inputs, program):
    for rows in (sampled(inputs, temperature=1e-5), by_vllm(inputs, program, temperature=1e-5)):
        said = Counter((row["utterance_id"], row["caption"]) for row in rows)
        assert len(said) == UTTERANCES and set(said.values()) == {SAMPLES}


REFUSALS = {
    "no flag": "refuses a request, HTTP 400.*You must set `--enable-prompt-embeds`",
    "too long": "refuses a request, HTTP 400.*maximum context length is 3",
    "500": r"HTTP 500.*EngineCore encountered an issue.*\(3 tries\)",
    "no ids": r"half an answer, choices\.0\.token_ids: Field required \(3 tries\)",
    "no choices": r"half an answer, 0 responses of 1 \(3 tries\)",
    "fewer log-probabilities": r"half an answer, other numbers of token ids than of log-probabilities \(3 tries\)",
    "dies": r"ended with status -9: torch\.OutOfMemoryError: CUDA out of memory",
    "does not start": "ended with status 1: ValueError: No available memory",
    "other model": "does not speak for this model.*first token of 5 prompts differ from ours by .* nat, at most 0.25",
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_server_that_fails_is_one_line_and_leaves_its_log_alone(inputs, program, fault):
    with pytest.raises(EngineError, match=REFUSALS[fault]) as caught:
        by_vllm(inputs, program, f"--misbehave={fault}")
    assert "\n" not in str(caught.value) and "preference.candidates" in str(caught.value)
    assert [path.name for path in Path("work").rglob("*") if path.is_file()] == ["vllm.log"]
    assert not Path("candidates.parquet").exists()


def test_a_version_that_does_not_know_an_argument_is_one_line(inputs, program):
    with pytest.raises(EngineError, match=r"ended with status 2: .*error: unrecognized arguments: --new"):
        by_vllm(inputs, program, "--new")


def test_a_server_that_is_never_ready_is_ended(inputs, program):
    vllm = VllmServer(command=program, arguments=("--misbehave=never ready",), start_s=1.5)
    with pytest.raises(EngineError, match=r"does not answer after 1\.5 s.*raise preference\.candidates\.vllm\.start_s"):
        sampled(inputs, engine="vllm", vllm=vllm)
    assert not running(program)


def test_a_missing_program_is_one_line(inputs):
    told = r"vllm\.command: no program 'no-vllm'; install vLLM .* or set preference\.candidates\.engine to transformers"
    with pytest.raises(EngineError, match=told):
        by_vllm(inputs, "no-vllm")


def test_a_job_that_is_killed_leaves_no_server(program, tmp_path):
    script = (
        "import sys; from pathlib import Path; from aligncap.preference.vllm import _serving\n"
        "with _serving([sys.argv[1], '--misbehave=never ready', 'serve', 'x'] + sys.argv[2:], Path('log'), 60): pass"
    )
    rest = ["--lora-modules=a=b", "--logprobs-mode=a", "--generation-config=a", "--dtype=a", "--max-lora-rank=1"]
    rest += ["--lora-target-modules", "a"]
    job = subprocess.Popen([sys.executable, "-c", script, program, *rest, "--max-model-len=1"], cwd=tmp_path)
    wait_for(lambda: running(program))
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    wait_for(lambda: not running(program))


def running(program: str) -> list[int]:
    """Processes of the fake program, which was started from the folder of ``program``."""
    fake = str(Path(__file__).with_name("fake_vllm.py")).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if fake in (folder / "cmdline").read_bytes() and Path(program).parent == (folder / "cwd").readlink():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)
