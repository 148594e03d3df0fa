import json
import platform
import subprocess
from pathlib import Path

from aligncap.provenance import git_state, write_snapshot


def test_snapshot_is_stable_and_names_no_machine(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("captions.jsonl").write_text("{}\n")
    config = {
        "experiment": "e",
        "tracking": {"uri": "https://user:hunter2@store"},
        "corpora": {"c": {"root": "no/such/folder", "captions": {"bank": None}}},
        "systems": {
            "x": {"captions": {"c": "captions.jsonl"}},
            "y": {"overrides": {"preference": {"judge": {"human": {"answers": "theirs.csv"}}}}},
        },
        "teacher": {"descriptions": ["voices.csv"]},
        "preference": {"judge": {"name": "human", "human": {"answers": "ours.csv"}}},
    }
    for name in ("voices.csv", "ours.csv", "theirs.csv"):
        Path(name).write_text("a\n1\n")
    write_snapshot(config, Path("a.json"))
    write_snapshot(config, Path("b.json"))
    text = Path("a.json").read_text()
    assert text == Path("b.json").read_text()
    assert "hunter2" not in text and str(tmp_path) not in text
    assert not platform.node() or f'"{platform.node()}' not in text
    found = json.loads(text)
    assert found["config"]["experiment"] == "e" and "tracking" not in found["config"]
    assert set(found["inputs"]) == {"captions.jsonl", "voices.csv", "ours.csv", "theirs.csv"}, "all that trains, too"
    assert found["packages"]["pyarrow"] and found["python"] == platform.python_version()


def test_git_state_says_commit_and_dirty(tmp_path: Path):
    assert git_state(tmp_path) == {"commit": None, "dirty": None}

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath=")
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    state = git_state(tmp_path)
    assert len(state["commit"]) == 40 and state["dirty"] is False
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == {**state, "dirty": True}
