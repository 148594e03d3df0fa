"""Adapter ``huggingface``: a data set in a form that the library ``datasets`` reads, on disk or on a hub.

On disk it is a folder from ``save_to_disk``, or a folder of Parquet or CSV files that ``load_dataset`` knows. A folder
of audio files is read only where torchcodec is installed; its metadata.csv is a manifest, which needs none. On a hub it
is ``hf://org/name@revision``, or ``hf://org/name@revision#subset``; a revision is required, or results would change
with the hub. No code of a data set is run (``datasets`` 4 and later cannot), no pickle is loaded, and audio is not
decoded by that library. Audio that a data set names by a path is read where it lies: a relative path inside the data
set's folder only, an absolute one from a folder only, not from a hub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aligncap.corpora.base import BadRow, Row, Utterance, display, each_row, refuse_pointer
from aligncap.corpora.manifest import map_columns, read_clip
from aligncap.corpora.traits import Traits
from aligncap.errors import AudioError, CorpusError

HUB = "hf://"
NO_CLASS = -1  # how ``datasets`` writes that a row has no label


class HuggingFace:
    """The adapter of a data set of the library ``datasets``."""

    traits = Traits(one_data_set=False)

    def __init__(self, root: str, split: str | None, columns: Mapping[str, str], folder: Path) -> None:
        """Open the data set; audio is read only when it is needed.

        Args:
            root: Folder, or address on a hub.
            split: Split such as ``train`` or ``train[:100]``; None stands for all splits.
            columns: Our column name -> the data set's; ``audio_path`` is its audio column, by default ``audio``.
            folder: Folder to which the used clips are written.

        Raises:
            CorpusError: ``datasets`` cannot read it, or a split or column is missing.
        """
        from datasets import Audio

        self.folder, self.root = folder, root
        self.name = root if root.startswith(HUB) else display(root)
        self.audio = columns.get("audio_path", "audio")
        self.splits = {}
        for name, data in _load(root, split, self.name).items():
            if missing := sorted({self.audio, *columns.values()} - set(data.column_names)):
                raise CorpusError(f"{self.name}: no column {missing[0]!r}; it has {', '.join(data.column_names)}")
            try:
                self.splits[name] = data.cast_column(self.audio, Audio(decode=False))
            except Exception as error:  # the library raises many kinds
                raise CorpusError(
                    f"{self.name}: column {self.audio!r} is no audio ({_line(error)}); map audio_path"
                ) from error
        found = {name for data in self.splits.values() for name in data.column_names}
        self.columns = map_columns(columns, found)
        self.columns.pop("audio_path", None)
        self.has_captions = "caption" in self.columns

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip, split by split."""
        import pyarrow.compute as pc

        paths = {
            split: pc.struct_field(data.data.column(self.audio), "path").to_pylist()
            for split, data in self.splits.items()
        }
        stems = [_stem(path) for own in paths.values() for path in own]
        told = all(stems) and len(set(stems)) == len(stems)  # otherwise they do not identify clips
        first = 0
        for split, data in self.splits.items():
            yield from self._of(split, data, paths[split], first, told)
            first += len(data)

    def _of(
        self, split: str, data: Any, paths: Sequence[str | None], first: int, told: bool
    ) -> Iterator[Utterance | BadRow]:
        known = data.select_columns([name for name in data.column_names if name in {*self.columns.values()}])
        sounds = data.select_columns([self.audio])  # another column of audio would be decoded, which needs torchcodec
        for number in range(len(data)):
            row = Row(f"{self.name}: {split} row {number + 1}", {})
            default = _stem(paths[number]) if told else f"{split}_{number:07d}"
            laid = self.folder / f"{first + number:07d}{_suffix(paths[number])}"
            stored = partial(self._bytes, sounds, number)
            yield from each_row([row], partial(self._read, known, number, laid, default, stored))

    def _read(
        self, known: Any, number: int, laid: Path, default: str, stored: Callable[[], bytes], row: Row
    ) -> Utterance:
        values = known[number] if known.column_names else {}
        for name, kind in known.features.items():
            if hasattr(kind, "int2str") and values[name] is not None:
                values[name] = None if values[name] == NO_CLASS else _class(kind, name, values[name])
        return read_clip(Row(row.where, values), self.columns, laid, default, stored)

    def _bytes(self, data: Any, number: int) -> bytes:
        """Return a clip as the data set holds it, or read it where the data set says that it lies."""
        audio = data[number][self.audio]
        if audio["bytes"] is not None:
            return bytes(audio["bytes"])
        named, where = audio["path"] or "", f"{self.name}: row {number + 1}"
        homes = _caches() if self.root.startswith(HUB) else [Path(self.root)]
        free = Path(named).is_absolute() and not self.root.startswith(HUB)
        places = [home / named for home in homes if free or _inside(home / named, home)]
        if not places:
            raise AudioError(f"{where} names '{named}', which lies outside the data set; store the audio itself")
        if not (file := places[0]).is_file():
            raise AudioError(f"{where} names '{named}', and there is no such file; store the audio itself")
        return file.read_bytes()


def _inside(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _class(kind: Any, column: str, value: int) -> str:
    try:
        return str(kind.int2str(value))
    except (ValueError, TypeError, IndexError):
        raise ValueError(f"'{column}' is {value}, expected a class from 0 to {kind.num_classes - 1}") from None


def _caches() -> list[Path]:
    """Return the folders into which ``datasets`` fetches from a hub."""
    import datasets
    from huggingface_hub import constants

    return [Path(datasets.config.HF_DATASETS_CACHE), Path(constants.HF_HUB_CACHE)]


def _stem(path: str | None) -> str:
    return Path(path).stem if path else ""


def _suffix(path: str | None) -> str:
    suffix = Path(path or "").suffix
    return suffix if suffix[1:].isalnum() else ".wav"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _load(root: str, split: str | None, name: str) -> dict[str, Any]:
    """Return split -> data set."""
    import datasets

    datasets.disable_progress_bars()
    try:
        if root.startswith(HUB):
            address, _, subset = root.removeprefix(HUB).partition("#")
            repository, _, revision = address.partition("@")
            if not revision:
                raise CorpusError(f"{root}: give a revision (hf://org/name@commit), or results may change")
            loaded = datasets.load_dataset(repository, subset or None, split=split, revision=revision)
        elif not Path(root).is_dir():
            raise CorpusError(f"{name}: no such folder; set 'root' to a data set, or to hf://org/name@commit")
        elif any((Path(root) / file).is_file() for file in ("dataset_dict.json", "state.json")):
            loaded = datasets.load_from_disk(root)
            if split is not None:
                loaded = loaded[split]
        else:
            loaded = datasets.load_dataset(root, split=split)
    except CorpusError:
        raise
    except Exception as error:  # the library raises many kinds; all mean that the data are unavailable
        for file in [] if root.startswith(HUB) else sorted(Path(root).rglob("*")):
            if file.is_file():
                try:
                    refuse_pointer(file)
                except OSError as pointer:
                    raise CorpusError(f"{display(file)}: {pointer.strerror or pointer}") from error
        if "torchcodec" in str(error.__cause__):
            raise CorpusError(
                f"{name}: is a folder of audio files, which datasets reads with torchcodec alone; take 'adapter: "
                "manifest' with its metadata.csv as 'root' and columns: {audio_path: file_name}"
            ) from error
        raise CorpusError(f"{name}: cannot be read by datasets: {_line(error)}; correct 'root' or 'split'") from error
    return dict(loaded) if isinstance(loaded, dict) else {split or "all": loaded}
