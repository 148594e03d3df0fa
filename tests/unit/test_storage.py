"""Whatever writes a file does it atomically, or at least tells a full disk in one line."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITERS = {"write_text", "write_bytes", "savefig", "save_file", "copyfile", "copyfileobj", "copytree"}
ATOMIC = {"artifacts.write_text", "write_text", "artifacts.write_json", "write_json"}  # aligncap/storage.py
ELSEWHERE = {
    "clues/parser/patterns.py": "a page of the docs, by a developer",
    "config/writing.py main": "config.yaml, by a developer",
    "evaluation/figures/charts.py training_chart": "a stream in memory",
    "evaluation/spice.py score": "a temporary folder, whose errors are the metric's",
    "models/hub.py fetch_repository": "below `storing` of fetch_model",
    "models/sources.py _lay": "below `storing` of fetch_model",
    "serving/sharing.py _copy_half": "below `storing` of save",
    "serving/sounds.py read_sound": "a temporary file of one sound",
    "serving/web/uploads.py read_upload": "a temporary file of one upload",
    "tracking/log.py __init__": "the queue of MLflow: tests/faults/test_tracking_store.py",
    "tracking/syncing.py finish_pipeline": "likewise",
    "tracking/store.py _model_files": "MLflow's store, whose errors never reach a stage",
    "tracking/store.py _artifact": "likewise",
    "tracking/store.py save_served": "likewise",
}


def is_write(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or (called := ast.unparse(node.func)) in ATOMIC:
        return False
    texts = [a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)]
    modes = [
        text for text in texts if isinstance(text, str) and set(text) <= set("rwaxbt+") and set(text) & set("wax+")
    ]
    name = called.rpartition(".")[2]
    return name in WRITERS or (name in ("open", "fdopen") and bool(modes))


def bare(node: ast.AST, where: str) -> Iterator[str]:
    """The functions that write outside of ``atomic_path`` and ``storing``."""
    if isinstance(node, ast.FunctionDef):
        where = f"{where.split(' ')[0]} {node.name}"
    if isinstance(node, ast.With):
        held = " ".join(ast.unparse(item.context_expr) for item in node.items)
        if "atomic_path(" in held or "storing(" in held:
            return
    if is_write(node):
        yield where
    for child in ast.iter_child_nodes(node):
        yield from bare(child, where)


def test_what_is_stored_is_stored_atomically() -> None:
    package = ROOT / "aligncap"
    found = {
        where
        for path in sorted(package.rglob("*.py"))
        for where in bare(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(package).as_posix())
    }
    assert found == set(ELSEWHERE)
