"""The rule `fetch_model` against a hub on loopback: a gated repository is refused in a line, then a token opens it."""

import hub_mirror
import pytest
from hub_mirror import Repository, commit_of
from snakemake_project import SMOKE, Project

from aligncap.models.random_models import write_random
from aligncap.models.sources import model_folder

pytestmark = pytest.mark.workflow
TOKEN = "hf_of_the_test"
OVERLAY = """
models:
  llm: { name: of-the-hub, files: ["hf://org/tiny@main"], sha256: [], format: transformers }
"""


def test_a_gated_model_is_refused_and_then_fetched_with_a_token(project: Project, tmp_path, monkeypatch) -> None:
    (tmp_path / "tiny").mkdir()
    write_random("llama", tmp_path / "tiny")
    files = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    (project.folder / "hub.yaml").write_text(OVERLAY, encoding="utf-8")
    manifest = "models/of-the-hub/manifest.json"
    command = (manifest, *SMOKE, "hub.yaml")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with hub_mirror.serving() as hub:
        hub.repositories["org/tiny"] = Repository({commit_of(1): files}, {"main": commit_of(1)}, gated=True)
        hub.tokens[TOKEN] = {"org/tiny"}
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
        told = project.run(*command, ok=False)
        remedy = f"is gated, and there is no token (HF_TOKEN); accept its licence at {hub.endpoint}/org/tiny"
        assert f"models: of-the-hub: hf://org/tiny@main: {remedy}" in told and "Traceback" not in told
        assert not (project.folder / "models/of-the-hub").exists()
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        told = project.run(*command)
    folder = model_folder(project.folder / manifest)
    assert {path.name for path in folder.iterdir()} == {*files, "manifest.json"}
    assert TOKEN not in told
    for path in project.folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
