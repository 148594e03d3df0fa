"""Tracking: one MLflow run per pipeline run with a child run per stage and live curves; it can never break a stage.

Every row first goes, flushed, to ``work/tracking/{experiment}/{rule}-{name}.jsonl``, and that log is authoritative. A
thread copies it into MLflow while the stage runs. ``syncing`` (end of the pipeline, ``make mlflow-sync``) imports the
rows that the store lacks, because it was down or because the stage was too short to import MLflow.

A run is identified by a uid in its log. A stage that was killed and starts again with the same settings continues its
run; after it has finished, or with other settings, it gets a new one.

Tracking is on where ``ALIGNCAP_TRACKING_URI`` and ``ALIGNCAP_EXPERIMENT`` are set, which the workflow does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aligncap.artifacts import write_json
from aligncap.config import AlignCapConfig
from aligncap.systems import plain_name
from aligncap.tracking.log import EXPERIMENT_VARIABLE, URI_VARIABLE, Row, StageLog, attempts_of, read_log, status_of

logger = logging.getLogger(__name__)

# `import mlflow` costs 1-2 s, so only a stage that has a curve or runs long does it; `sync` imports the other logs.
LIVE_AFTER_S = 5.0
LIVE_WITHOUT_CURVE_AFTER_S = 60.0
FLUSH_EVERY_S = 2.0
CLOSE_WITHIN_S = 20.0
MODEL_TAGS = ("system", "seed", "experiment")  # tags that a run shares with its logged model
ROOT = Path("work")
_SECRET = re.compile(r"(^|[._-])(api_?key|key|password|passwd|secret|credentials?|(access|auth|api|hf|bearer)_?token)$")
_USERINFO = re.compile(r"(://)[^/@\s]+@")
_MAX_VALUE = 6000  # characters that MLflow stores of a parameter


def now() -> int:
    """Return the time in milliseconds, as MLflow counts it."""
    return time.time_ns() // 1_000_000


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested settings to ``a.b.c`` -> text, with secret values and ``user:pass@`` replaced by ``***``."""
    found: dict[str, str] = {}
    for key, value in params.items():
        name = re.sub(r"[^\w./ -]", "-", f"{prefix}{key}")
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        elif _SECRET.search(name.lower()):
            found[name] = "***"
        else:
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
            found[name] = _USERINFO.sub(r"\1***@", text)[:_MAX_VALUE]
    return found


def _relative(path: str | Path) -> str:
    """Return a path as text, relative to the project root where it lies below it."""
    absolute = Path(path).absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)


def _file_stem(name: str) -> str:
    return re.sub(r"[^\w.@-]", "-", name)


def log_path(experiment: str, rule: str, name: str) -> Path:
    """Return the path of a stage's log."""
    stem = _file_stem(f"{rule}-{name}" if name else rule)
    return ROOT / "tracking" / experiment / f"{stem}.jsonl"


def _parent_path(experiment: str) -> Path:
    return ROOT / f"mlflow_parent_{experiment}.json"


class _Live(threading.Thread):
    """A thread that copies a stage's log into the store while the stage runs."""

    def __init__(self, log: StageLog, uri: str, experiment: str) -> None:
        super().__init__(name="tracking", daemon=True)
        self._log, self._uri, self._experiment = log, uri, experiment
        self._done = threading.Event()
        self._store: Any = None
        self._run_id = ""
        self._written = 0
        self._failures = 0

    def run(self) -> None:
        """Write new rows at intervals; warn at the first failure and try a few times more."""
        wait, began = LIVE_AFTER_S, time.monotonic()
        while not self._done.wait(wait):
            if self._store is None and not self._log.has_curve():
                wait = FLUSH_EVERY_S
                if time.monotonic() - began < LIVE_WITHOUT_CURVE_AFTER_S:
                    continue
            wait = FLUSH_EVERY_S * (1 + self._failures)
            if not self._write():
                return
        if self._store is not None:
            self._write()

    def _write(self) -> bool:
        try:
            if self._store is None:
                from aligncap.tracking.store import Store

                store = Store(self._uri, self._experiment)
                self._run_id = store.open(self._log.opening)
                self._store = store
            rows = self._log.taken(self._written)
            self._store.write(self._run_id, rows)
            self._written += len(rows)
            if rows and rows[-1]["kind"] == "close":
                self._store.close(self._run_id, rows[-1]["status"], rows[-1]["time"], self._written)
        except Exception as error:  # whatever the store does, the stage goes on
            self._failures += 1
            if self._failures == 1:
                logger.warning(unavailable(error, self._log.path))
            return self._failures < 4
        return True

    def finish(self) -> None:
        """Write the remaining rows, but do not let the stage wait for a store that hangs."""
        self._done.set()
        if self.is_alive():
            self.join(CLOSE_WITHIN_S)


