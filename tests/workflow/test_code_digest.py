"""The digest that makes a rule run again when its code changes, and only then."""

import ast
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import grimp
import pytest
from snakemake_project import ROOT


def digests(package: Path, plugins: dict[str, list[str]] | None = None) -> ModuleType:
    """A fresh copy of rules/code_digest.py (it caches) that looks at ``package`` and plugins beside it.

    Its list ``asked`` says of which scripts it has computed the closure.
    """
    spec = importlib.util.spec_from_file_location("code_digest", ROOT / "rules" / "code_digest.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loaded.package_folder = lambda name: package.with_name(name)
    if plugins is not None:
        loaded.plugins = lambda: plugins
    loaded.asked, closure = [], loaded.closure
    loaded.closure = lambda script: loaded.asked.append(script) or closure(script)
    return loaded


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "config/__init__.py": "from aligncap.config.sections import A\n",
        "config/sections.py": "A = 1\n",
        "base.py": '"""Base."""\n\n\ndef f(x):\n    """Double."""\n    return 2 * x  # twice\n',
        "training/__init__.py": "",
        "training/loop.py": "from aligncap.base import f\nfrom aligncap.config import A\n",
        "training/late.py": "def g():\n    from . import words\n    return words\n",
        "training/words.py": 'from pathlib import Path\nW = (Path(__file__).parent / "words.txt").read_text()\n',
        "training/words.txt": "sad\n",
        "evaluation/__init__.py": "",
        "evaluation/score.py": (
            "import aligncap.base\nfrom aligncap.artifacts.schemas import SCHEMAS\n\nX = SCHEMAS['scores']\n"
        ),
        "artifacts/__init__.py": "",
        "artifacts/schemas.py": "SCHEMAS: dict = {'scores': 1, 'logs': 2}\n",
        "plugins.py": "from importlib.metadata import entry_points\n\nP = entry_points(group='aligncap.parsers')\n",
        "../aligncap_xx/__init__.py": "",
        "../aligncap_xx/grammar.py": "from aligncap.training import words\nfrom . import lists\n",
        "../aligncap_xx/lists.py": "L = 1\n",
        "registry.py": "import importlib\n\nload = lambda n: importlib.import_module(f'aligncap.training.{n}')\n",
    }
    for name, text in files.items():
        path = tmp_path / "aligncap" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, line in {
        "train": "from aligncap.training.loop import f",
        "late": "def main(smk):\n    from aligncap.training.late import g",
        "score": "from aligncap.evaluation import score",
        "any": "from aligncap.registry import load",
        "plugged": "from aligncap.plugins import P",
    }.items():
        (tmp_path / f"{name}.py").write_text(line + "\n")
    return tmp_path / "aligncap"


def all_digests(package: Path) -> dict[str, str]:
    fresh = digests(package, {"aligncap.parsers": ["aligncap_xx.grammar"]})
    scripts = ("train", "late", "score", "any", "plugged")
    return {name: fresh.code_digest(package.parent / f"{name}.py") for name in scripts}


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("base.py", '"""Other words."""\n\n\ndef f(x):\n    # a comment\n    return 2 * x\n', set()),
        ("base.py", "def f(x):\n    return 3 * x\n", {"train", "score", "any"}),
        ("evaluation/score.py", "import aligncap.base\nX = 1\n", {"score"}),
        ("artifacts/schemas.py", "SCHEMAS: dict = {'scores': 3, 'logs': 2}\n", {"score"}),
        ("artifacts/schemas.py", "SCHEMAS: dict = {'scores': 1, 'logs': 4, 'tables': 5}\n", set()),
        ("training/words.txt", "happy\n", {"late", "any", "plugged"}),
        ("training/words.py", "W = 1\n", {"late", "any", "plugged"}),
        ("../aligncap_xx/lists.py", "L = 2\n", {"plugged"}),
        ("config/sections.py", "A = 2\n", set()),
    ],
)
def test_what_an_edit_changes(package: Path, file: str, text: str, changed: set[str]) -> None:
    before = all_digests(package)
    (package / file).write_text(text)
    after = all_digests(package)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_plugin_that_is_installed_later_changes_what_can_find_it(package: Path) -> None:
    without, script = digests(package, {}), package.parent / "plugged.py"
    assert without.code_digest(script) != all_digests(package)["plugged"]
    assert set(without.closure(script)) == {"aligncap.plugins"}


