"""`--use-conda` with a stub for conda: which environments are asked for, and what is installed into them."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from snakemake_project import ROOT, SMOKE, Project

pytestmark = pytest.mark.workflow

# Notes what it is called with, and answers what Snakemake asks. `env create` makes the prefix that it was told to.
CONDA = """#!{python}
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
with open(here / "calls.jsonl", "a") as stream:
    stream.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:] == ["info", "--json"]:
    print(json.dumps({{"conda_prefix": str(here.parent), "platform": "linux-64"}}))
elif sys.argv[1:] == ["--version"]:
    print("conda 25.1.1")
elif sys.argv[1:3] == ["config", "--get"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif sys.argv[1:3] == ["env", "create"]:
    os.makedirs(sys.argv[sys.argv.index("--prefix") + 1])
"""
# What `source activate <env>` would do, but `python` is a stub that notes its arguments.
ACTIVATE = 'export CONDA_PREFIX="$1"; export PATH="{bin}:$PATH"\n'
PYTHON = '#!/bin/sh\necho "$CONDA_PREFIX $*" >> "{bin}/python.txt"\n'


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "miniconda" / "bin"
    folder.mkdir(parents=True)
    texts = {"conda": CONDA.format(python=sys.executable), "python": PYTHON.format(bin=folder)}
    for name, text in {**texts, "activate": ACTIVATE.format(bin=folder)}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def calls(stub: Path) -> list[list[str]]:
    return [json.loads(line) for line in (stub / "calls.jsonl").read_text().splitlines()]


def snakemake(project: Project, *arguments: str) -> str:
    return project.execute([sys.executable, "-m", "snakemake", "-j", "1", "--use-conda", *arguments, *SMOKE])


def test_a_dry_run_asks_for_the_environments_and_makes_none(project, stub):
    output = snakemake(project, "-n")
    for group in ("speech", "llm", "evaluation"):
        assert f"envs/{group}.yaml will be created" in output
    assert not [call for call in calls(stub) if call[:2] == ["env", "create"]]


def test_environments_are_made_once_and_get_the_package(project, stub):
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, project.folder / name)
    snakemake(project, "--conda-create-envs-only")
    made = [call for call in calls(stub) if call[:2] == ["env", "create"]]
    files = {Path(call[call.index("--file") + 1]).read_text() for call in made}
    assert files == {path.read_text() for path in (ROOT / "envs").glob("*.yaml")} and len(made) == 3

    installed = (stub / "python.txt").read_text().splitlines()
    prefixes = {call[call.index("--prefix") + 1] for call in made}
    assert {line.split()[0] for line in installed} == prefixes, "not in every environment, or not in the active one"
    editable = f"--editable {project.folder} --editable {project.folder}/plugins/aligncap-zh"
    ours = [line for line in installed if line.endswith(f"--no-deps --no-build-isolation {editable}")]
    assert len(ours) == 3 and len([line for line in installed if " nrclex==" in line]) == 3

    snakemake(project, "--conda-create-envs-only")
    assert len([call for call in calls(stub) if call[:2] == ["env", "create"]]) == 3, "a second call makes them again"
