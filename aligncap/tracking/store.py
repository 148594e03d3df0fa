"""The store of MLflow: the only module that talks to it, which writes rows of logs and looks up runs.

Everything here may raise, and ``tracking.runs`` catches it. Writing the same rows again changes nothing: MLflow keeps
one value for equal (run, key, step, timestamp, value), and parameters are only added.

Artifacts of a SQLite store lie beside it in ``artifacts/{experiment}/{run}/artifacts`` and are stored under an
``mlflow-artifacts:`` address, so that no absolute path enters the store and the folder may move (``make mlflow`` serves
them from there).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from aligncap.tracking.log import EXPERIMENT_VARIABLE, LOGS, UID_TAG, URI_VARIABLE, attempts_of, read_log

logger = logging.getLogger(__name__)

TRAINED_FILES = ("adapter.safetensors", "lora.safetensors", "system.json")  # files from which a captioner is loaded
ADDRESS = "mlflow-artifacts:/"  # of artifacts beside a SQLite store
SERVED_AT = "http://127.0.0.1:5000"  # `make mlflow`
ROWS_TAG = "aligncap.rows"
_BATCH = 900  # MLflow takes 1000 metrics, 100 parameters and 100 tags a request
_FEW = 100


def _database(uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for another kind of store."""
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)) if uri.startswith(prefix) else None


