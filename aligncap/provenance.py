"""Provenance of an experiment: effective config, package versions, commit, and digests of the input files."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from aligncap.artifacts import file_digest, write_json
from aligncap.systems import named_files

PACKAGE = Path(__file__).resolve().parent


def package_versions() -> dict[str, str]:
    """Return the version of every installed package, sorted by name; names are in lower case with hyphens."""
    found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions() if d.metadata["Name"]}
    return dict(sorted(found.items()))


def git_state(folder: Path = PACKAGE) -> dict[str, Any]:
    """Return the commit and whether tracked files differ from it; both are None outside a git checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--verify", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def write_snapshot(config: Mapping[str, Any], out: Path) -> None:
    """Write ``run.json``, which holds no host name, time or local path, so that the same state gives the same bytes.

    Args:
        config: Effective configuration as plain data. Its ``tracking`` section is left out: the address of a store may
            hold a password, and changes no result.
        out: Target file. Keys: config, git, inputs (path as in the config -> SHA-256), packages, platform, python.
    """
    kept = {key: value for key, value in config.items() if key != "tracking"}
    inputs = {name: file_digest(name) for name in sorted(set(named_files(config))) if Path(name).is_file()}
    write_json(
        {
            "config": kept,
            "git": git_state(),
            "inputs": inputs,
            "packages": package_versions(),
            "platform": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        out,
    )
