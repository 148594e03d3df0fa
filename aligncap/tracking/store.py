"""The store of MLflow: the only module that talks to it, which writes rows of logs and looks up runs.

Everything here may raise, and ``tracking.runs`` and ``tracking.syncing`` catch it. Writing the same rows again changes
nothing: MLflow keeps one value for equal (run, key, step, timestamp, value), and parameters are only added.

Artifacts of a SQLite store lie beside it in ``artifacts/{experiment}/{run}/artifacts`` and are stored under an
``mlflow-artifacts:`` address, so that no absolute path enters the store and the folder may move (``make mlflow`` serves
them from there).

A logged model of MLflow, which `mlflow models serve` runs, holds copies of adapter and LoRA and of ``system.json``, a
few megabytes. The base models are not copied but named in its metadata.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from aligncap.tracking.log import EXPERIMENT_VARIABLE, LOGS, UID_TAG, URI_VARIABLE, attempts_of, held, read_log

logger = logging.getLogger(__name__)

TRAINED_FILES = ("adapter.safetensors", "lora.safetensors", "system.json")  # files from which a captioner is loaded
LOADER = "aligncap.serving.mlflow_model"
SERVED_AT = "http://127.0.0.1:5000"  # `make mlflow`
INPUTS = ("audio", "path", "language")
ROWS_TAG = "aligncap.rows"
CHECKPOINT_TAG = "aligncap.checkpoint"
_BATCH = 900  # MLflow takes 1000 metrics, 100 parameters and 100 tags a request
_FEW = 100


def _database(uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for another kind of store."""
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)) if uri.startswith(prefix) else None


def _one_at_a_time(uri: str) -> contextlib.AbstractContextManager[None]:
    """Hold the store's lock.

    Processes that create or migrate a SQLite store together would ruin it, and those that look for a run or a model and
    then make it would make two. What writes into a store on a server shares the logs, and so their folder's lock.
    """
    database = _database(uri)
    return held(database.parent if database else LOGS)


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
        self._uri, database = uri, _database(uri)
        self._artifacts = database.parent / "artifacts" if database else None
        with _one_at_a_time(uri):  # the client's constructor makes or migrates the tables
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                location = f"mlflow-artifacts:/{experiment}" if database else None
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
        with _one_at_a_time(self._uri):
            return self._opened(row)

    def _opened(self, row: Mapping[str, Any]) -> str:
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
        """Write ``metric``, ``params``, ``link``, ``table`` and ``model`` rows, and ignore others.

        Where there is a ``model`` row, the metrics also belong to that model, on the corpus that the row names.
        """
        from mlflow.entities import Metric, RunTag

        measured: dict[str, str] = {}
        for row in rows:
            if row["kind"] != "model":
                continue
            with _one_at_a_time(self._uri):
                model_id = self._model(run_id, row)
            if model_id:
                data = {"dataset_name": row["corpus"], "dataset_digest": row["corpus_digest"]}
                measured = {"model_id": model_id, **(data if row["corpus_digest"] else {})}
        metrics = [
            Metric(_metric_name(f"{row['split']}/{row['metric']}"), row["value"], row["time"], row["step"], **measured)
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

    def _model(self, run_id: str, row: Mapping[str, Any]) -> str:
        """Return the id of a checkpoint's logged model, creating it if needed; "" where the files have changed.

        Its source is the run that trained it, if the store knows it; the run ``run_id`` has the model as an input.
        """
        from mlflow.entities import LoggedModelInput, LoggedModelOutput, LoggedModelStatus

        checkpoint, digest = Path(row["path"]), row["digest"]
        known = self._client.search_logged_models(
            [self._experiment], filter_string=f"tags.`{CHECKPOINT_TAG}` = '{digest}'"
        )
        model = next((m for m in known if m.status == LoggedModelStatus.READY), None)
        if model is None:
            if checkpoint_digest(checkpoint) != digest:
                return ""
            for unfinished in known:  # left by a process that was killed
                self._client.delete_logged_model(unfinished.model_id)
            source = self._trained(checkpoint) or run_id
            model = self._client.create_logged_model(
                self._experiment,
                name=row["name"].replace("@", "-"),
                source_run_id=source,
                tags={**row["tags"], CHECKPOINT_TAG: digest},
            )
            with tempfile.TemporaryDirectory(prefix="aligncap-") as scratch:
                folder = Path(scratch) / "model"
                save_served(checkpoint, folder, model.model_id, source)
                self._model_files(model, folder)
            self._client.log_outputs(source, [LoggedModelOutput(model.model_id, 0)])
            self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        self._client.log_inputs(run_id, models=[LoggedModelInput(model.model_id)])
        return str(model.model_id)

    def _trained(self, checkpoint: Path) -> str:
        """Return the id of the last run that linked the checkpoint's ``system.json``, or "" where there is none."""
        wanted = f"tags.`link.system` = '{checkpoint / 'system.json'}'"
        found = self._client.search_runs([self._experiment], wanted, order_by=["start_time DESC"], max_results=1)
        return str(found[0].info.run_id) if found else ""

    def _model_files(self, model: Any, folder: Path) -> None:
        target = self._beside(model.artifact_location)
        if target is None:
            self._client.log_model_artifacts(model.model_id, str(folder))
        else:
            shutil.copytree(folder, target, dirs_exist_ok=True)

    def _beside(self, address: str) -> Path | None:
        """Return the folder of an artifact address that lies beside a SQLite store, or None for another address."""
        prefix = "mlflow-artifacts:/"
        if self._artifacts is None or not address.startswith(prefix):
            return None
        return self._artifacts / address.removeprefix(prefix).lstrip("/")

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
        folder = self._beside(self._client.get_run(run_id).info.artifact_uri)
        if folder is None:
            self._client.log_artifact(run_id, str(path))
            return
        target = folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except OSError:  # another file system
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


def save_served(checkpoint: Path, folder: Path, model_id: str, run_id: str) -> None:
    """Write a checkpoint in the layout that `mlflow models serve` reads.

    Args:
        checkpoint: Folder with adapter, LoRA and ``system.json``.
        folder: Target folder, which must not exist.
        model_id: Id of the logged model to which the files belong.
        run_id: Id of the run that made the model.

    Raises:
        OSError: A file is missing, or the folder cannot be written.
    """
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    system = json.loads((checkpoint / "system.json").read_text(encoding="utf-8"))
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, name, required=False) for name in INPUTS]),
        params=ParamSchema([ParamSpec("max_new_tokens", DataType.long, 40)]),
    )
    with tempfile.TemporaryDirectory(prefix="aligncap-") as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example")  # it would be a recording, and load the model
        data = Path(scratch) / "checkpoint"
        data.mkdir()
        for name in TRAINED_FILES:
            shutil.copyfile(checkpoint / name, data / name)
        pyfunc.save_model(
            folder,
            loader_module=LOADER,
            data_path=str(data),
            mlflow_model=Model(model_id=model_id, run_id=run_id),
            signature=signature,
            pip_requirements=[f"aligncap=={version('aligncap')}"],  # without it MLflow would load the model to find out
            metadata={
                "system": system["system"],
                "experiment": system.get("experiment", ""),
                "checkpoint": checkpoint_digest(checkpoint),
                "base_models": system["models"],
            },
        )


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
