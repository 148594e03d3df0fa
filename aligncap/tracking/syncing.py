"""The import of logs into the store of MLflow: at the end of a pipeline, and by ``make mlflow-sync``.

One import at a time works in a checkout: another one waits, and then finds every run complete.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aligncap.config import AlignCapConfig
from aligncap.errors import AlignCapError
from aligncap.tracking.log import LOGS, URI_VARIABLE, Row, attempts_of, held, read_log, status_of
from aligncap.tracking.runs import log_path, now, parent_uid, unavailable

if TYPE_CHECKING:
    from aligncap.tracking.store import Store

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = 3  # runs that the store did not take, one after the other: it is asked whether it is there


class TrackingError(AlignCapError):
    """The store cannot be written; the rows stay in the logs."""


def finish_pipeline(experiment: str, ok: bool) -> None:
    """Close the pipeline's run, import the rows that the store lacks, and mark stages that never ended as killed.

    A store that is unavailable costs one warning.

    Args:
        experiment: Experiment of the pipeline.
        ok: Whether the pipeline has succeeded.
    """
    uri, uid = os.environ.get(URI_VARIABLE, ""), parent_uid(experiment)
    if not uri or not uid:
        return
    for path in sorted((LOGS / experiment).glob("*.jsonl")):
        for attempt, rows in attempts_of(read_log(path)).items():
            if status_of(rows) is None:
                status = ("FINISHED" if ok else "FAILED") if attempt == uid else "KILLED"
                row = {"kind": "close", "status": status, "time": now(), "uid": attempt}
                with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
    try:
        sync(experiment, uri)
    except TrackingError as error:
        logger.warning("%s", error)


def sync(experiment: str, uri: str) -> int:
    """Import the rows of an experiment's logs that the store lacks.

    Returns:
        The number of runs written.

    Raises:
        TrackingError: The store is unavailable, or refused a run, which keeps no other run out. The next import writes
            what this one could not.
    """
    folder = LOGS / experiment
    parent_log = log_path(experiment, "pipeline", "")
    # Parents come before children, and trainings before the tests of their checkpoints.
    logs = sorted(folder.glob("*.jsonl"), key=lambda p: (p != parent_log, p.name.startswith("test-"), p))
    written = 0
    refused: list[Exception] = []
    in_a_row = 0
    try:
        from aligncap.tracking.store import Store

        with held(folder):
            store = Store(uri, experiment)
            complete = store.complete()
            for uid, rows in (own for path in logs for own in attempts_of(read_log(path)).items()):
                if rows[0]["kind"] != "open" or complete.get(uid) == str(len(rows)):
                    continue
                try:
                    _write(store, rows)
                    written, in_a_row = written + 1, 0
                except Exception as error:
                    refused.append(error)
                    in_a_row += 1
                    if in_a_row == GIVE_UP_AFTER:
                        store.complete()  # raises where the store is down
                        in_a_row = 0
    except Exception as error:  # whatever the store raises
        refused.append(error)
    if refused:
        raise TrackingError(unavailable(refused[0], folder))
    return written


def _write(store: Store, rows: Sequence[Row]) -> None:
    run_id = store.open(rows[0])
    store.write(run_id, rows)
    status = status_of(rows)
    if status is not None:
        store.close(run_id, status, rows[-1]["time"], len(rows))


def main() -> int:
    """Import the logs of every experiment (``python -m aligncap.tracking.syncing``, called by ``make mlflow-sync``).

    Returns:
        The exit status: 1 where rows could not be imported, which one line tells.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    uri = os.environ.get(URI_VARIABLE) or AlignCapConfig.model_fields["tracking"].default.uri
    failed: list[str] = []
    for folder in sorted(LOGS.glob("*/")):
        try:
            logger.info("%s: %d runs written to MLflow", folder.name, sync(folder.name, uri))
        except TrackingError as error:
            failed.append(str(error))
    if failed:
        others = f" (and so do those of {len(failed) - 1} other experiments)" if len(failed) > 1 else ""
        logger.error("%s%s", failed[0], others)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
