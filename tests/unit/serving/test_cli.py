"""The command: what a person types, what stdout, stderr and the exit code say."""

import functools
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sounds import patched
from tiny_checkpoint import noise

from aligncap import Captioner
from aligncap.clues.tagger.heads import LABELS
from aligncap.serving import cli, commands
from aligncap.speech import audio


def test_a_folder_becomes_a_table_and_the_next_run_does_only_what_is_new(
    run, checkpoint, folder, tmp_path, monkeypatch
):
    calls, out = tmp_path / "calls", tmp_path / "out" / "captions.parquet"
    shutil.copytree(folder, calls)
    (calls / "broken.wav").write_bytes(b"%PDF-1.7 not audio")
    arguments = ("caption", calls, "--model", checkpoint, "--out", out, "--batch-size", 2, "--language", "en")
    code, printed, said = run(*arguments)
    assert (code, printed) == (1, "")
    assert len([line for line in said.splitlines() if "broken.wav" in line]) == 1
    assert "captioned 5 of 6 files" in said and "passed over 1 file by extension: 1 .txt; name a file" in said
    first = pd.read_parquet(out)
    assert [Path(path).name for path in first.path] == ["a.wav", "b.wav", "e.wav", "c.wav", "d.WAV"]
    assert first.model.str.startswith("tiny/kd@").all()

    (calls / "broken.wav").unlink()
    monkeypatch.setenv("ALIGNCAP_MODELS", str(tmp_path / "nowhere"))
    assert run(*arguments)[0] == 0, "nothing is to do, so no model is needed"
    shutil.copy(calls / "a.wav", calls / "new.wav")
    assert not (tmp_path / "nowhere").exists()
    assert run(*arguments)[0] == 0 and (tmp_path / "nowhere/tiny-llama").is_dir(), "now one is, and is fetched"
    monkeypatch.delenv("ALIGNCAP_MODELS")
    assert run(*arguments)[0] == 0
    again = pd.read_parquet(out).set_index("path").caption
    assert len(again) == 6 and again[str(calls / "new.wav")] == again[str(calls / "a.wav")]
    assert again.drop(str(calls / "new.wav")).to_dict() == first.set_index("path").caption.to_dict()


def test_stdout_is_json_csv_or_text_in_the_order_given(run, checkpoint, folder):
    files = [folder / "b.wav", folder / "a.wav"]
    common = ("--model", checkpoint, "--language", "en", "--batch-size", 2)
    code, printed, _ = run("caption", *files, *common, "--json")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert code == 0 and [row["path"] for row in rows] == list(map(str, files))
    told = {"caption", "clues", "transcript", "duration_s", "finished", "familiarity", "warnings", "model"}
    assert told <= set(rows[0])
    listed = "".join(f"{path}\n" for path in files)
    table = pd.read_csv(io.StringIO(run("caption", "-", *common, "--csv", stdin=listed)[1]), keep_default_na=False)
    assert list(table.caption) == [row["caption"] for row in rows]
    heard = {clue["kind"]: clue["lemma"] for clue in rows[0]["clues"]}
    assert {kind: tag for kind in LABELS if (tag := table[kind][0])} == heard
    doubting = json.loads(run("caption", files[0], *common, "--doubt", "omit", "--doubt-below", 0.9, "--json")[1])
    assert doubting["model"] == f"{rows[0]['model']}, omit below 0.9"
    code, printed, said = run("caption", files[0], *common, "--quiet")
    assert printed == f"{files[0]}: {rows[0]['caption']}\n" and said == ""


def until(what, process: subprocess.Popen) -> None:
    """Wait for something that a running command does."""
    while not what():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)


def from_a_terminal(command) -> subprocess.Popen:
    """A process that Ctrl-C reaches: one started by a suite in the background would ignore it, as the suite does."""
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)


