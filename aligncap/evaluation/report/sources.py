"""Sources of the numbers: a relative link to the file, the rule that wrote it, and the rule's tracked run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aligncap.errors import ArtifactError
from aligncap.tracking.store import TrackedRun


@dataclass(frozen=True)
class Source:
    """The source of a number: one file.

    Attributes:
        href: Link relative to the page, so that the results folder may move.
        rule: Rule that wrote the file.
        run: Name of the rule's tracked run; empty where tracking was off.
        run_href: MLflow's page of that run; empty where unknown.
    """

    href: str
    rule: str
    run: str = ""
    run_href: str = ""


class Sources:
    """The sources of all files requested for the page, each looked up once."""

    def __init__(self, page: Path, runs: Mapping[str, TrackedRun]) -> None:
        self._folder, self._runs = Path(page).parent, runs
        self._known: dict[Path, Source] = {}

    def of(self, path: Path, rule: str = "") -> Source:
        """Return the source of a file.

        Args:
            path: Parquet artifact, which names its rule, or another file.
            rule: Rule that wrote a file of another kind.

        Raises:
            ArtifactError: An artifact is missing or is no Parquet file.
        """
        if path not in self._known:
            rule = rule or _rule_of(path)
            run = self._runs.get(os.path.relpath(path))
            href = Path(os.path.relpath(path, self._folder)).as_posix()
            self._known[path] = Source(href, rule, *((run.name, run.address) if run else ()))
        return self._known[path]

    def known(self) -> dict[str, dict[str, str]]:
        """Return all sources requested so far, by link, for the page's script."""
        return {s.href: {"rule": s.rule, "run": s.run, "runHref": s.run_href} for s in self._known.values()}


def _rule_of(path: Path) -> str:
    """Return the rule in an artifact's footer; ``aligncap.artifacts`` checks the schema where the rows are read."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: not a readable artifact ({error}); run the rule that makes it") from error
    return metadata.get(b"aligncap.rule", b"").decode()


def anchor(*parts: str) -> str:
    """Return an id for the page from names that may hold any character."""
    return re.sub(r"[^\w-]", "-", "-".join(parts))
