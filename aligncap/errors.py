"""What the user can mend. Each message is one line: what, where, the value got, the remedy."""


class AlignCapError(Exception):
    """Base of every error that the user can mend; command lines print it without a traceback."""


class ConfigError(AlignCapError):
    """A key of the config is unknown, of another type, out of bounds, or contradicts another."""


class ArtifactError(AlignCapError):
    """An artifact is missing, of another schema, or does not hold what its schema declares."""


class BusyError(AlignCapError):
    """Another run of the pipeline, or a job that outlived its run, works on the same files."""


class StorageError(AlignCapError, OSError):
    """A file cannot be stored: the disk is full, or it or the folder can only be read."""


class AudioError(AlignCapError):
    """A file is not audio that can be used: empty, silent, corrupt, too long, NaN."""


class CorpusError(AlignCapError):
    """A corpus does not have the layout, columns or values that its adapter expects."""


class ModelError(AlignCapError):
    """Weights cannot be had, or are not what their checksum or their role says."""


class JudgeError(AlignCapError):
    """A judge cannot score: no key, an endpoint that refuses or fails, answers that cannot be read."""


class MetricError(AlignCapError):
    """A metric cannot be computed here, for example because Java is missing."""