def test_a_watched_folder_is_captioned_as_files_come_until_ctrl_c(checkpoint, folder, tmp_path):
    inbox, out = tmp_path / "inbox", tmp_path / "captions.jsonl"
    inbox.mkdir()
    shutil.copy(folder / "a.wav", inbox / "first.wav")
    command = [sys.executable, "-m", "aligncap.serving.cli", "caption", "--watch", inbox, "--out", out]
    command += ["--model", checkpoint, "--language", "en"]

    def captioned() -> dict[str, str]:
        rows = map(json.loads, out.read_text(encoding="utf-8").splitlines() if out.is_file() else [])
        return {Path(row["path"]).name: row["caption"] for row in rows}

    process = from_a_terminal(command)
    try:
        until(lambda: "first.wav" in captioned(), process)
        (inbox / "paper.wav").write_bytes(b"%PDF-1.7 not audio")
        soundfile.write(tmp_path / "strange.wav", noise(0.3, 2), 16_000)
        patched(tmp_path / "strange.wav", 20, b"zz").rename(inbox / "strange.wav")
        soundfile.write(inbox / "phone.wav", noise(0.3, 3), 16_000, "GSM610")
        until(lambda: "phone.wav" in captioned(), process)
        shutil.copy(folder / "a.wav", inbox / "again.wav")
        until(lambda: "again.wav" in captioned(), process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 1 and "paper.wav" in said and "Traceback" not in said
    assert "strange.wav: " in said and "codec that is not known" in said
    assert captioned()["again.wav"] == captioned()["first.wav"] and len(captioned()) == 3
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".captions")] == []


