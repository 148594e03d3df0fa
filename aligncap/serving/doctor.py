"""Checks of ``aligncap doctor``: working and broken parts of the installation, with remedies. Nothing is changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from aligncap.artifacts import file_digest
from aligncap.errors import MetricError, ModelError
from aligncap.serving.locations import manifests, models_folder

State = Literal["ok", "note", "fail"]  # note: an optional part is missing
PYTHON = (3, 11)
LEAST_FREE, WANTED_FREE = 2e9, 10e9  # bytes; an experiment on real speech takes a few gigabytes
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
STORE = Path("mlruns") / "mlflow.db"
WORKFLOW_ONLY = ("mypy", "pandas-stubs", "pytest", "pytest-timeout", "ruff", "snakefmt", "snakemake", "types-pyyaml")


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the checked part.
        state: ok; note, where a part that most uses do not need is missing; or fail.
        found: Finding in one line.
        remedy: Advice to the user; empty where there is no problem.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(models: Path | None = None, quick: bool = False) -> Iterator[Check]:
    """Run all checks, one after the other.

    Args:
        models: Folder of the base models; None searches for it as ``Captioner.load`` does.
        quick: Whether to compare only the sizes of the base models' files, and not their SHA-256.
    """
    plain: tuple[Callable[[], Check], ...] = (_python, _packages, _torch, _gpu, _bf16, _java, _audio, _parser, _disk)
    yield from (check() for check in plain)
    yield from _models(models, quick)
    yield from (check() for check in (_store, _snakemake, _conda))


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] == PYTHON:
        return Check("Python", "ok", found)
    return Check(
        "Python", "fail", found, f"use Python {PYTHON[0]}.{PYTHON[1]}: 'make setup PYTHON=/path/to/python3.11'"
    )


def _pins(lock: Path) -> dict[str, str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def _packages(lock: Path = LOCK) -> Check:
    if not lock.is_file():
        return Check("packages", "note", "no requirements.lock: not a checkout", "versions were not compared")
    missing, others = [], []
    for name, wanted in _pins(lock).items():
        try:
            got = version(name).split("+")[0]
        except PackageNotFoundError:
            missing.append(name)
            continue
        if got != wanted:
            others.append(f"{name} {got} instead of {wanted}")
    needed = [name for name in missing if name not in WORKFLOW_ONLY]
    state: State = "fail" if needed else "note" if missing or others else "ok"
    parts = [f"missing: {', '.join(missing[:5])}"] if missing else []
    parts += [f"other versions: {'; '.join(others[:5])}{' …' if len(others) > 5 else ''}"] if others else []
    remedy = "" if state == "ok" else "run 'make setup', or 'pip install --no-deps -r requirements.lock'"
    return Check("packages", state, "; ".join(parts) or "all versions of requirements.lock", remedy)


def _torch() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("torch", "fail", f"cannot be imported: {' '.join(str(error).split())}", "run 'make setup'")
    value = float((torch.ones(8, 8) @ torch.ones(8, 8))[0, 0])
    if value != 8.0:
        return Check("torch", "fail", f"{torch.__version__} multiplies wrongly ({value}, not 8)", "reinstall torch")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("torch", "ok", f"{torch.__version__}, {cores} cores")


def _gpu() -> Check:
    try:
        import torch
    except (ImportError, OSError):
        return Check("GPU", "note", "not looked for: torch is missing", "run 'make setup'")
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        return Check(
            "GPU", "ok", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, CUDA {torch.version.cuda}"
        )
    if shutil.which("nvidia-smi"):
        reason = "a driver is there, but torch sees no GPU"
        return Check("GPU", "note", reason, "install a CUDA build of torch that fits the driver (nvidia-smi names it)")
    return Check("GPU", "note", "none", "everything runs on the CPU; models of 7B need a GPU")


def _bf16() -> Check:
    try:
        import torch

        from aligncap.config import Compute
        from aligncap.models.device import pick_device, pick_dtype
    except (ImportError, OSError):
        return Check("bf16", "note", "not looked for: torch is missing", "run 'make setup'")
    compute = Compute(precision="auto", threads=torch.get_num_threads())
    device = pick_device(compute)
    if pick_dtype(compute, device) == torch.bfloat16:
        return Check("bf16", "ok", f"multiplied in hardware ({'CPU' if device.type == 'cpu' else 'GPU'})")
    return Check("bf16", "note", "not in hardware", "compute.precision: auto takes fp32 here; nothing to do")


def _java() -> Check:
    from aligncap.evaluation import java

    try:
        found = java.find_java()
        done = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False)
        java.pycocoevalcap_file("tokenizer/stanford-corenlp-3.4.1.jar")
        java.pycocoevalcap_file("meteor/meteor-1.5.jar")
    except MetricError as error:
        return Check("Java", "note", str(error), "without it BLEU, METEOR, ROUGE-L and CIDEr-D are absent")
    named = (done.stderr or done.stdout).splitlines()
    return Check("Java", "ok", f"{named[0] if named else 'starts'} ({found})")


def _audio() -> Check:
    try:
        import av
        import soundfile
    except (ImportError, OSError) as error:
        return Check("audio", "fail", f"cannot be imported: {' '.join(str(error).split())}", "run 'make setup'")
    lacking = [name for name in ("aac", "mp3", "opus") if name not in av.codecs_available]
    found = f"libsndfile {soundfile.__libsndfile_version__}, PyAV {av.__version__} with its own FFmpeg"
    if lacking:
        return Check("audio", "note", f"{found}, which cannot decode {', '.join(lacking)}", "install the wheel of av")
    return Check("audio", "ok", f"{found}; the ffmpeg program is not needed")


def _parser() -> Check:
    from aligncap.clues.parser.grammar import dominant_emotion

    try:
        found = dominant_emotion("not at all angry, just very sad")
    except (ImportError, OSError) as error:
        reason = f"the emotion grammar cannot run: {' '.join(str(error).split())}"
        return Check("parser", "fail", reason, "run 'make setup'")
    if found != "sad":
        remedy = "spaCy and its model differ from requirements.lock; run 'make setup'"
        return Check("parser", "fail", f"reads 'not at all angry, just very sad' as {found}", remedy)
    return Check("parser", "ok", "reads emotions")


def _disk(folder: Path = Path()) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder.resolve()}"
    if not os.access(folder, os.W_OK):
        return Check("disk", "note", f"{folder.resolve()} cannot be written to", "run the pipeline in another folder")
    if free < LEAST_FREE:
        return Check("disk", "fail", found, f"free {(LEAST_FREE - free) / 1e9:.1f} GB; results/ and work/ grow")
    if free < WANTED_FREE:
        return Check("disk", "note", found, "an experiment on real speech may take more; 'make clean' removes results")
    return Check("disk", "ok", found)


def _models(given: Path | None, quick: bool) -> Iterator[Check]:
    try:
        folder = models_folder(given, Path.cwd())
    except ModelError:
        remedy = "run 'make demo', which fetches them, or set ALIGNCAP_MODELS"
        yield Check("base models", "fail", f"no folder models/ in or above {Path.cwd()}", remedy)
        return
    some = False
    for path, manifest in manifests(folder):
        some = True
        wrong = next(_wrong_files(path.parent, manifest.get("files", []), quick), None)
        name = f"model {path.parent.name}"
        if wrong:
            remedy = f"delete {path.parent} and run 'snakemake {path}', or the pipeline"
            yield Check(name, "fail", wrong, remedy)
        else:
            size = sum(entry["bytes"] for entry in manifest.get("files", []))
            yield Check(name, "ok", f"{size / 1e6:.0f} MB, {'sizes' if quick else 'sha256'} as fetched")
    if not some:
        yield Check("base models", "fail", f"{folder}: holds none", "run 'make demo', which fetches them")


def _wrong_files(folder: Path, listed: list[dict], quick: bool) -> Iterator[str]:
    for entry in listed:
        path = folder / entry["path"]
        if not path.is_file():
            yield f"{path}: missing"
        elif path.stat().st_size != entry["bytes"]:
            yield f"{path}: {path.stat().st_size} bytes, {entry['bytes']} expected"
        elif not quick and file_digest(path) != entry["sha256"]:
            yield f"{path}: sha256 differs from the manifest's"


def _store(database: Path = STORE) -> Check:
    if not database.is_file():
        return Check("MLflow store", "ok", f"{database}: none yet; the first run makes it")
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as store:
            (state,) = store.execute("PRAGMA quick_check(1)").fetchone()
            (runs,) = store.execute("SELECT count(*) FROM runs").fetchone()
    except sqlite3.Error as error:
        remedy = f"move it away; the next run makes a new one, and 'make mlflow-sync' imports from work/ ({error})"
        return Check("MLflow store", "fail", f"{database}: cannot be read", remedy)
    if state != "ok":
        return Check(
            "MLflow store", "fail", f"{database}: damaged ({state})", "move it away and run 'make mlflow-sync'"
        )
    return Check("MLflow store", "ok", f"{database}: {runs} runs")


def _snakemake() -> Check:
    if importlib.util.find_spec("snakemake") is None:
        return Check("Snakemake", "note", "not installed", "training needs it: run 'make setup'")
    return Check("Snakemake", "ok", version("snakemake"))


def _conda() -> Check:
    found = next((path for name in ("conda", "mamba", "micromamba") if (path := shutil.which(name))), None)
    if found is None:
        return Check("conda", "note", "none", "only 'snakemake --use-conda' needs one")
    return Check("conda", "ok", found)
