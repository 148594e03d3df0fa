"""The registry of adapters by their names in the configuration: built-in ones, and those in ``aligncap.extensions``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from aligncap.config import Corpus
from aligncap.corpora.base import CorpusAdapter, display
from aligncap.corpora.named import NAMED, Named, Names
from aligncap.corpora.tables import TABLES, Layout, TableCorpus
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError
from aligncap.extensions import names

CLASSES = {
    "emosec": "Emosec",
    "huggingface": "HuggingFace",
    "iemocap": "Iemocap",
    "manifest": "Manifest",
    "synthetic": "Synthetic",
    "webdataset": "WebDataset",
}  # module of this package -> its adapter; imported late, because archives and espeak-ng cost time
UNKNOWN = "not stated: do not pass its recordings on before you know (name it as corpora.{corpus}.licence)"


def declaration(adapter: str) -> Any:
    """Return the declaration of how a corpus is read: ``Names``, ``Layout``, or an adapter's class."""
    if adapter in NAMED:
        return NAMED[adapter]
    if adapter in TABLES:
        return TABLES[adapter]
    if adapter in names("corpora"):
        return import_module(f"aligncap.extensions.corpora.{adapter}").CORPUS
    return getattr(import_module(f"aligncap.corpora.{adapter}"), CLASSES[adapter])


def is_adapter(name: str) -> bool:
    """Return whether there is an adapter of this name."""
    return name in (*NAMED, *TABLES, *CLASSES, *names("corpora"))


def traits_of(adapter: str) -> Traits:
    """Return the traits that an adapter declares, or the defaults where an extension declares none."""
    own: Traits = getattr(declaration(adapter), "traits", Traits())
    return own


def may_have_human_captions(adapter: str) -> bool:
    """Return whether people may have captioned a corpus; for a table or an archive only its columns can tell."""
    return traits_of(adapter).captions_by_people and getattr(declaration(adapter), "has_captions", True)


def licence_of(corpus: str, adapter: str, stated: str | None = None) -> str:
    """Return the licence of a corpus's recordings, in words.

    Args:
        corpus: Name of the corpus in the configuration.
        adapter: Name of the adapter that reads it.
        stated: ``licence`` of the configuration, which takes precedence over the adapter's.
    """
    return stated or traits_of(adapter).licence or UNKNOWN.format(corpus=corpus)


def make_adapter(cfg: Corpus, seed: int, wav_folder: Path) -> CorpusAdapter:
    """Make the adapter that a corpus names.

    Args:
        cfg: Settings of the corpus.
        seed: Seed of the experiment.
        wav_folder: Folder for clips that are not files yet: synthetic ones, and those inside archives.

    Raises:
        CorpusError: ``root`` is missing, or is not a readable table.
    """
    read = declaration(cfg.adapter)
    if cfg.adapter == "synthetic":
        return read(cfg, seed, wav_folder)
    if cfg.adapter == "huggingface":
        return read(cfg.root or "", cfg.split, cfg.columns, wav_folder)
    root = Path(cfg.root or "")
    if cfg.adapter == "manifest":
        return read(root, cfg.columns)
    if not root.is_dir() and not (root.is_file() and cfg.adapter in ("webdataset", *TABLES)):
        raise CorpusError(f"{display(root)}: no such folder; set 'root' of the corpus to where '{cfg.adapter}' lies")
    if cfg.adapter == "webdataset":
        return read(root, cfg.columns, wav_folder)
    if isinstance(read, Names):
        return Named(root, read)
    return TableCorpus(root, read) if isinstance(read, Layout) else read(root)