def unavailable(error: Exception, path: Path) -> str:
    """Return the line about a store that cannot be written while the rows of ``path`` wait, without a password."""
    reason = _USERINFO.sub(r"\1***@", " ".join(str(error).split()))[:160]
    uri = _USERINFO.sub(r"\1***@", os.environ.get(URI_VARIABLE, ""))
    default = AlignCapConfig.model_fields["tracking"].default.uri  # which `make mlflow-sync` takes by itself
    own = f"{URI_VARIABLE}={uri} " if uri not in ("", default) else ""
    return f"tracking: store unavailable ({reason}); rows stay in {path}, import them with `{own}make mlflow-sync`"


class Recorder:
    """The interface by which a stage reports. Methods are cheap and never raise; without a log they do nothing."""

    def __init__(self, log: StageLog | None = None) -> None:
        self._log = log

    def _append(self, row: Row) -> None:
        if self._log is None:
            return
        try:
            self._log.append(row)
        except (OSError, TypeError, ValueError) as error:
            log, self._log = self._log, None
            logger.warning("tracking: %s cannot be written (%s); this stage goes on untracked", log.path, error)

    def metric(self, step: int, split: str, metric: str, value: float) -> None:
        """Log one value of the curve ``{split}/{metric}``; ``step`` is 1-based, and NaN stays NaN."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        self._append(
            {"kind": "metric", "step": int(step), "split": split, "metric": metric, "value": number, "time": now()}
        )

    def params(self, params: Mapping[str, Any]) -> None:
        """Log further settings, nested or flat; a key that the run already has keeps its value."""
        self._append({"kind": "params", "params": flat(params), "time": now()})

    def link(self, name: str, path: str | Path) -> None:
        """Record the path of a file that is not copied, such as a checkpoint, as the tag ``link.{name}``."""
        self._append({"kind": "link", "name": name, "path": _relative(path), "time": now()})

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show rows with equal columns as the table ``{name}.json``, in the form of ``mlflow.log_table``."""
        if self._log is None or not rows:
            return
        columns = list(rows[0])
        path = self._log.path.with_suffix("") / f"{_file_stem(name)}.json"
        try:
            write_json({"columns": columns, "data": [[row.get(c) for c in columns] for row in rows]}, path)
        except (OSError, TypeError, ValueError) as error:
            logger.warning("tracking: table %s cannot be written (%s); the stage goes on", name, error)
            return
        self._append({"kind": "table", "path": _relative(path), "time": now()})

    def model(self, name: str, checkpoint: str | Path, digest: str, corpus: str, corpus_digest: str) -> None:
        """Register a checkpoint as a logged model of MLflow, to which the metrics of this run belong.

        Args:
            name: Name of the system.
            checkpoint: Folder of the checkpoint.
            digest: Its ``store.checkpoint_digest``; nothing is registered if the files have another one when the store
                reads them.
            corpus: Corpus on which the metrics were measured.
            corpus_digest: Digest that tells states of the corpus apart; empty where unknown.
        """
        if self._log is not None:
            tags = {key: value for key, value in self._log.opening["tags"].items() if key in MODEL_TAGS}
            self._append({
                "kind": "model", "name": name, "path": _relative(checkpoint), "digest": digest, "tags": tags,
                "corpus": corpus, "corpus_digest": corpus_digest, "time": now(),
            })  # fmt: skip


