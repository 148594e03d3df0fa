"""The checks that find something wrong when something is."""

import json
import sqlite3

import pytest

from aligncap.artifacts import file_digest
from aligncap.serving import doctor


def states(checks) -> dict[str, str]:
    return {check.name: check.state for check in checks}


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"weights")
    entry = {"path": "weights.bin", "bytes": 7, "sha256": file_digest(folder / "weights.bin")}
    (folder / "manifest.json").write_text(json.dumps({"name": "tiny", "files": [entry]}), encoding="utf-8")
    return tmp_path / "models"


def test_a_model_whose_bytes_changed_fails_and_the_remedy_is_a_command(models):
    assert states(doctor._models(models, quick=False)) == {"model tiny": "ok"}
    (models / "tiny" / "weights.bin").write_bytes(b"wEights")
    (check,) = doctor._models(models, quick=False)
    assert check.state == "fail" and "sha256 differs" in check.found and "snakemake" in check.remedy
    assert states(doctor._models(models, quick=True)) == {"model tiny": "ok"}  # the size is the same
    (models / "tiny" / "weights.bin").unlink()
    assert states(doctor._models(models, quick=True)) == {"model tiny": "fail"}


def test_no_models_at_all_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    (check,) = doctor._models(None, quick=True)
    assert check.state == "fail" and "make demo" in check.remedy


def test_versions_are_those_of_the_lock_or_named(tmp_path):
    assert doctor._packages().state == "ok", doctor._packages().found
    lock = tmp_path / "requirements.lock"
    lock.write_text("# head\nnumpy==0.0.1\nno-such-package==1.0\n", encoding="utf-8")
    check = doctor._packages(lock)
    assert check.state == "fail" and "no-such-package" in check.found and "numpy" in check.found
    lock.write_text("snakefmt==0.1\n", encoding="utf-8")
    assert doctor._packages(lock).state == "note"
    assert doctor._packages(tmp_path / "none").state == "note"


def test_a_damaged_store_fails_and_none_is_fine(tmp_path):
    database = tmp_path / "mlflow.db"
    assert doctor._store(database).state == "ok"
    with sqlite3.connect(database) as store:
        store.execute("CREATE TABLE runs (run_uuid TEXT)")
    store.close()
    assert doctor._store(database) == doctor.Check("MLflow store", "ok", f"{database}: 0 runs")
    database.write_bytes(b"not a database at all" * 100)
    assert doctor._store(database).state == "fail"


def test_everything_is_looked_at_once_and_every_problem_has_a_remedy(models, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no conda, no nvidia-smi; Java is the wheel's
    checks = list(doctor.examine(models, quick=True))
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"Python", "packages", "torch", "GPU", "bf16", "Java", "audio", "parser", "disk", "MLflow store"} <= set(
        names
    )
    assert all(check.remedy for check in checks if check.state != "ok")
    assert states(checks)["conda"] == "note" and states(checks)["parser"] == "ok" and states(checks)["audio"] == "ok"
