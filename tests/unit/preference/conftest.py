"""Fixtures of the tests of judges and candidates."""

from pathlib import Path

import pytest
from candidate_inputs import write_parent
from chat_server import KEY, VARIABLE
from more_inputs import more

from aligncap.captioner.checkpoint import CheckpointPaths
from aligncap.preference.candidates import ParentInputs


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A working folder of its own, the key of the endpoint, and no proxy before it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def inputs(training_inputs, tiny_llm: Path, tmp_path: Path, monkeypatch) -> ParentInputs:
    """What candidates are sampled from, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    parent = CheckpointPaths.of(tmp_path / "kd")
    write_parent(parent, tiny_llm)
    return more(ParentInputs, training_inputs, parent=parent)