def tags_of(wildcards: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags by which runs are compared: ``system`` (without seed), ``seed`` and ``corpus``, where they apply.

    Args:
        wildcards: Wildcards of the workflow's job; ``kd@1`` is the system ``kd`` with seed 1.
        params: Settings of the job; their ``seed`` counts where the system's name has none.
    """
    tags = {key: wildcards[key] for key in ("system", "corpus") if key in wildcards}
    seed = str(tags.get("system", "")).partition("@")[2] or params.get("seed")
    if "system" in tags:
        tags["system"] = plain_name(tags["system"])
    return tags if seed is None else {**tags, "seed": seed}


def _opening(rule: str, name: str, params: Mapping[str, Any], tags: Mapping[str, Any] | None, parent: str) -> Row:
    settings = flat(params)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    where = {"stage": rule, "experiment": os.environ.get(EXPERIMENT_VARIABLE, "")}
    tagged = {**where, **flat(tags or {}), "rule": rule, "name": name, "settings": digest}
    run_name = f"{rule}/{name}" if name else rule
    return {
        "digest": digest, "params": settings, "tags": tagged, "parent": parent, "run_name": run_name, "time": now(),
    }  # fmt: skip


def parent_uid(experiment: str) -> str:
    """Return the uid of the pipeline's run, or an empty text where none has started."""
    try:
        return str(json.loads(_parent_path(experiment).read_text(encoding="utf-8"))["uid"])
    except (OSError, ValueError, KeyError):
        return ""


def finished_tag(experiment: str, rule: str, name: str, key: str) -> str:
    """Return a tag of the last run of a stage, or an empty text where that run has not finished or lacks the tag."""
    attempts = list(attempts_of(read_log(log_path(experiment, rule, name))).values())
    finished = bool(attempts) and status_of(attempts[-1]) == "FINISHED"
    return str(attempts[-1][0]["tags"].get(key, "")) if finished else ""


_current: tuple[str, Recorder] | None = None  # the stage that this process runs


@contextlib.contextmanager
def tracked(
    rule: str, name: str, params: Mapping[str, Any], tags: Mapping[str, Any] | None = None
) -> Iterator[Recorder]:
    """Track one stage as a child of the pipeline's run, identified by rule, name and the digest of ``params``.

    A call within a stage of the same rule reuses that stage's recorder, so a function may track itself whether or not a
    workflow script calls it.

    Args:
        rule: Workflow rule.
        name: Text that distinguishes the rule's jobs, such as the system or ``kd/synthetic_de``.
        params: Settings that the stage depends on, nested or flat; secrets are masked before anything is written.
        tags: Further tags of the run, for example ``tags_of``, besides ``stage`` (by default the rule) and
            ``experiment``.

    Yields:
        A recorder, which does nothing where tracking is off. Errors of the body pass through unchanged.
    """
    global _current
    if _current is not None and _current[0] == rule:
        _current[1].params(params)
        yield _current[1]
        return
    uri, experiment = os.environ.get(URI_VARIABLE, ""), os.environ.get(EXPERIMENT_VARIABLE, "")
    log = live = None
    if uri and experiment:
        try:
            path = log_path(experiment, rule, name)
            log = StageLog(path, _opening(rule, name, params, tags, parent_uid(experiment)))
            live = _Live(log, uri, experiment)
            live.start()
        except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
            logger.warning("tracking: %s is not tracked (%s)", rule, error)
    recorder = Recorder(log)
    status, outer = "FAILED", _current
    _current = rule, recorder
    try:
        yield recorder
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        _current = outer
        recorder._append({"kind": "close", "status": status, "time": now()})
        if live is not None and log is not None:
            live.finish()
            log.close()


def _pipeline_log(config: AlignCapConfig) -> StageLog:
    opening = _opening("pipeline", "", config.model_dump(mode="json"), None, "")
    opening["run_name"] = f"{config.experiment}-{opening['digest'][:8]}"
    return StageLog(log_path(config.experiment, "pipeline", ""), opening)


@contextlib.contextmanager
def pipeline(config: AlignCapConfig) -> Iterator[Recorder]:
    """Yield a recorder for the pipeline's run, between ``start_pipeline`` and ``finish_pipeline``."""
    with contextlib.closing(_pipeline_log(config)) as log:
        yield Recorder(log)


def start_pipeline(config: AlignCapConfig) -> None:
    """Open the pipeline's run before any job: create the store, and record the run in ``work/`` as the jobs' parent.

    An interrupted pipeline continues in its run. A store that is unavailable costs one warning.
    """
    if not config.tracking.enabled:
        return
    experiment = config.experiment
    path = log_path(experiment, "pipeline", "")
    try:
        with contextlib.closing(_pipeline_log(config)) as log:
            write_json({"uid": log.uid, "run_name": log.opening["run_name"]}, _parent_path(experiment))
    except (OSError, TypeError, ValueError) as error:
        logger.warning("tracking: %s cannot be written (%s); the pipeline goes on untracked", path, error)
        return
    try:
        from aligncap.tracking.store import Store

        Store(config.tracking.uri, experiment).open(log.opening)
    except Exception as error:
        logger.warning(unavailable(error, path))
