"""Checks of ``aligncap doctor``: working and broken parts of the installation, with remedies. Nothing is changed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from aligncap.artifacts import file_digest
from aligncap.errors import MetricError, ModelError
from aligncap.serving.locations import manifests, models_folder

State = Literal["ok", "note", "fail"]  # note: an optional part is missing
LEAST_FREE, WANTED_FREE = 2e9, 10e9  # bytes; an experiment on real speech takes a few gigabytes
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
WORKFLOW_ONLY = ("mypy", "pandas-stubs", "pytest", "pytest-timeout", "ruff", "snakefmt", "snakemake", "types-pyyaml")
SETUP = "run 'make setup'"


class Finding(NamedTuple):
    """The result of one check: its state, the finding in one line, and advice; empty where there is no problem."""

    state: State
    found: str
    remedy: str = ""


def examine(models: Path | None = None, quick: bool = False) -> Iterator[tuple[str, Finding]]:
    """Run all checks, one after the other, and yield the name of each checked part with its finding.

    Args:
        models: Folder of the base models; None searches for it as ``Captioner.load`` does.
        quick: Whether to compare only the sizes of the base models' files, and not their SHA-256.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "Python": lambda: Finding("ok", f"{platform.python_version()} ({sys.executable})"),
        "packages": packages,
        "torch": _torch,
        "Java": _java,
        "audio": _audio,
        "parser": _parser,
        "disk": _disk,
    }
    for name, check in checks.items():
        try:
            found = check()
        except (ImportError, OSError) as error:
            found = Finding("fail", f"cannot be used: {' '.join(str(error).split())}", SETUP)
        yield name, found
    yield from base_models(models, quick)


def packages(lock: Path = LOCK) -> Finding:
    """Compare the installed packages with the versions of a lock file."""
    if not lock.is_file():
        return Finding("note", "no requirements.lock: not a checkout", "versions were not compared")
    lines = lock.read_text(encoding="utf-8").splitlines()
    wanted = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    other = {name: got for name in wanted if (got := _installed(name)) != wanted[name]}
    if not other:
        return Finding("ok", "all versions of requirements.lock")
    needed = any(not got and name not in WORKFLOW_ONLY for name, got in other.items())
    found = [f"{name} {got or 'missing'} instead of {wanted[name]}" for name, got in other.items()]
    remedy = f"{SETUP}, or 'pip install --no-deps -r requirements.lock'"
    return Finding("fail" if needed else "note", f"{'; '.join(found[:5])}{' …' if len(found) > 5 else ''}", remedy)


def _installed(name: str) -> str:
    try:
        return version(name).split("+")[0]
    except PackageNotFoundError:
        return ""


def _torch() -> Finding:
    import torch

    from aligncap.config import Compute
    from aligncap.models.device import pick_device, pick_dtype

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cards = sorted({torch.cuda.get_device_name(card) for card in range(torch.cuda.device_count())})
    compute = Compute(precision="auto", threads=torch.get_num_threads())
    bf16 = "" if pick_dtype(compute, pick_device(compute)) == torch.bfloat16 else "no "
    found = f"{torch.__version__}, {cores} cores, GPU: {', '.join(cards) or 'none'}, {bf16}bf16 in hardware"
    if not cards and shutil.which("nvidia-smi"):
        return Finding("note", found, "install a CUDA build of torch that fits the driver (nvidia-smi names it)")
    return Finding("ok", found)


def _java() -> Finding:
    from aligncap.evaluation import java

    try:
        found = java.find_java()
        done = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False)
        java.pycocoevalcap_file("tokenizer/stanford-corenlp-3.4.1.jar")
        java.pycocoevalcap_file("meteor/meteor-1.5.jar")
    except MetricError as error:
        return Finding("note", str(error), "without it BLEU, METEOR, ROUGE-L and CIDEr-D are absent")
    named, *_ = (done.stderr or done.stdout or "starts").splitlines()
    return Finding("ok", f"{named} ({found})")


def _audio() -> Finding:
    import av
    import soundfile

    lacking = [name for name in ("aac", "mp3", "opus") if name not in av.codecs_available]
    found = f"libsndfile {soundfile.__libsndfile_version__}, PyAV {av.__version__} with its own FFmpeg"
    if lacking:
        return Finding("note", f"{found}, which cannot decode {', '.join(lacking)}", "install the wheel of av")
    return Finding("ok", found)


def _parser() -> Finding:
    from aligncap.clues.parser.grammar import dominant_emotion

    caption = "not at all angry, just very sad"
    found = dominant_emotion(caption)
    return Finding("ok" if found == "sad" else "fail", f"reads '{caption}' as {found}", "" if found == "sad" else SETUP)


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    found = f"{free / 1e9:.1f} GB free in {Path.cwd()}"
    if free >= WANTED_FREE:
        return Finding("ok", found)
    return Finding("fail" if free < LEAST_FREE else "note", found, "free some; 'make clean' removes results")


def base_models(given: Path | None, quick: bool) -> Iterator[tuple[str, Finding]]:
    """Yield each base model with what is wrong with its files; see ``examine``."""
    try:
        folder = models_folder(given, Path.cwd())
    except ModelError as error:
        yield "base models", Finding("fail", str(error), "run 'make demo', which fetches them")
        return
    known = list(manifests(folder))
    if not known:
        yield "base models", Finding("fail", f"{folder}: holds none", "run 'make demo', which fetches them")
    for path, manifest in known:
        files = manifest.get("files", [])
        if wrong := next(_wrong_files(path.parent, files, quick), None):
            yield f"model {path.parent.name}", Finding("fail", wrong, f"delete {path.parent}; run 'snakemake {path}'")
        else:
            size = sum(entry["bytes"] for entry in files) / 1e6
            told = f"{size:.0f} MB, {'sizes' if quick else 'sha256'} as fetched"
            yield f"model {path.parent.name}", Finding("ok", told)


def _wrong_files(folder: Path, listed: list[dict], quick: bool) -> Iterator[str]:
    for entry in listed:
        path = folder / entry["path"]
        if not path.is_file():
            yield f"{path}: missing"
        elif path.stat().st_size != entry["bytes"]:
            yield f"{path}: {path.stat().st_size} bytes, {entry['bytes']} expected"
        elif not quick and file_digest(path) != entry["sha256"]:
            yield f"{path}: sha256 differs from the manifest's"
