"""Snakemake's logger plugin `aligncap`: what a run does, as lines of JSON in a pipe to tools/run_pipeline.py.

It shows nothing itself. The process at the other end of the pipe owns the terminal, and still does when this one is
killed. Snakemake goes on writing its own text to stderr.
"""

import json
import logging
import os
from dataclasses import dataclass, field
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings of the plugin: `--logger-aligncap-pipe`."""

    pipe: int | None = field(
        default=None, metadata={"help": "Open descriptor that events are written to", "type": int, "required": True}
    )


def event_of(record: logging.LogRecord) -> dict[str, Any] | None:
    """What there is to tell of a record of Snakemake's, None where that is nothing."""
    kind = getattr(record, "event", None)
    if kind == LogEvent.WORKFLOW_STARTED:
        return {"kind": "start"}
    if kind == LogEvent.RUN_INFO:
        return {"kind": "plan", "jobs": {rule: n for rule, n in vars(record)["stats"].items() if rule != "total"}}
    if kind == LogEvent.JOB_INFO:
        return {"kind": "job", **_job(record), "minutes": vars(record)["resources"].get("runtime")}
    if kind == LogEvent.JOB_FINISHED:
        return {"kind": "done", "id": vars(record)["job_id"]}
    if kind == LogEvent.JOB_ERROR:
        return {"kind": "failed", **_job(record)}
    if record.levelno >= logging.ERROR:
        return {"kind": "error", "text": str(record.msg).strip(), "exception": vars(record).get("exception", "")}
    if record.levelno >= logging.WARNING:
        return {"kind": "warning", "text": str(record.msg).strip()}
    return None


def _job(record: logging.LogRecord) -> dict[str, Any]:
    told = vars(record)
    wildcards = told.get("wildcards") or {}  # an error does not repeat them
    return {
        "id": told["jobid"],
        "rule": told["rule_name"],
        "wildcards": {name: str(value) for name, value in wildcards.items()},
        "log": [str(path) for path in told["log"]],
    }


class LogHandler(LogHandlerBase):
    """Writes events to the pipe, one line of JSON each; nothing of a dry run, whose text is what was asked for."""

    def __post_init__(self) -> None:
        """Keep the pipe from jobs: it has to end with this process even if they outlive it."""
        self.pipe: int | None = None
        if isinstance(self.settings, LogHandlerSettings) and not self.common_settings.dryrun:
            self.pipe = self.settings.pipe
        if self.pipe is not None:
            os.set_inheritable(self.pipe, False)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record; without a reader the run goes on untold."""
        try:
            told = event_of(record)
            if told is not None and self.pipe is not None:
                line = json.dumps({**told, "time": record.created}) + "\n"
                os.write(self.pipe, line.encode())
        except BrokenPipeError:
            self.pipe = None
        except Exception:
            self.handleError(record)

    @property
    def writes_to_stream(self) -> bool:
        """No: Snakemake's own handler goes on, its text is the log file."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """No: a pipe is no log file for Snakemake to name at the end."""
        return False

    @property
    def has_filter(self) -> bool:
        """Yes, none: Snakemake's would heed `--quiet`, which is about its own text."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Yes: JSON."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No."""
        return False
