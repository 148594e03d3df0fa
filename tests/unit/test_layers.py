"""Which way imports go: down the list of layers, and never in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
# From the top. A package imports from those below it only; what stands on one line does not know each other.
LAYERS = [
    ("serving",),
    ("planning",),
    ("evaluation",),
    ("preference",),
    ("alignment",),
    ("training",),
    ("captioner", "corpora"),
    ("clues",),
    ("speech",),
    ("models",),
    ("job", "provenance"),
    ("tracking",),
    ("devices", "progress"),
    ("artifacts",),
    ("systems",),
    ("config", "vocabulary"),
    ("reading", "storage"),
    ("extensions", "errors", "hashes"),
]
PLACE = {name: number for number, names in enumerate(LAYERS) for name in names}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("aligncap", exclude_type_checking_imports=True, cache_dir=None)


def arrows(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """(module, module that it imports); the root, which only hands out names of what is below, is left out."""
    return {
        (module, other)
        for module in graph.modules - {"aligncap"}
        for other in graph.find_modules_directly_imported_by(module) - {"aligncap"}
    }


def package(module: str) -> str:
    return module.split(".")[1]


def test_every_package_has_its_layer(graph: grimp.ImportGraph) -> None:
    assert {package(module) for module in graph.modules - {"aligncap"}} == set(PLACE)


def test_arrows_between_packages_go_down(graph: grimp.ImportGraph) -> None:
    upward = [
        f"{module} -> {other}"
        for module, other in sorted(arrows(graph))
        if package(module) != package(other) and PLACE[package(module)] >= PLACE[package(other)]
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    below: dict[str, set[str]] = {module: set() for module in graph.modules}
    for module, other in arrows(graph):
        if not module.startswith(f"{other}."):  # a package's __init__ may hand out names of its own modules
            below[module].add(other)
    TopologicalSorter(below).prepare()  # raises CycleError, with the circle in it


def test_no_module_is_longer_than_400_lines() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in (ROOT / "aligncap").rglob("*.py")
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


def test_no_public_function_takes_more_than_eight_parameters() -> None:
    wide = {}
    for path in (ROOT / "aligncap").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = len([argument for argument in given if argument.arg not in ("self", "cls")])
                if count > 8:
                    wide[f"{path.relative_to(ROOT)}: {node.name}"] = count
    assert wide == {}
