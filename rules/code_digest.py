"""Digest of the code that a script runs: the script and every module of aligncap and its plugins that it can import.

Snakemake sees only the script file, and by its mtime; a digest in ``params`` sees the whole import closure, by content.
It is computed from the syntax trees without docstrings, so that editing a comment does not cost an hour of training.
"""

import ast
import contextlib
import copy
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from functools import cache, wraps
from pathlib import Path

from aligncap.storage import atomic_path

PACKAGE = "aligncap"
SCHEMAS = f"{PACKAGE}.artifacts.schemas"
# Not followed, because nothing in an artifact can come of them: the root, which holds a version and names; config, of
# which data arrives as ``params`` and all else is validation; what a job tells MLflow, from which nothing comes back.
# tests/workflow/test_code_digest.py holds them to it.
NOT_IN_ARTIFACTS = (PACKAGE, f"{PACKAGE}.config", f"{PACKAGE}.tracking.runs")
CODES = f"{PACKAGE}.config.languages"  # of languages, by which clips are skipped: followed, though part of config


def reaches_artifacts(dotted: str) -> bool:
    """Return whether an edit in this module may change an artifact of a rule that can import it."""
    return dotted == CODES or not (dotted in NOT_IN_ARTIFACTS or dotted.startswith(f"{PACKAGE}.config."))


def remembered(function):
    """Cache a function's results by file and further arguments, for as long as the file does not change."""
    known = {}

    @wraps(function)
    def ask(path, *more):
        state = path.stat()
        key = (path, state.st_mtime_ns, state.st_size, *more)
        if key not in known:
            known[key] = function(path, *more)
        return known[key]

    return ask


@cache
def package_folder(package: str) -> Path:
    """Return the folder of a package that scripts will import: aligncap itself, or that of a plugin."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed; run `make setup` (pip install -e .)")
    return Path(spec.submodule_search_locations[0])


@cache
def plugins() -> dict[str, list[str]]:
    """Return the modules of installed plugins, by the group of entry points (aligncap.…) in which code finds them."""
    find = importlib.metadata.entry_points
    groups = [group for group in find().groups if group.startswith(f"{PACKAGE}.")]
    return {group: sorted(point.module for point in find(group=group)) for group in groups}


def packages() -> set[str]:
    """Return the names of the package and of those of its plugins."""
    return {PACKAGE, *(module.split(".")[0] for group in plugins().values() for module in group)}


@cache
def module_file(dotted: str) -> Path | None:
    """Return the file of a dotted module of the package or a plugin, or None where there is no such module."""
    package, *rest = dotted.split(".")
    if package not in packages():
        return None
    base = package_folder(package).joinpath(*rest)
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


@remembered
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree without docstrings and without code that only a type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                setattr(node, field, [s for s in block if not _is_text(s) and not _is_type_checking(s)])
    return tree


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _is_type_checking(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


@remembered
def imported(path: Path, dotted: str) -> tuple[str, ...]:
    """Return the modules that this one imports anywhere, or names in a string for importlib or as a plugin group."""
    return tuple(_imported(parsed(path), dotted, path.name == "__init__.py"))


def _imported(tree: ast.Module, dotted: str, is_package: bool) -> Iterator[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    names_modules = any(ast.unparse(called).endswith("import_module") for called in calls)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ""
            if node.level:
                parts = dotted.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                parent = ".".join([*kept, *filter(None, [node.module])])
            yield parent
            yield from (f"{parent}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in plugins():
            yield from plugins()[node.value]
        elif names_modules and isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(rf"{PACKAGE}(\.\w+)+", node.value):
                yield node.value
            elif re.fullmatch(rf"{PACKAGE}(\.\w+)+\.", node.value):  # the head of f"aligncap.corpora.{name}"
                folder = package_folder(PACKAGE).joinpath(*node.value.rstrip(".").split(".")[1:])
                yield from (f"{node.value}{path.stem}" for path in sorted(folder.glob("*.py")))


def closure(script: Path) -> dict[str, Path]:
    """Return every module of the package and its plugins that the script can reach, by name."""
    found: dict[str, Path] = {}
    pending = list(imported(script, ""))
    while pending:
        dotted = pending.pop()
        path = module_file(dotted)
        if path is None or dotted in found or not reaches_artifacts(dotted):
            continue
        found[dotted] = path
        pending += imported(path, dotted)
        pending.append(dotted.rpartition(".")[0])  # importing a module runs its package
    return found


@remembered
def _texts(path: Path) -> frozenset[str]:
    nodes = ast.walk(parsed(path))
    return frozenset(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))


@remembered
def _schemas_digest(path: Path, named: frozenset[str]) -> str:
    """Return the digest of those artifact schemas that some code names, so that a new schema changes nothing else."""
    tree = copy.copy(parsed(path))  # shallow, as what is changed below: the parsed tree is shared
    (place,) = (
        n for n, s in enumerate(tree.body) if isinstance(s, ast.AnnAssign) and ast.unparse(s.target) == "SCHEMAS"
    )
    declared = copy.copy(tree.body[place])
    kept = [(k, v) for k, v in zip(declared.value.keys, declared.value.values, strict=True) if k.value in named]
    declared.value = ast.Dict([key for key, _ in kept], [value for _, value in kept])
    tree.body = [*tree.body[:place], declared, *tree.body[place + 1 :]]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@remembered
def module_digest(path: Path) -> str:
    """Return the digest of a module's syntax and of the files beside it that it names (word lists, templates)."""
    tree = parsed(path)
    digest = hashlib.sha256(ast.dump(tree).encode())
    names = (n for n in _texts(path) if re.fullmatch(r"[\w/-]+(\.\w+)+", n))
    pending = [data for name in names for data in path.parent.rglob(Path(name).name) if data.suffix != ".py"]
    found: dict[Path, bytes] = {}
    while pending:  # a template names others beside it
        data = pending.pop()
        if data not in found:
            content = found[data] = data.read_bytes()
            beside = (other for other in data.parent.iterdir() if other.is_file() and other.suffix != ".py")
            pending += [other for other in beside if other.name.encode() in content]
    for data in sorted(found):
        digest.update(found[data])
    return digest.hexdigest()


