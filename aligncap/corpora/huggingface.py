"""Adapter ``huggingface``: a data set in a form that the library ``datasets`` reads, on disk or on a hub.

On disk it is a folder from ``save_to_disk``, or a folder of Parquet, CSV or audio files that ``load_dataset`` knows. On
a hub it is ``hf://org/name@revision``, or ``hf://org/name@revision#subset``; a revision is required, or results would
change with the hub. No code of a data set is run (``datasets`` 4 and later cannot), and audio is not decoded by that
library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aligncap.corpora.base import BadRow, Row, Utterance, display, each_row
from aligncap.corpora.manifest import map_columns, read_clip
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError

HUB = "hf://"


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

        self.folder = folder
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
        first = 0
        for split, data in self.splits.items():
            yield from self._of(split, data, first)
            first += len(data)

    def _of(self, split: str, data: Any, first: int) -> Iterator[Utterance | BadRow]:
        import pyarrow.compute as pc

        paths = pc.struct_field(data.data.column(self.audio), "path").to_pylist()
        stems = [Path(path).stem if path else "" for path in paths]
        told = all(stems) and max(Counter(stems).values()) == 1  # otherwise they do not identify clips
        classes = {name: kind for name, kind in data.features.items() if hasattr(kind, "int2str")}
        for number, values in enumerate(data.remove_columns(self.audio)):
            for name, kind in classes.items():
                values[name] = None if values[name] is None else kind.int2str(values[name])
            row = Row(f"{self.name}: {split} row {number + 1}", values)
            default = stems[number] if told else f"{split}_{number:07d}"
            laid = self.folder / f"{first + number:07d}{_suffix(paths[number])}"
            stored = partial(_bytes, data, self.audio, number)
            yield from each_row([row], partial(self._read, laid, default, stored))

    def _read(self, laid: Path, default: str, stored: Callable[[], bytes], row: Row) -> Utterance:
        return read_clip(row, self.columns, laid, default, stored)


def _suffix(path: str | None) -> str:
    suffix = Path(path or "").suffix
    return suffix if suffix[1:].isalnum() else ".wav"


def _bytes(data: Any, column: str, number: int) -> bytes:
    audio = data[number][column]
    if audio["bytes"] is not None:
        return bytes(audio["bytes"])
    file = Path(audio["path"] or "")
    return file.read_bytes() if file.is_file() else b""


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
        raise CorpusError(f"{name}: cannot be read by datasets: {_line(error)}; correct 'root' or 'split'") from error
    return dict(loaded) if isinstance(loaded, dict) else {split or "all": loaded}
