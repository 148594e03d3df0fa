"""What every workflow script does first, and how it reads lists of files that belong to named corpora."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from aligncap.errors import AlignCapError

Name = TypeVar("Name")
logger = logging.getLogger(__name__)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
JOBS_LOCK = Path("work") / "jobs.lock"


@contextlib.contextmanager
def job(smk: Any) -> Iterator[None]:
    """A workflow script's work: logged, tracked as a run of its own, an error that the user can mend told in one line.

    Enter it before anything imports torch or numpy: libraries read the thread variables when they are loaded, and
    another number of threads gives other float sums.

    Args:
        smk: what the workflow gives a script: ``rule``, ``log``, ``wildcards``, ``params``, ``output``. The number of
            threads is ``params.compute["threads"]``, 1 without; never what the scheduler has left over.
    """
    threads = smk.params.compute["threads"] if "compute" in smk.params.keys() else 1  # noqa: SIM118 (not a dict)
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    _log_to(Path(smk.log[0]))
    sys.excepthook = _report
    _hold_jobs_lock()
    from aligncap import artifacts  # these load numpy
    from aligncap.tracking import runs as tracking

    params = dict(smk.params.items())
    os.environ[artifacts.CODE_VARIABLE] = params.get("code", "")
    tags = tracking.tags_of(dict(smk.wildcards.items()), params)
    with tracking.stage(smk.rule, "/".join(smk.wildcards), params, tags) as run:
        yield
        for name, files in smk.output.items():
            for number, path in enumerate([files] if isinstance(files, str) else files):
                run.link(name if isinstance(files, str) else f"{name}.{number}", path)


def _log_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(log, mode="w", encoding="utf-8"), logging.StreamHandler()]
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=form, datefmt="%H:%M:%S", handlers=handlers, force=True)
    logging.getLogger("aligncap").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, AlignCapError):
        logger.error("%s", " ".join(str(error).split()))
    elif isinstance(error, KeyboardInterrupt):
        logger.error("interrupted")
    else:
        logger.critical("this is a bug, please report it", exc_info=(kind, error, trace))


def _hold_jobs_lock() -> None:
    """A shared lock for the life of this process, so that a new run sees a job that outlived its run."""
    with contextlib.suppress(OSError):  # a network file system may have no locks
        JOBS_LOCK.parent.mkdir(exist_ok=True)
        descriptor = os.open(JOBS_LOCK, os.O_RDWR | os.O_CREAT, 0o644)  # closed by the end of the process
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def by_name(names: Sequence[Name], paths: Sequence[str]) -> dict[Name, Path]:
    """Files by the corpus or system that each belongs to, in the same order; nothing where the input is off."""
    return dict(zip(names, map(Path, paths), strict=True)) if paths else {}


def only(paths: Sequence[str]) -> Path | None:
    """The file of an input that a configuration may switch off."""
    return Path(paths[0]) if paths else None