def test_ctrl_c_keeps_what_is_done_and_says_that_the_same_command_goes_on(checkpoint, folder, tmp_path):
    calls, out = tmp_path / "calls", tmp_path / "captions.csv"
    calls.mkdir()
    for number in range(200):
        shutil.copy(folder / "a.wav", calls / f"{number:03d}.wav")
    command = [sys.executable, "-m", "aligncap.serving.cli", "caption", calls, "--out", out, "--batch-size", "1"]
    command += ["--model", checkpoint, "--language", "en"]
    process = from_a_terminal(command)
    try:
        journal = tmp_path / ".captions.csv.part"
        until(lambda: journal.is_file() and journal.stat().st_size, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
    assert 0 < len(pd.read_csv(out)) < 200 and not journal.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_call_of_two_speakers_is_captioned_channel_by_channel(run, checkpoint, tmp_path):
    call = tmp_path / "call.wav"
    soundfile.write(call, np.stack([noise(0.6, 1), noise(0.6, 4)], axis=1), 16_000, "FLOAT")
    arguments = ("caption", call, "--model", checkpoint, "--language", "en", "--channel", "split", "--json")
    code, printed, _ = run(*arguments)
    rows = [json.loads(line) for line in printed.splitlines()]
    assert code == 0
    assert [row["path"] for row in rows] == [f"{call}#left", f"{call}#right"]
    assert rows[0]["clues"] != rows[1]["clues"]


def test_a_file_that_fails_for_whatever_reason_is_named_and_costs_no_other(
    run, checkpoint, folder, tmp_path, monkeypatch
):
    """Neither an error of a library while a file is read nor one while it is encoded ends the run."""
    prepare_clip, files = Captioner.prepare_clip, [tmp_path / f"{name}.wav" for name in ("read", "encoded", "fine")]
    for file in files:
        shutil.copy(folder / "a.wav", file)

    def fails(self, samples, language, name, *arguments):
        if "encoded" in name:
            raise IndexError("list index\nout of range")
        return prepare_clip(self, samples, language, name, *arguments)

    def unread(path, *arguments):
        if "read" in Path(path).name:
            raise ZeroDivisionError("division by zero")
        return windows(path, *arguments)

    windows = audio.Reading
    monkeypatch.setattr(Captioner, "prepare_clip", fails)
    monkeypatch.setattr(audio, "Reading", unread)
    code, printed, said = run("caption", *files, "--model", checkpoint, "--language", "en", "--json")
    assert code == 1 and [json.loads(line)["path"] for line in printed.splitlines()] == [str(files[2])]
    assert f"{files[0]}: ZeroDivisionError: division by zero" in said
    assert f"{files[1]}: IndexError: list index out of range" in said


def test_names_that_are_too_long_or_not_utf8_are_named_and_cost_no_other(run, checkpoint, folder):
    paths = ["x" * 300 + ".wav", folder / "a.wav"]
    code, printed, said = run("caption", *paths, "--model", checkpoint, "--language", "en", "--json")
    assert code == 1 and len(printed.splitlines()) == 1 and "File name too long" in said
    listed = b"\0".join([b"caf\xe9.wav", str(folder / "a.wav").encode()])
    code, printed, said = run("caption", "-", "--model", checkpoint, "--language", "en", "--json", stdin=listed)
    assert code == 1 and len(printed.splitlines()) == 1 and "its name is not UTF-8; rename it" in said


def test_a_bar_is_drawn_on_stderr_and_leaves_stdout_alone(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with commands.caption._progress(2, False, True) as report:
        sys.stdout.write('{"path": "a.wav"}\n')
        report(None)
        report("b.wav: not audio")
    assert capsys.readouterr().out == '{"path": "a.wav"}\n'
    assert "2/2" in sys.stderr.getvalue() and "aligncap: b.wav: not audio" in sys.stderr.getvalue()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("caption", "x.wav", "--model", "nowhere"), "aligncap: nowhere: no such checkpoint folder"),
        (("caption", "x.wav", "--parquet"), "--out"),
        (("caption", "x.wav", "--csv", "--json"), "--json --csv: give one of them"),
        (("caption", "x.wav", "--out", "captions.xlsx"), "extension '.xlsx'"),
        (("caption",), "give FILE..., or --watch DIR"),
        (("caption", "x.wav", "--watch", "."), "give FILE..., or --watch DIR"),
        (("score", "none.csv", "-r", "none.csv"), "none.csv: no such file"),
        (("explain", "u1", "--results", "nowhere"), "nowhere: no results"),
        (("parse", "sad", "--language", "fr"), "no emotion grammar for language 'fr'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(run, arguments, said):
    code, printed, errors = run(*arguments)
    assert code == 2 and printed == ""
    assert said in errors and errors.splitlines()[-1].startswith("aligncap: ")


def test_a_command_that_is_none_is_a_usage_error(run):
    assert run("transmogrify")[0] == 2
    assert run("caption")[0] == 2


def test_parse_reads_arguments_and_lines(run):
    code, printed, _ = run("parse", "He is not at all angry, just very sad.")
    assert code == 0 and "dominant emotion: sad" in printed and "yes" in printed
    _, printed, _ = run("parse", "--json", stdin="Furious.\nA low voice.\n")
    first, second = json.loads(printed)
    assert first["dominant_emotion"] == "angry" and second["dominant_emotion"] is None
    assert second["clues"][0]["kind"] in ("pitch", "level")


def test_score_prints_a_column_a_table_and_writes_the_items(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    Path("refs.csv").write_text("id,caption\na,A sad voice.\nb,She is angry.\n", encoding="utf-8")
    Path("kd.csv").write_text("id,caption\na,Sounds sad.\nb,Sounds angry.\n", encoding="utf-8")
    Path("sft.csv").write_text("id,caption\na,Sounds happy.\nb,Sounds angry.\n", encoding="utf-8")
    arguments = ("score", "kd.csv", "sft.csv", "-r", "refs.csv", "--no-meteor", "--resamples", 20)
    code, printed, _ = run(*arguments, "--items", "items.jsonl")
    assert code == 0
    (line,) = [line for line in printed.splitlines() if line.startswith("emotion_agreement ")]
    assert "1.000" in line and "0.500" in line
    assert "absent: similarity" in printed
    items = [json.loads(line) for line in Path("items.jsonl").read_text().splitlines()]
    assert [(item["captions"], item["utterance_id"], item["emotion_agreement"]) for item in items][2] == ("sft", "a", 0)
    figures = json.loads(run(*arguments, "--json")[1])
    assert figures["kd"]["figures"]["emotion_agreement"]["value"] == 1


def test_a_folder_with_the_same_names_in_its_folders_is_captioned_and_scored(
    run, checkpoint, folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for speaker in ("DC", "JE"):
        Path("S", speaker).mkdir(parents=True)
        shutil.copy(folder / "a.wav", f"S/{speaker}/a01.wav")
    code, _, _ = run("caption", "S", "--model", checkpoint, "--language", "en", "--out", "said.csv")
    Path("refs.csv").write_text(
        "utterance_id,caption,emotion\nDC/a01,Sad.,sad\nJE/a01,Angry.,angry\n", encoding="utf-8"
    )
    assert code == 0
    code, _, said = run(
        "score", "said.csv", "-r", "refs.csv", "--no-meteor", "--resamples", 20, "--items", "items.jsonl"
    )
    assert code == 0, said
    items = [json.loads(line) for line in Path("items.jsonl").read_text().splitlines()]
    assert [(item["utterance_id"], item["label"]) for item in items] == [("DC/a01", "sad"), ("JE/a01", "angry")]


def test_score_checks_every_assertion_by_itself(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    facts = "id,caption,emotion,level,timbre\na,A sad voice.,sad,low,breathy\nb,She is angry.,angry,mid,\n"
    Path("refs.csv").write_text(facts, encoding="utf-8")
    Path("kd.csv").write_text('id,caption\na,"A sad, loud, breathy voice."\nb,"Happy, loud."\n', encoding="utf-8")
    arguments = ("score", "kd.csv", "-r", "refs.csv", "--no-meteor", "--resamples", 20, "--per-clue")
    code, printed, _ = run(*arguments)
    assert code == 0 and "emotion_agreement" in printed
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert any(line.startswith("emotion kd 2 0.500 [") for line in lines)
    assert any(line.startswith("timbre kd 1 1.000 [") for line in lines)
    assert any(line.startswith("all kd 5 0.500 [") for line in lines)
    found = json.loads(run(*arguments, "--json")[1])["kd"]
    verdicts = [(a["utterance_id"], a["kind"], a["word"], a["verdict"]) for a in found["assertions"]]
    assert verdicts == [
        ("a", "emotion", "sad", "supported"),
        ("a", "level", "loud", "contradicted"),
        ("a", "timbre", "breathy", "supported"),
        ("b", "emotion", "Happy", "contradicted"),
        ("b", "level", "loud", "not_checkable"),
    ]
    assert {"kind": "all", "metric": "not_checkable", "value": 0.2}.items() <= found["by_kind"][-3].items()
    assert "assertions" not in json.loads(run(*arguments[:-1], "--json")[1])["kd"]


def test_doctor_fails_where_the_base_models_are_not_there(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALIGNCAP_MODELS", str(tmp_path))
    code, printed, _ = run("doctor", "--quick", "--json")
    checks = {check["name"]: check for check in json.loads(printed)}
    assert code == 1 and checks["base models"]["state"] == "fail" and checks["Python"]["state"] == "ok"
    code, printed, _ = run("doctor", "--quick")
    assert code == 1 and "make demo" in printed and "[" not in printed.split("base models")[0].split()[0]


@pytest.mark.parametrize("command", [command.__name__ for command in cli.COMMANDS])
def test_help_has_examples(run, command):
    code, printed, _ = run(command, "--help")
    assert code == 0 and f"aligncap {command} " in printed and "Examples" in printed


def test_a_shell_is_given_its_completion(run, monkeypatch):
    # Typer asks which shell its parent process is, and a test may have none; with this it takes the shell's name.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, printed, _ = run("--show-completion", "bash")
    assert code == 0 and "_ALIGNCAP_COMPLETE" in printed
    monkeypatch.setenv("_ALIGNCAP_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "aligncap ex")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert "explain" in run()[1]


def test_score_reads_the_columns_that_are_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    Path("refs.csv").write_text("clip,human\na,A sad voice.\nb,She is angry.\n", encoding="utf-8")
    Path("kd.csv").write_text("file,said\na,Sounds sad.\nb,Sounds angry.\n", encoding="utf-8")
    named = ["--id-column", "file", "--caption-column", "said"]
    named += ["--reference-id-column", "clip", "--reference-column", "human"]
    code, printed, _ = run("score", "kd.csv", "-r", "refs.csv", "--no-meteor", "--resamples", 20, "--json", *named)
    assert code == 0 and json.loads(printed)["kd"]["figures"]["emotion_agreement"]["value"] == 1
