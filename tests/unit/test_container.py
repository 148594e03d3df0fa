"""The image: a linter reads its recipe, and it is made by the steps of `make setup`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def pip_installs(text: str) -> list[str]:
    """The arguments of each `pip install`, without those that only say how much it prints or where a package lies."""
    found = []
    for arguments in re.findall(r"(?:\$\(PIP\)|pip) install (.+)", text.replace("$$(", "$(")):
        found.append(re.sub(r"(-qq |--index-url \S+ )", "", arguments).strip())
    return found


def test_the_image_is_made_by_the_steps_of_make_setup():
    (setup,) = re.findall(
        r"^\$\(STAMP\):\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert pip_installs(DOCKERFILE) == pip_installs(setup) and len(pip_installs(setup)) == 3


def test_a_linter_finds_nothing():
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    hadolint = shutil.which("hadolint", path=os.pathsep.join(places))
    if hadolint is None:
        pytest.skip("no hadolint: `make setup` installs it")
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_packages_are_installed_before_the_code_and_it_does_not_run_as_root():
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith((" ", "#"))]
    assert lines.index("COPY requirements.lock ./") < lines.index("COPY . .")
    assert lines.index("RUN pip install --no-deps -r requirements.lock") < lines.index("COPY . .")
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000"]
    assert lines.index("USER 1000") > max(n for n, line in enumerate(lines) if line.startswith(("RUN", "COPY")))


def test_an_image_holds_no_results_weights_history_or_environment():
    ignored = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
    unwritten = {".git", ".venv", ".snakemake", "logs", "mlruns", "models", "results", "site", "work", "annotations"}
    assert unwritten <= ignored


def test_the_development_container_is_that_image():
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / settings["build"]["context"]).resolve() == ROOT
    assert f"WORKDIR {settings['workspaceFolder']}" in DOCKERFILE
    assert f"--uid 1000 {settings['remoteUser']}" in DOCKERFILE
