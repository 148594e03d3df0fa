"""AlignCap: speech emotion captioning aligned with text and with human preferences."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligncap.clues.parser.grammar import parse_clues
    from aligncap.corpora.loading import load_corpus
    from aligncap.serving.captioner import Captioner
    from aligncap.serving.pipeline import pipeline
    from aligncap.serving.scoring import score_captions

__all__ = ["Captioner", "load_corpus", "parse_clues", "pipeline", "score_captions"]
__version__ = "0.1.0"

_HOME = {
    "Captioner": "aligncap.serving.captioner",
    "load_corpus": "aligncap.corpora.loading",
    "parse_clues": "aligncap.clues.parser.grammar",
    "pipeline": "aligncap.serving.pipeline",
    "score_captions": "aligncap.serving.scoring",
}


def __getattr__(name: str) -> Any:
    # torch and transformers take seconds to import; a rule that only reads Parquet does not pay for them.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'aligncap' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
