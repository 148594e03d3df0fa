"""What the user can mend. Each message is one line: what, where, the value got, the remedy."""

import re

LONGEST = 2_000  # characters of a message; a header of a table may have a million
# What a terminal obeys, what turns the direction of a line, and what no file in UTF-8 can hold.
_COMMANDS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text as one line that commands no terminal: line ends become blanks, control characters are escaped."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), " ".join(text.splitlines()))


def message(text: str) -> str:
    """Return a text as ``printable`` does, without its middle where it is longer than a person reads."""
    told = printable(text)
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 500]} [...] {told[-400:]}"


def cause(error: BaseException) -> str:
    """Return kind and message of a library's error, in one line, for a message of ours."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


class AlignCapError(Exception):
    """Base of every error that the user can mend; command lines print it without a traceback.

    Args:
        told: What is wrong; names and values of others in it may be long, and hold line ends and control characters.
    """

    def __init__(self, told: object = "") -> None:
        super().__init__(message(str(told)))


class ConfigError(AlignCapError):
    """A key of the config is unknown, of another type, out of bounds, or contradicts another."""


class ArtifactError(AlignCapError):
    """An artifact is missing, of another schema, or does not hold what its schema declares."""


class RunningError(AlignCapError):
    """Another run of the pipeline, or a job that outlived its run, works on the same files."""


class ProcessError(AlignCapError):
    """One of the processes that share a job has failed."""


class StorageError(AlignCapError, OSError):
    """A file cannot be stored: the disk is full, or it or the folder can only be read."""


class AudioError(AlignCapError):
    """A file is not audio that can be used: empty, silent, corrupt, too long, NaN."""


class CorpusError(AlignCapError):
    """A corpus does not have the layout, columns or values that its adapter expects."""


class ModelError(AlignCapError):
    """Weights cannot be had, or are not what their checksum or their role says."""


class EngineError(AlignCapError):
    """The program that samples captions is not there, does not start, refuses, or answers what cannot be used."""


class JudgeError(AlignCapError):
    """A judge cannot score: no key, an endpoint that refuses or fails, answers that cannot be read."""


class MetricError(AlignCapError):
    """A metric cannot be computed here, for example because Java is missing."""
