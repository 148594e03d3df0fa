"""The frame of every workflow script: logging, tracking, and the rule's files and parameters as typed objects."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from pydantic import TypeAdapter

from aligncap.devices import take_devices
from aligncap.errors import AlignCapError, RunningError, printable
from aligncap.storage import MAKING, claim, storing

if TYPE_CHECKING:
    from aligncap.artifacts import Shard

Kind = TypeVar("Kind")
logger = logging.getLogger(__name__)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
RUN_LOCK = Path(".snakemake") / "aligncap.lock"
JOBS_LOCK = Path("work") / "jobs.lock"
HELD_VARIABLE = "ALIGNCAP_RUN_IS_HELD"  # the name of the run, set for what the holder of its locks starts
LESS_MEMORY = "fewer jobs at a time (-j 1) or a smaller batch_size need less; the same command goes on where it stopped"


@contextlib.contextmanager
def job(smk: Any) -> Iterator[Given]:
    """Run the body of a workflow script with a log file, a tracking run and one-line messages for the user's errors.

    Enter it before anything imports torch or numpy: libraries read the thread variables when they are loaded, and
    another number of threads gives other float sums. It waits for the GPUs that the rule is to have.

    Args:
        smk: Object that Snakemake gives a script: ``rule``, ``log``, ``wildcards``, ``params``, ``output``, and
            ``resources`` with ``gpu``. The number of threads is ``params.compute["threads"]``, or 1 without it; it
            never depends on the scheduler.

    Yields:
        The rule's files and parameters, for the function that the script calls.
    """
    threads = smk.params.compute["threads"] if "compute" in smk.params.keys() else 1  # noqa: SIM118 (not a dict)
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    sys.excepthook = _report
    log_to(Path(smk.log[0]))
    join_run()
    given = Given(smk)
    take_devices(_gpus(smk, given.processes))
    from aligncap import artifacts  # it loads numpy

    os.environ[artifacts.CODE_VARIABLE] = given.params.get("code", "")
    if given.processes > 1:  # the main one of them reports
        yield given
        return
    with reported(smk):
        yield given


@contextlib.contextmanager
def reported(smk: Any) -> Iterator[Given]:
    """Track a job as one run that links its outputs; the argument and what is yielded are those of ``job``."""
    from aligncap.tracking import runs as tracking

    params = dict(smk.params.items())
    tags = tracking.tags_of(dict(smk.wildcards.items()), params)
    with tracking.tracked(smk.rule, "/".join(smk.wildcards), params, tags) as run:
        yield Given(smk)
        for name, files in smk.output.items():
            for number, path in enumerate([files] if isinstance(files, str) else files):
                run.link(name if isinstance(files, str) else f"{name}.{number}", path)


def _gpus(smk: Any, processes: int) -> int:
    """Return how many GPUs a job is to have: one for each of its processes, if the rule uses any.

    Snakemake lowers what a rule asks for to what the whole run may have.
    """
    granted = int(getattr(getattr(smk, "resources", None), "gpu", 0))
    return max(granted, processes) if granted else 0


class _OneLine(logging.Formatter):
    """Formats each message as one line, so that a file name forges no line of a log; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (a name of logging)
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_to(log: Path, mode: str = "w") -> None:
    """Send the messages of this process to a file, opened in this mode, and to stderr, each as one line."""
    logging.raiseExceptions = False  # a log that no longer fits on the disk costs a job nothing
    with storing(log, MAKING):
        log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log, mode, encoding="utf-8", errors="backslashreplace")
    handlers: list[logging.Handler] = [file, logging.StreamHandler()]
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    for handler in handlers:
        handler.setFormatter(_OneLine(form, "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("aligncap").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if line := line_of(error):
        logger.error("%s", line)
    else:
        logger.critical("this is a bug, please report it", exc_info=(kind, error, trace))


def line_of(error: BaseException) -> str | None:
    """Return the one line about an error that the user can mend, or None for a bug."""
    if isinstance(error, AlignCapError):
        return " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if _lacks_memory(error):
        return f"out of memory ({' '.join(str(error).split())[:160] or type(error).__name__}); {LESS_MEMORY}"
    return None


def _lacks_memory(error: BaseException) -> bool:
    """Return whether memory was refused: by Python, NumPy or Arrow, by torch on a GPU, or in words of the system."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "allocate memory" in str(error)


def hold_run(results: Path | None) -> tuple[int, ...]:
    """Keep every other run out of this checkout and, where it is given, of an experiment's results.

    Plain ``snakemake`` calls this as well as ``tools/run_pipeline.py``. Snakemake's own locks are not enough: they
    outlive a kill, let a run for other targets in, and do not reach another checkout that shares the folder.

    Args:
        results: Folder of the experiment, which is made where it is missing; None for a run that makes nothing.

    Returns:
        Descriptors of the locks, which hold them until this process and those that inherit them have ended.

    Raises:
        RunningError: Another run is at work there, or a job that outlived its run.
        StorageError: A lock cannot be made.
    """
    if (checkout := claim(RUN_LOCK)) is None:
        raise RunningError("another run of this checkout is at work; wait for it or stop it")
    try:
        if (jobs := claim(JOBS_LOCK)) is None:
            raise RunningError(
                "a job of an earlier run, whose Snakemake is gone, is still at work; "
                "wait for it, or end it ('scancel' on Slurm)"
            )
        try:
            if results is None:
                return (checkout,)
            with storing(results, MAKING):
                results.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=results).close()  # a folder that can only be read is noticed here
            if (folder := claim(results)) is None:
                raise RunningError(
                    f"a run of another checkout is at work in {results.resolve()}; wait for it or stop it"
                )
            with storing(RUN_LOCK):
                os.truncate(checkout, 0)
                os.write(checkout, uuid.uuid4().hex.encode())
                os.fsync(checkout)
        finally:
            os.close(
                jobs
            )  # only now: a job joins either before this run, which is refused then, or after it has a name
    except AlignCapError:
        os.close(checkout)
        raise
    return checkout, folder


def held_run() -> str:
    """Return the name of the run that holds this checkout, or held it last."""
    return RUN_LOCK.read_text(encoding="utf-8")


def join_run() -> None:
    """Hold a shared lock until this process ends, so that a new run notices a job that outlived its own run.

    A job that waited in the queue of a cluster while its Snakemake was killed and another run began is refused: the new
    run has a job of its own for the same files.

    Raises:
        RunningError: The run that started this process is gone, and another one has begun.
    """
    with contextlib.suppress(OSError):  # a network file system may have no locks
        JOBS_LOCK.parent.mkdir(exist_ok=True)
        descriptor = os.open(JOBS_LOCK, os.O_RDWR | os.O_CREAT, 0o644)  # closed by the end of the process
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # which a run that is starting keeps for itself for a moment
    own = os.environ.get(HELD_VARIABLE)
    if own and RUN_LOCK.is_file() and held_run() != own:  # without a shared disk there is no file
        raise RunningError("the run that submitted this job is gone and another one has begun; this job does nothing")


@dataclass(frozen=True)
class By:
    """Names for the files in a list of a rule's input or output, taken from parameters of the rule in the same order.

    Args:
        params: Parameters that list the names. Two parameters stand for every pair of a first and a second name.
    """

    params: tuple[str, ...]

    def __init__(self, *params: str) -> None:
        object.__setattr__(self, "params", params)

    def keyed(self, params: Any, files: Sequence[str]) -> dict[Any, Path]:
        """Return the files by their names."""
        listed = [[tuple(n) if isinstance(n, list | tuple) else n for n in getattr(params, p)] for p in self.params]
        names = listed[0] if len(listed) == 1 else list(itertools.product(*listed))
        return dict(zip(names, map(Path, files), strict=True))


ByCorpus = Annotated[Mapping[str, Path], By("corpora")]


class Given:
    """The files and parameters of a rule as typed objects, whose fields are filled by name.

    A field of type ``Path | None`` is an input that a configuration may switch off. A ``Mapping[…, Path]`` is annotated
    with ``By``, which gives its keys. A section of the configuration is validated once more.
    """

    def __init__(self, smk: Any) -> None:
        self._smk = smk
        self.params: dict[str, Any] = dict(smk.params.items())
        self.launch: dict[str, Any] = self.params.get("launch", {"processes": 1})
        self.processes: int = self.launch["processes"]
        self.log = Path(smk.log[0])

    def handed(self) -> dict[str, Any]:
        """Return what other processes make the same object of, as values that JSON can hold."""
        parts = {part: dict(getattr(self._smk, part).items()) for part in ("input", "output", "params", "wildcards")}
        return {"rule": self._smk.rule, "log": [str(self.log)], **parts}

    def settings(self, kind: type[Kind]) -> Kind:
        """Fill ``kind`` from the rule's parameters and wildcards."""
        return self._filled(kind, self._smk.params, self._smk.wildcards)

    def inputs(self, kind: type[Kind]) -> Kind:
        """Fill ``kind`` from the rule's input files."""
        return self._filled(kind, self._smk.input)

    @property
    def shard(self) -> Shard:
        """Shard that the job makes, from the wildcard that Snakemake's ``scattergather`` gives it; else the whole."""
        from aligncap.artifacts import WHOLE, Shard

        name = dict(self._smk.wildcards.items()).get("scatteritem")
        return WHOLE if name is None else Shard.named(name)

    def by(self, param: str, files: Sequence[str]) -> dict[str, Path]:
        """Return the files of a list, keyed by the names that the parameter ``param`` lists in the same order."""
        return By(param).keyed(self._smk.params, files)

    def outputs(self, kind: type[Kind]) -> Kind:
        """Fill ``kind`` from the rule's output files."""
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
            return whose.keyed(self._smk.params, value) if value else {}
        if hint == Path | None and not isinstance(value, str):
            return value[0] if value else None
        return value
