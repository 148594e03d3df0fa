"""Where a number comes from: a relative link to its file, the rule that wrote the file, and the rule's tracked run."""

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
    """One file.

    Attributes:
        href: relative to the page, so that the results folder may move.
        rule: what wrote it.
        run: name of the rule's tracked run; empty where tracking was off.
        run_href: MLflow's page of that run; empty where unknown.
    """

    href: str
    rule: str
    run: str = ""
    run_href: str = ""


class Sources:
    """Sources of the files that the page was asked about, each looked up once."""

    def __init__(self, page: Path, runs: Mapping[str, TrackedRun]) -> None:
        self._folder, self._runs = Path(page).parent, runs
        self._known: dict[Path, Source] = {}

    def of(self, path: Path, rule: str = "") -> Source:
        """Source of a file.

        Args:
            path: a Parquet artifact, which tells its rule, or another file.
            rule: what wrote a file that cannot tell.

        Raises:
            ArtifactError: an artifact that is missing or no Parquet file.
        """
        if path not in self._known:
            rule = rule or _rule_of(path)
            run = self._runs.get(os.path.relpath(path))
            href = Path(os.path.relpath(path, self._folder)).as_posix()
            self._known[path] = Source(href, rule, *((run.name, run.address) if run else ()))
        return self._known[path]

    def known(self) -> dict[str, dict[str, str]]:
        """Everything asked for so far, by its link, for the page's script."""
        return {s.href: {"rule": s.rule, "run": s.run, "runHref": s.run_href} for s in self._known.values()}


def _rule_of(path: Path) -> str:
    """The rule in an artifact's footer; ``aligncap.artifacts`` checks schema and version where the rows are read."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: not a readable artifact ({error}); run the rule that makes it") from error
    return metadata.get(b"aligncap.rule", b"").decode()


def anchor(*parts: str) -> str:
    """An id for the page, of names that may hold any character."""
    return re.sub(r"[^\w-]", "-", "-".join(parts))