@pytest.fixture
def kept_project(package: Path) -> Path:
    """A project with the scripts of `package`."""
    project = package.parent
    (project / "workflow_scripts").mkdir()
    for script in project.glob("*.py"):
        script.rename(project / "workflow_scripts" / script.name)
    (project / "rules").mkdir()
    shutil.copy2(ROOT / "rules" / "code_digest.py", project / "rules")
    return project


@pytest.mark.parametrize(
    "file",
    [
        "aligncap/base.py",
        "aligncap/training/words.txt",
        "aligncap_xx/lists.py",
        "workflow_scripts/train.py",
        "rules/code_digest.py",
    ],
)
def test_digests_are_kept_until_a_file_changes(kept_project: Path, file: str) -> None:
    kept = kept_project / ".snakemake" / "kept.json"

    def ask() -> tuple[dict[str, str], bool]:
        """The digests as a new run of Snakemake gets them, and whether it computed any."""
        fresh = digests(kept_project / "aligncap", {"aligncap.parsers": ["aligncap_xx.grammar"]})
        found = fresh.code_digests(kept_project, kept)
        return found, bool(fresh.asked)

    before, computed = ask()
    assert computed and set(before) == {"train", "late", "score", "any", "plugged"}
    assert ask() == (before, False)
    with (kept_project / file).open("a") as edited_file:
        edited_file.write("CHANGED = 1\n")
    after, computed = ask()
    assert computed and (after == before) is (file == "rules/code_digest.py")
    assert [path.name for path in kept.parent.iterdir()] == ["kept.json"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"state": 1}'])
def test_kept_digests_that_are_damaged_are_made_anew(kept_project: Path, damage: str) -> None:
    fresh, kept = digests(kept_project / "aligncap", {}), kept_project / "kept.json"
    before = fresh.code_digests(kept_project, kept)
    kept.write_text(damage)
    assert fresh.code_digests(kept_project, kept) == before
    assert "digests" in kept.read_text()


def test_it_follows_the_real_package() -> None:
    real = digests(ROOT / "aligncap")
    reached = real.closure(ROOT / "workflow_scripts" / "train_preference.py")
    assert {"aligncap.preference.train", "aligncap.preference.losses", "aligncap.training.loop"} <= set(reached)
    assert not any(name.startswith("aligncap.evaluation") for name in reached)


def test_evaluation_code_is_outside_training() -> None:
    real = digests(ROOT / "aligncap")
    for rule in ("warm_start", "adapt_teacher", "teacher_logits", "train_alignment", "train_preference", "candidates"):
        reached = real.closure(ROOT / "workflow_scripts" / f"{rule}.py")
        assert not any(name.startswith(("aligncap.evaluation", "aligncap.serving")) for name in reached), rule


SCRIPTS = {path.stem: path for path in sorted((ROOT / "workflow_scripts").glob("*.py"))}
# Modules that code names in a string and imports late; grimp, which reads import statements, cannot know them.
NAMED_IN_STRINGS = {
    "aligncap.corpora.registry": ["aligncap.corpora", "aligncap.extensions.corpora"],
    "aligncap.preference.judges": ["aligncap.extensions.judges"],
    "aligncap.preference.train": ["aligncap.extensions.losses"],
    "aligncap.alignment.losses": ["aligncap.extensions.divergences"],
}


def scripts_that_reach() -> dict[str, set[str]]:
    """Module -> scripts that can import it, by another reader of imports than the one that is tested."""
    graph = grimp.build_graph("aligncap", exclude_type_checking_imports=True, cache_dir=None)
    excluded = {m for m in graph.modules if not digests(ROOT / "aligncap").reaches_artifacts(m)}
    reach: dict[str, set[str]] = {module: set() for module in graph.modules}
    for script, path in SCRIPTS.items():
        nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        pending = [m for n in nodes for m in (n.module, *(f"{n.module}.{a.name}" for a in n.names)) if m in reach]
        while pending:
            module = pending.pop()
            if module in excluded or script in reach[module]:
                continue
            reach[module].add(script)
            pending += [*graph.find_modules_directly_imported_by(module), module.rpartition(".")[0]]
            for package in NAMED_IN_STRINGS.get(module, []):
                pending += [package, *graph.find_children(package)]
    return reach


