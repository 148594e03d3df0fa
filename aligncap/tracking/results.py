"""Results of a pipeline for MLflow: a run per system and test corpus, the tables, and the checkpoints as models.

They are taken from the tables after the pipeline has succeeded, so they cost no job and no job depends on them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aligncap import artifacts
from aligncap.config import OVERRIDABLE, AlignCapConfig
from aligncap.errors import AlignCapError
from aligncap.systems import plain_name, resolve_system, seed_members
from aligncap.tracking import runs as tracking
from aligncap.tracking.store import checkpoint_digest

logger = logging.getLogger(__name__)

RULE = STAGE = "test"
# Tables that the pipeline's run shows, and their schemas; tables that the experiment lacks are left out.
TABLES = {
    "zero_shot": "table",
    **{f"table{number}": "table" for number in (1, 2, 3, 4)},
    **{f"table{number}_tests": "differences" for number in (1, 2, 3, 4)},
    "claims": "claims",
}


class _Tested(NamedTuple):
    """One row of the tables as a tracking run."""

    name: str  # kd, or kd@1 where the system has several seeds, in which case kd is their mean
    corpus: str
    metrics: dict[str, float]  # as the Parquet files spell them
    tags: dict[str, Any]
    settings: dict[str, Any]  # settings of a trained system
    member: str  # system that owns the checkpoint; empty for a mean and for a system that is not trained


def record_results(config: AlignCapConfig, results: Path) -> None:
    """Write test scores, models and tables to the tracking logs, which `finish_pipeline` imports into the store.

    Scores that equal those of the last run of the same system and corpus make no further run.

    Args:
        config: Configuration with which the pipeline was run.
        results: Folder ``results/{experiment}``; files that are missing in it are left out.
    """
    folder = results / "tables"
    try:
        for tested in _tested(config, results):
            _record(tested, results)
        with tracking.pipeline(config) as run:
            for name, schema in TABLES.items():
                if (folder / f"{name}.parquet").is_file():
                    run.table(name, artifacts.read_rows(folder / f"{name}.parquet", schema))
    except (AlignCapError, OSError, TypeError, ValueError) as error:
        logger.warning("tracking: results are not tracked (%s); the pipeline goes on", error)


def _tested(config: AlignCapConfig, results: Path) -> Iterator[_Tested]:
    """Yield the rows of this configuration's systems and seeds, except those trained again since the table was made.

    Rows that other configurations left in the table already have runs. A pipeline that was asked for another file does
    not renew the table, so a row may be older than its checkpoint.
    """
    table = results / "tables/zero_shot.parquet"
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in artifacts.read_rows(table, "table") if table.is_file() else []:
        found.setdefault((row["system"], row["corpus"]), {})[row["metric"]] = row["value"]
    members = seed_members(config)
    for (name, corpus), metrics in found.items():
        plain = plain_name(name)
        if plain not in config.systems or corpus not in config.corpora:
            continue
        own = {str(seed): member for member, seed in members.get(plain, {}).items()}
        # With several seeds the table has a row for each. If its seeds are others, its mean is another one.
        rows_of_seeds = {other for other, c in found if c == corpus and plain_name(other) == plain != other}
        if rows_of_seeds != ({f"{plain}@{seed}" for seed in own} if len(own) > 1 else set()):
            continue
        seed = name.partition("@")[2] or (next(iter(own)) if len(own) == 1 else "")
        tags = {"stage": STAGE, "system": plain, "corpus": corpus}
        tags |= {"seed": seed} if seed else {"seeds": ", ".join(own)} if own else {}
        member = own.get(seed, "")
        checkpoints = [results / "checkpoints" / trained for trained in ([member] if member else own.values())]
        if any(_is_newer(checkpoint / "system.json", table) for checkpoint in checkpoints):
            logger.info("tracking: %s on %s is not tracked: trained again since the table was made", name, corpus)
            continue
        settings = _settings(config, member or plain, checkpoints[0]) if checkpoints else {}
        yield _Tested(name, corpus, metrics, tags, settings, member)


def _is_newer(path: Path, than: Path) -> bool:
    return path.is_file() and path.stat().st_mtime > than.stat().st_mtime


def _settings(config: AlignCapConfig, system: str, checkpoint: Path) -> dict[str, Any]:
    """Return the training settings recorded in a checkpoint, or the configuration's where none are recorded."""
    described = checkpoint / "system.json"
    if described.is_file():
        stated = json.loads(described.read_text(encoding="utf-8"))
        return {section: stated[section] for section in OVERRIDABLE if section in stated}
    return resolve_system(config, system).model_dump(mode="json", include=set(OVERRIDABLE))


def _record(tested: _Tested, results: Path) -> None:
    checkpoint = results / "checkpoints" / tested.member
    digest = checkpoint_digest(checkpoint) if tested.member else ""
    audio = results / "corpora" / tested.corpus / "audio.parquet"
    corpus_digest = artifacts.file_digest(audio)[:8] if audio.is_file() else ""
    content = _content(tested.metrics, tested.settings, digest, corpus_digest)
    name = f"{tested.name}/{tested.corpus}"
    if tracking.finished_tag(results.name, RULE, name, "content") == content:
        return
    with tracking.tracked(RULE, name, tested.settings, {**tested.tags, "content": content}) as run:
        for metric, value in tested.metrics.items():
            run.metric(1, "test", metric, value)
        if digest:
            run.model(tested.name, checkpoint, digest, tested.corpus, corpus_digest)


def _content(*parts: Mapping[str, Any] | Sequence[Any] | str) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
