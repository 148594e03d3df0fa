"""The digest that makes a rule run again when its code changes, and only then."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from snakemake_project import ROOT


def digests(package: Path) -> ModuleType:
    """A fresh copy of rules/code_digest.py (it caches) that looks at ``package``."""
    spec = importlib.util.spec_from_file_location("code_digest", ROOT / "rules" / "code_digest.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loaded.package_folder = lambda: package
    return loaded


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "",
        "config.py": "A = 1\n",
        "base.py": '"""Base."""\n\n\ndef f(x):\n    """Double."""\n    return 2 * x  # twice\n',
        "training/__init__.py": "",
        "training/loop.py": "from aligncap.base import f\nfrom aligncap.config import A\n",
        "training/late.py": "def g():\n    from . import words\n    return words\n",
        "training/words.py": 'from pathlib import Path\nW = (Path(__file__).parent / "words.txt").read_text()\n',
        "training/words.txt": "sad\n",
        "evaluation/__init__.py": "",
        "evaluation/score.py": "import aligncap.base\nfrom aligncap.schemas import SCHEMAS\n\nX = SCHEMAS['scores']\n",
        "schemas.py": "SCHEMAS: dict = {'scores': 1, 'logs': 2}\n",
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
    }.items():
        (tmp_path / f"{name}.py").write_text(line + "\n")
    return tmp_path / "aligncap"


def all_digests(package: Path) -> dict[str, str]:
    fresh = digests(package)
    return {name: fresh.code_digest(package.parent / f"{name}.py") for name in ("train", "late", "score", "any")}


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("base.py", '"""Other words."""\n\n\ndef f(x):\n    # a comment\n    return 2 * x\n', set()),
        ("base.py", "def f(x):\n    return 3 * x\n", {"train", "score", "any"}),
        ("evaluation/score.py", "import aligncap.base\nX = 1\n", {"score"}),
        ("schemas.py", "SCHEMAS: dict = {'scores': 3, 'logs': 2}\n", {"score"}),
        ("schemas.py", "SCHEMAS: dict = {'scores': 1, 'logs': 4, 'tables': 5}\n", set()),
        ("training/words.txt", "happy\n", {"late", "any"}),
        ("training/words.py", "W = 1\n", {"late", "any"}),
        ("config.py", "A = 2\n", set()),
    ],
)
def test_what_an_edit_changes(package: Path, file: str, text: str, changed: set[str]) -> None:
    before = all_digests(package)
    (package / file).write_text(text)
    after = all_digests(package)
    assert {name for name in before if before[name] != after[name]} == changed


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