def code_digest(script: str | Path) -> str:
    """Return SHA-256 over the script and its import closure in the package and its plugins, 16 hexadecimal digits."""
    modules = closure(Path(script))
    schemas = modules.pop(SCHEMAS, None)
    parts = [module_digest(Path(script)), *(f"{name} {module_digest(modules[name])}" for name in sorted(modules))]
    if schemas is not None:
        named = frozenset().union(*map(_texts, (Path(script), *modules.values())))
        parts.append(_schemas_digest(schemas, named & _texts(schemas)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def code_state(project: Path) -> str:
    """Return SHA-256 over all that the digests come of: scripts, package, plugins, this file and the Python."""
    digest = hashlib.sha256(f"{sys.version} {plugins()}".encode())
    digest.update((project / "rules" / "code_digest.py").read_bytes())
    for folder in (project / "workflow_scripts", *map(package_folder, sorted(packages()))):
        for path in sorted(folder.rglob("*")):
            if path.suffix != ".pyc" and path.is_file():
                content = path.read_bytes()
                digest.update(f"{folder.name} {path.relative_to(folder)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def code_digests(project: Path, kept: Path) -> dict[str, str]:
    """Return the digest of each file in ``workflow_scripts`` of a project, by the file's name without suffix.

    They take more than a second, so the file ``kept`` holds them, for as long as nothing changes that they come of.
    """
    state = code_state(project)
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # missing or damaged
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["state"] == state:
            return dict(known["digests"])
    digests = {path.stem: code_digest(path) for path in sorted((project / "workflow_scripts").glob("*.py"))}
    with contextlib.suppress(OSError), atomic_path(kept) as temporary:  # a folder that can only be read
        temporary.write_text(json.dumps({"state": state, "digests": digests}), encoding="utf-8")
    return digests
