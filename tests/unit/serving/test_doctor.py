"""The checks that find something wrong when something is."""

import json
import sys

import pytest

from aligncap.artifacts import file_digest
from aligncap.serving import doctor


def states(checks) -> dict[str, str]:
    return {name: finding.state for name, finding in checks}


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"weights")
    entry = {"path": "weights.bin", "bytes": 7, "sha256": file_digest(folder / "weights.bin")}
    (folder / "manifest.json").write_text(json.dumps({"name": "tiny", "files": [entry]}), encoding="utf-8")
    return tmp_path / "models"


def test_a_model_whose_bytes_changed_fails_and_the_remedy_is_a_command(models):
    assert states(doctor.base_models(models, quick=False)) == {"model tiny": "ok"}
    (models / "tiny" / "weights.bin").write_bytes(b"wEights")
    ((_, check),) = doctor.base_models(models, quick=False)
    assert check.state == "fail" and "sha256 differs" in check.found and "snakemake" in check.remedy
    assert states(doctor.base_models(models, quick=True)) == {"model tiny": "ok"}  # the size is the same
    (models / "tiny" / "weights.bin").unlink()
    assert states(doctor.base_models(models, quick=True)) == {"model tiny": "fail"}


def test_no_models_at_all_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    ((_, check),) = doctor.base_models(None, quick=True)
    assert check.state == "fail" and "make demo" in check.remedy


def test_versions_are_those_of_the_lock_or_named(tmp_path):
    assert doctor.packages().state == "ok", doctor.packages().found
    lock = tmp_path / "requirements.lock"
    lock.write_text("# head\nnumpy==0.0.1\nno-such-package==1.0\n", encoding="utf-8")
    check = doctor.packages(lock)
    assert check.state == "fail" and "no-such-package" in check.found and "numpy" in check.found
    lock.write_text("snakefmt==0.1\n", encoding="utf-8")
    assert doctor.packages(lock).state == "note"
    assert doctor.packages(tmp_path / "none").state == "note"


def test_everything_is_looked_at_once_and_every_problem_has_a_remedy(models, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no conda, no nvidia-smi; Java is the wheel's
    checks = list(doctor.examine(models, quick=True))
    found = states(checks)
    assert len(found) == len(checks)
    assert found == dict.fromkeys(
        ("Python", "packages", "torch", "Java", "audio", "parser", "disk", "model tiny"), "ok"
    )


def test_a_part_that_cannot_be_imported_fails_and_the_others_are_looked_at(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    checks = dict(doctor.examine(models, quick=True))
    assert checks["audio"].state == "fail" and checks["audio"].remedy and checks["disk"].state == "ok"