def edited(text: str, nth: int) -> tuple[str, str] | None:
    """The module's nth function, counted round and round, and the text in which its body is changed."""
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        return None
    function = functions[nth % len(functions)]
    function.body.append(ast.Expr(ast.Constant(0)))
    return function.name, ast.unparse(tree)


def test_every_script_sees_the_modules_that_it_can_reach_and_no_others() -> None:
    fresh, reach = digests(ROOT / "aligncap"), scripts_that_reach()
    seen = {script: set(fresh.closure(path)) for script, path in SCRIPTS.items()}
    for module, expected in reach.items():
        if not (ROOT.joinpath(*module.split(".")) / "__init__.py").is_file():  # grimp reads past a package
            assert {name for name in seen if module in seen[name]} == expected, module


def test_an_edit_of_a_function_reruns_the_rules_that_can_reach_it_and_no_others(tmp_path: Path) -> None:
    package = tmp_path / "aligncap"
    shutil.copytree(ROOT / "aligncap", package, ignore=shutil.ignore_patterns("__pycache__"))
    fresh, reach = digests(package), scripts_that_reach()
    before = {name: fresh.code_digest(path) for name, path in SCRIPTS.items()}
    assert any(reach.values()) and len(set(before.values())) == len(before)
    for nth, (module, expected) in enumerate(reach.items()):
        file = package.joinpath(*module.split(".")[1:])
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        text, own = file.read_text(encoding="utf-8"), fresh.module_digest(file)
        if (edit := edited(text, nth)) is None:
            continue
        function, changed = edit
        file.write_text(changed, encoding="utf-8")
        assert fresh.module_digest(file) != own, f"{module}.{function}"
        if nth % 8 == 0:  # the digests of all scripts take a second
            after = {name: fresh.code_digest(path) for name, path in SCRIPTS.items()}
            assert {name for name in before if before[name] != after[name]} == expected, f"{module}.{function}"
        file.write_text(text, encoding="utf-8")


def is_validator(function: ast.FunctionDef) -> bool:
    return any("_validator(" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_config_is_data_and_validation() -> None:
    """What the digest does not see in config are fields, validators, and functions that config alone calls."""
    free = set()
    for path in sorted((ROOT / "aligncap" / "config").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        methods = [
            n for c in tree.body if isinstance(c, ast.ClassDef) for n in c.body if isinstance(n, ast.FunctionDef)
        ]
        assert [m.name for m in methods if not is_validator(m)] == [], path.name
        free |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    outside = [path for path in (ROOT / "aligncap").rglob("*.py") if path.parent.name != "config"]
    used = {
        alias.name
        for path in outside
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aligncap.config")
        for alias in node.names
    }
    assert free & used == {"validated"}, "validated builds a section or raises; all else belongs into a digested module"
    constants = {name for name in used if name.isupper()}
    validation = {"OVERRIDABLE", "OVERRIDABLE_PREFERENCE"}
    assert constants - validation == {"LANGUAGES", "WRONG"}, "any other constant belongs into a digested module"


TEMPLATES = sorted((ROOT / "aligncap/evaluation/report/templates").iterdir())


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda path: path.name)
def test_a_report_is_made_again_after_an_edit_of_any_of_its_templates(tmp_path: Path, file: Path) -> None:
    shutil.copytree(ROOT / "aligncap/evaluation/report", tmp_path / "report")
    page = tmp_path / "report/page.py"
    before = digests(ROOT / "aligncap").module_digest(page)
    copied = tmp_path / "report/templates" / file.name
    copied.write_bytes(copied.read_bytes() + b" ")
    assert digests(ROOT / "aligncap").module_digest(page) != before