@contextlib.contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Hold the store's lock file, because processes that create or migrate a SQLite store together would ruin it."""
    database = _database(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _metric_name(name: str) -> str:
    """Return a metric's name with the characters that MLflow allows: ``kd@1`` becomes ``kd-1``."""
    return re.sub(r"[^\w/. :-]", "-", name)


def _quiet() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


class Store:
    """One experiment in a tracking store, created on first use, by one process at a time."""

    def __init__(self, uri: str, experiment: str) -> None:
        _quiet()
        import mlflow

        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        database = _database(uri)
        self._artifacts = database.parent / "artifacts" if database else None
        with _one_at_a_time(uri):  # the client's constructor makes or migrates the tables
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                location = f"{ADDRESS}{experiment}" if database else None
                self._experiment = self._client.create_experiment(experiment, artifact_location=location)
            else:
                self._experiment = found.experiment_id
                if found.lifecycle_stage == "deleted":
                    self._client.restore_experiment(self._experiment)

    @property
    def experiment_id(self) -> str:
        """Id of the experiment in this store."""
        return str(self._experiment)

    def find(self, uid: str) -> Any:
        """Return the run with this uid, or None."""
        found = self._client.search_runs([self._experiment], f"tags.`{UID_TAG}` = '{uid}'", max_results=1)
        return found[0] if found else None

    def complete(self) -> dict[str, str]:
        """Return, for each uid, the number of log rows that its run held when it was last written completely."""
        rows: dict[str, str] = {}
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            rows |= {r.data.tags[UID_TAG]: r.data.tags.get(ROWS_TAG, "") for r in page if UID_TAG in r.data.tags}
            token = page.token
            if not token:
                return rows

    def open(self, row: Mapping[str, Any]) -> str:
        """Return the id of the run of an ``open`` row: reopened if it exists, else created below its parent."""
        run = self.find(row["uid"])
        if run is not None:
            run_id: str = run.info.run_id
            if run.info.status != "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            return run_id
        tags = {**row["tags"], UID_TAG: row["uid"]}
        name, started = row["run_name"], row["time"]
        parent = self.find(row["parent"]) if row["parent"] else None
        if parent is not None:
            tags["mlflow.parentRunId"] = parent.info.run_id
        made = self._client.create_run(self._experiment, start_time=started, tags=tags, run_name=name)
        run_id = made.info.run_id
        self._parameters(run_id, row["params"])
        return run_id

    def write(self, run_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``metric``, ``params``, ``link`` and ``table`` rows, and ignore others."""
        from mlflow.entities import Metric, RunTag

        metrics = [
            Metric(_metric_name(f"{row['split']}/{row['metric']}"), row["value"], row["time"], row["step"])
            for row in rows
            if row["kind"] == "metric"
        ]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        links = [RunTag(f"link.{row['name']}", row["path"]) for row in rows if row["kind"] == "link"]
        for start in range(0, len(links), _FEW):
            self._client.log_batch(run_id, tags=links[start : start + _FEW])
        for row in rows:
            if row["kind"] == "params":
                self._parameters(run_id, row["params"])
            elif row["kind"] == "table":
                self._artifact(run_id, Path(row["path"]))
        self._tables(run_id, [Path(row["path"]).name for row in rows if row["kind"] == "table"])

    def close(self, run_id: str, status: str, time: int, n_rows: int) -> None:
        """End a run, and note that all ``n_rows`` rows of its log have been written."""
        self._client.set_tag(run_id, ROWS_TAG, str(n_rows))
        self._client.set_terminated(run_id, status=status, end_time=time)

    def _parameters(self, run_id: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        known = self._client.get_run(run_id).data.params if params else {}
        new = [Param(key, value) for key, value in sorted(params.items()) if key not in known]
        for start in range(0, len(new), _FEW):
            self._client.log_batch(run_id, params=new[start : start + _FEW])

    def _tables(self, run_id: str, names: Sequence[str]) -> None:
        """Mark artifacts as tables in the way of ``mlflow.log_table``, which would append to an existing table."""
        from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

        if not names:
            return
        marked = json.loads(self._client.get_run(run_id).data.tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]"))
        marked += [mark for name in names if (mark := {"path": name, "type": "table"}) not in marked]
        self._client.set_tag(run_id, MLFLOW_LOGGED_ARTIFACTS, json.dumps(marked))

    def _artifact(self, run_id: str, path: Path) -> None:
        if not path.is_file():
            return
        address = self._client.get_run(run_id).info.artifact_uri
        if self._artifacts is None or not address.startswith(ADDRESS):
            self._client.log_artifact(run_id, str(path))
            return
        target = self._artifacts / address.removeprefix(ADDRESS).lstrip("/") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def checkpoint_digest(folder: Path) -> str:
    """Return a digest of a checkpoint's trained files: 8 hexadecimal digits, or "" where a file is missing."""
    digest = hashlib.sha256()
    for path in (folder / name for name in TRAINED_FILES):
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:8]


class TrackedRun(NamedTuple):
    """The run that made a file."""

    name: str  # rule and name of the job: "train_alignment/kd"
    uid: str  # tag aligncap.uid, by which MLflow finds it
    address: str  # page of MLflow that lists the run; empty where the store is unavailable


def runs_by_file() -> dict[str, TrackedRun]:
    """Return, for each file relative to the project root, the last run that linked it; empty where tracking is off.

    An address is a search for the run's uid, because short stages enter the store only at the end of the pipeline and
    the search holds before and after that.
    """
    uri, experiment = os.environ.get(URI_VARIABLE, ""), os.environ.get(EXPERIMENT_VARIABLE, "")
    made: dict[str, tuple[str, str]] = {}
    for path in sorted((LOGS / experiment).glob("*.jsonl")) if uri and experiment else []:
        for uid, rows in attempts_of(read_log(path)).items():
            if rows[0]["kind"] != "open":
                continue
            made |= {row["path"]: (rows[0]["run_name"], uid) for row in rows if row["kind"] == "link"}
    page = _experiment_page(uri, experiment) if made else ""
    return {file: TrackedRun(name, uid, _search(page, uid)) for file, (name, uid) in made.items()}


def _experiment_page(uri: str, experiment: str) -> str:
    """Return the address of the experiment's runs on the store's server, or "" with a warning where there is none."""
    try:
        number = Store(uri, experiment).experiment_id
    except Exception as error:  # whatever the store does, the report goes on
        logger.warning("no links to MLflow runs: store unavailable (%s)", type(error).__name__)
        return ""
    served = re.sub(r"(://)[^/@\s]+@", r"\1", uri.rstrip("/")) if uri.startswith("http") else SERVED_AT
    return f"{served}/#/experiments/{number}/runs"


def _search(page: str, uid: str) -> str:
    wanted = quote(f"tags.`{UID_TAG}` = '{uid}'")
    return f"{page}?searchFilter={wanted}" if page else ""
