"""What every workflow script does first, and what the workflow gives it, as the typed objects that functions take."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import TypeAdapter

from aligncap.errors import AlignCapError

Kind = TypeVar("Kind")
logger = logging.getLogger(__name__)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
JOBS_LOCK = Path("work") / "jobs.lock"


@contextlib.contextmanager
def job(smk: Any) -> Iterator[Given]:
    """A workflow script's work: logged, tracked as a run of its own, an error that the user can mend told in one line.

    Enter it before anything imports torch or numpy: libraries read the thread variables when they are loaded, and
    another number of threads gives other float sums.

    Args:
        smk: what the workflow gives a script: ``rule``, ``log``, ``wildcards``, ``params``, ``output``. The number of
            threads is ``params.compute["threads"]``, 1 without; never what the scheduler has left over.

    Yields:
        what the rule declares, for the function that the script calls.
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
        yield Given(smk)
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


@dataclass(frozen=True)
class By:
    """Whose files a list of a rule's input or output holds: names that a parameter of the rule lists, in that order.

    Args:
        params: the parameter; of two, every name of the first with every name of the second.
    """

    params: tuple[str, ...]

    def __init__(self, *params: str) -> None:
        object.__setattr__(self, "params", params)

    def names(self, params: Any) -> list[Any]:
        """The names, in the order of the files."""
        listed = [[tuple(n) if isinstance(n, list | tuple) else n for n in getattr(params, p)] for p in self.params]
        return listed[0] if len(listed) == 1 else list(itertools.product(*listed))


ByCorpus = Annotated[Mapping[str, Path], By("corpora")]


class Given:
    """What the workflow gives a script, as typed objects: a field takes the input, output or parameter of its name.

    A field of type ``Path | None`` is an input that a configuration may switch off; ``Mapping[…, Path]`` is annotated
    with whose files they are (``By``); a section of the configuration is validated once more.
    """

    def __init__(self, smk: Any) -> None:
        self._smk = smk

    def settings(self, kind: type[Kind]) -> Kind:
        """What the rule depends on beside its files: parameters, and wildcards."""
        return self._filled(kind, self._smk.params, self._smk.wildcards)

    def inputs(self, kind: type[Kind]) -> Kind:
        """What the rule reads."""
        return self._filled(kind, self._smk.input)

    def by(self, param: str, files: Sequence[str]) -> dict[str, Path]:
        """Files of a list, by the names that a parameter lists in the same order."""
        return dict(zip(By(param).names(self._smk.params), map(Path, files), strict=True))

    def outputs(self, kind: type[Kind]) -> Kind:
        """What the rule writes."""
        return self._filled(kind, self._smk.output)

    def _filled(self, kind: type[Kind], *sources: Any) -> Kind:
        values = {}
        for name, hint in get_type_hints(kind, include_extras=True).items():
            source = next((source for source in sources if name in source.keys()), None)  # noqa: SIM118 (not a dict)
            if source is not None:
                values[name] = self._value(hint, getattr(source, name))
        return TypeAdapter(kind).validate_python(values)

    def _value(self, hint: Any, value: Any) -> Any:
        whose = next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, By)), None)
        if whose is not None:
            return dict(zip(whose.names(self._smk.params), value, strict=True)) if value else {}
        if hint == Path | None and not isinstance(value, str):
            return value[0] if value else None
        return value
