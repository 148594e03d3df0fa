"""What is committed stands by itself: no link out of the tree, no path of a machine; the front page says what is so."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# A path of a machine begins a word: `../work/x`, `results/work/x` and `{root}/x` do not name one.
MACHINE = re.compile(r"(?<![\w.{}$~*…/-])/(?:work|root|home/[\w.-]+|Users|tmp|mnt|srv|opt)/[\w./-]*")
HOSTILE = {"tests/unit/corpora/test_archives.py": {"/tmp/abs.flac", "/tmp/abs.json"}}  # members of a bad archive
THIS = Path(__file__).relative_to(ROOT).as_posix()
FRONT = ("README.md", "CONTRIBUTING.md")
NUMBER = re.compile(r"(?<![\w.`])[-+]?\d[\d,.]*\d(?!\w)|(?<![\w.`])[-+]?\d(?!\w)")
NAMES = re.compile(r"Python 3\.11|EMNLP 2024|Apache-2\.0|`[^`]*`|\]\([^)]*\)")  # their numerals count nothing


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no git on PATH")
    files = [name for name in listed.stdout.split("\0") if name and os.path.lexists(ROOT / name)]
    if listed.returncode or THIS not in files:
        pytest.skip("not a git checkout of this project")
    return files


def test_no_link_leads_out_of_the_tree(tracked: list[str]) -> None:
    links = [name for name in tracked if (ROOT / name).is_symlink()]
    assert [name for name in links if os.path.isabs(os.readlink(ROOT / name))] == []
    assert [name for name in links if not (ROOT / name).resolve().is_relative_to(ROOT)] == []
    assert [name for name in links if not (ROOT / name).exists()] == []


def machine_paths(text: str) -> set[str]:
    return set(MACHINE.findall(text))


def test_no_file_names_a_path_of_a_machine(tracked: list[str]) -> None:
    found = {}
    for name in tracked:
        path = ROOT / name
        if path.is_symlink() or name == THIS:
            continue
        try:
            named = machine_paths(path.read_text(encoding="utf-8")) - HOSTILE.get(name, set())
        except UnicodeDecodeError:
            continue  # a picture
        if named:
            found[name] = sorted(named)
    assert found == {}


@pytest.mark.parametrize("text", ["cd /work/main", '"/root/.cache"', "(/home/ann/x.wav)", "/Users/ann/x", "=/tmp/a"])
def test_a_path_of_a_machine_is_found(text: str) -> None:
    assert machine_paths(text)


@pytest.mark.parametrize(
    "text", ["results/work/a", "../work/a", "{root}/work/a", "https://host.org/home/ann/x", "work/"]
)
def test_a_path_within_the_project_is_none(text: str) -> None:
    assert not machine_paths(text)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 70


def sentences(page: str) -> list[str]:
    """Sentences of the prose: no code, no tables, no headings; a list's own numbers are left out."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(\||#|<img).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(\d+\.|-) ", "\n\n", text, flags=re.MULTILINE)
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", text)]
    return [one for block in blocks for one in re.split(r"(?<=[.:;?!])\s+(?=\S)", NAMES.sub("", block)) if one]


@pytest.mark.parametrize("name", FRONT)
def test_no_sentence_of_the_readme_has_more_than_two_numbers(name: str) -> None:
    found = sentences((ROOT / name).read_text(encoding="utf-8"))
    assert len(found) > 10
    assert [one for one in found if len(NUMBER.findall(one)) > 2] == []


@pytest.mark.parametrize("name", FRONT)
def test_what_the_readme_names_is_there(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", page, re.MULTILINE)) <= targets
    linked = re.findall(r"\]\(([^)#:]+)[^)]*\)|src=\"([^\"]+)\"", page)
    assert [path for pair in linked for path in pair if path and not (ROOT / path).exists()] == []
    files = re.findall(r"\b(?:experiments|tests|rules|workflow_scripts|aligncap|tools)/[\w/]+\.\w+", page)
    assert [path for path in files if not (ROOT / path).exists()] == []


def test_headings_that_the_readme_links_to_are_there() -> None:
    for path, anchor in re.findall(r"\]\((docs/[^)#]+)#([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, path


def test_figures_of_the_readme_are_those_of_the_results() -> None:
    results = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    claims = results.split("\n## Ten claims\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    figures = {figure for row in rows for figure in re.findall(r"[-+]?\d\.\d+(?: \[[^]]*\])?", row)}
    assert len(figures) >= 7
    assert [figure for figure in sorted(figures) if figure not in claims] == []


def test_hosted_ci_does_what_ci_run_does() -> None:
    raw = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = raw["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    assert raw["permissions"] == {"contents": "read"} and "concurrency" in raw and job["timeout-minutes"] == 90
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", name)] == []


def test_make_clean_removes_what_can_be_made_again_and_nothing_else(tmp_path: Path) -> None:
    kept = ["models/m", "mlruns", "annotations", ".venv", "work/judge_openai", "work/tracking", ".snakemake/conda"]
    made = ["results", "logs", "site", "work/candidates", ".snakemake/metadata"]
    for folder in kept + made:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x").touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", *(f"{folder}/x" for folder in kept)}
