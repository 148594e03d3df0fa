"""Adapter ``webdataset``: tar shards in which the files of one clip share a name: ``0001.flac``, ``0001.json``.

The format is that of the library webdataset: the key is the name up to the first dot of its last part, the rest is the
kind. No clip is unpacked under its name in a shard: used clips are written beside the corpus under a number that we
give them. Links are not followed, sizes are checked before anything is read, and kinds of data other than audio, JSON
and text are not read at all, pickles among them.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aligncap.corpora.base import BadRow, Row, Utterance, display, each_row, parse_object, refuse_pointer
from aligncap.corpora.manifest import map_columns, read_clip
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError

AUDIO = ("wav", "flac", "mp3", "ogg", "opus", "m4a")
TEXTS = ("json", "txt")
MAX_TEXT = 1 << 20  # most bytes of a .json or .txt
MAX_AUDIO = 1 << 30  # most bytes of a clip: 90 minutes of 24-bit stereo at 32 kHz
UNREADABLE = (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, EOFError)  # what broken headers raise


@dataclass
class _Sample:
    """The files of one clip, which share a key."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)
    audio: tarfile.TarInfo | None = None
    problem: str | None = None


class WebDataset:
    """The adapter of tar shards."""

    traits = Traits(one_data_set=False)

    def __init__(self, root: Path, columns: Mapping[str, str], folder: Path) -> None:
        """Read the descriptions of the clips in the shards; audio is read only when it is needed.

        Args:
            root: Shard, or folder of the shards (``*.tar``, in the order of their names).
            columns: Our column name -> a key of the ``.json`` files, or ``txt``, the text of the ``.txt`` files, which
                is the transcript unless something else is mapped to it.
            folder: Folder to which the used clips are written.

        Raises:
            CorpusError: There is no shard, none is a tar archive, or no clip has a column.
        """
        self.shards = [root] if root.is_file() else sorted(path for path in root.glob("**/*.tar") if path.is_file())
        if not self.shards:
            raise CorpusError(f"{display(root)}: no .tar below it; set 'root' to a shard, or to the shards' folder")
        read = {shard: _samples(shard) for shard in self.shards}
        self.samples = [(shard, sample) for shard, (samples, _) in read.items() for sample in samples]
        counted = Counter(sample.key for _, sample in self.samples)
        self.own_keys = max(counted.values(), default=0) < 2  # otherwise shards count their clips each for itself
        self.broken = [BadRow(shard.stem, "", problem) for shard, (_, problem) in read.items() if problem]
        if self.broken and not self.samples:
            raise CorpusError(self.broken[0].reason)
        self.folder = folder
        found = {name for _, sample in self.samples for name in sample.values}
        if missing := sorted(set(columns.values()) - found):
            raise CorpusError(
                f"{display(root)}: no clip has {missing[0]!r}; there are {', '.join(sorted(found)) or 'none'}"
            )
        defaults = {} if "transcript" in found or "txt" in columns.values() else {"transcript": "txt"}
        self.columns = map_columns(defaults | dict(columns), found)
        self.columns.pop("audio_path", None)
        self.has_captions = "caption" in self.columns

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip, shard by shard, and then the shards that could not be read to their end."""
        for number, (shard, sample) in enumerate(self.samples):
            row = Row(f"{display(shard)}: {sample.key}", sample.values, sample.problem)
            yield from each_row([row], partial(self._read, number, shard, sample))
        yield from self.broken

    def _read(self, number: int, shard: Path, sample: _Sample, row: Row) -> Utterance:
        if sample.audio is None:
            raise ValueError(f"no audio, expected one of .{', .'.join(AUDIO)}; write the shard again")
        path = self.folder / f"{number:07d}.{sample.audio.name.rpartition('.')[2].lower()}"
        key = sample.key if self.own_keys else f"{shard.stem}/{sample.key}"
        return read_clip(row, self.columns, path, key, partial(_audio_of, shard, sample.audio))


def _audio_of(shard: Path, member: tarfile.TarInfo) -> bytes:
    with tarfile.open(shard, "r:") as archive:
        stream = archive.extractfile(member)
        return stream.read() if stream is not None else b""


def _samples(shard: Path) -> tuple[list[_Sample], str | None]:
    """Return the clips of a shard, and why it was not read to its end, or None where it was."""
    samples: dict[str, _Sample] = {}
    try:
        refuse_pointer(shard)
    except OSError as error:
        return [], f"{display(shard)}: cannot be read: {error.strerror or error}"
    try:
        size = shard.stat().st_size
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.size < 0:  # the next header would be looked for before this one, without end
                    raise tarfile.ReadError(f"'{member.name}' has {member.size} bytes")
                folder, _, name = member.name.rpartition("/")
                stem, _, kind = name.partition(".")
                kind = kind.lower()
                if member.isdir() or not stem or kind not in (*AUDIO, *TEXTS):
                    continue  # other kinds of data are ignored
                key = f"{folder}/{stem}".lstrip("./")
                sample = samples.setdefault(key, _Sample(key))
                if problem := _refused(member, size):
                    sample.problem = f".{kind} {problem}"
                elif kind in AUDIO:
                    sample.audio = member
                else:
                    _add_text(sample, kind, archive, member)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = f"the {len(samples)} clips before that are read" if samples else "unpack .tar.gz"
        return list(samples.values()), (
            f"{display(shard)}: not a plain tar archive, or cut ({reason}); {remedy}, or fetch the shard again"
        )
    return list(samples.values()), None


def _refused(member: tarfile.TarInfo, size: int) -> str | None:
    """Return why a member of a shard of ``size`` bytes is not read, or None where it is."""
    if not member.isreg():
        return f"is a link to '{member.linkname}' or no file; links are not followed, so store the file itself"
    if member.issparse():
        return f"is a sparse file of {member.size} bytes; store it as it is (tar without --sparse)"
    if member.size > MAX_AUDIO:
        return f"has {member.size} bytes, at most {MAX_AUDIO} are read; cut the recording"
    if member.offset_data + member.size > size:
        return f"has {member.size} bytes, and the shard ends before; fetch the shard again"
    return None


def _add_text(sample: _Sample, kind: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    stream = archive.extractfile(member)
    data = stream.read(MAX_TEXT + 1) if stream is not None else b""
    try:
        if len(data) > MAX_TEXT:
            raise ValueError(f"more than {MAX_TEXT} bytes")
        text = data.decode("utf-8")
        sample.values |= parse_object(text) if kind == "json" else {"txt": text.strip()}
    except ValueError as error:
        sample.problem = f".{kind} cannot be read ({error}); write the shard again"
