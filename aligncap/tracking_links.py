"""Which tracked run made a file, and where MLflow shows it: what a reader needs to get from a number to its run."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from aligncap.tracking import EXPERIMENT_VARIABLE, URI_VARIABLE
from aligncap.tracking_log import attempts_of, read_log

logger = logging.getLogger(__name__)

LOGS = Path("work") / "tracking"
UID_TAG = "aligncap.uid"
SERVED_AT = "http://127.0.0.1:5000"  # `make mlflow`


class TrackedRun(NamedTuple):
    """A run that made a file."""

    name: str  # rule, and what of: "train_alignment/kd"
    uid: str  # tag aligncap.uid, by which MLflow finds it
    address: str  # page of MLflow that lists it; empty where the store cannot be had


def runs_by_file() -> dict[str, TrackedRun]:
    """File, relative to the project root -> the last run that linked it; nothing where tracking is off.

    A run may not be in the store yet: short stages enter it at the end of the pipeline. So an address is a search for
    the run's uid, which holds before and after.
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
    """Address of the experiment's runs in the server of a store; empty, with a warning, where there is none."""
    from aligncap.mlflow_store import Store

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
