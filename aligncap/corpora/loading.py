"""Loading of a corpus in Python, without a pipeline run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

from aligncap.config import Corpus, validated
from aligncap.corpora.base import Utterance
from aligncap.corpora.registry import make_adapter
from aligncap.errors import CorpusError

logger = logging.getLogger(__name__)


def load_corpus(
    adapter: str,
    root: str | Path | None = None,
    *,
    on_error: Literal["skip", "fail"] = "skip",
    wav_folder: str | Path = "wav",
    seed: int = 0,
    **settings: Any,
) -> list[Utterance]:
    """Return the utterances of a corpus as its adapter describes them, without decoding audio.

    Args:
        adapter: Value of ``corpora.{name}.adapter`` in the configuration, such as ``ravdess`` or ``manifest``.
        root: Folder of the corpus (for ``manifest`` the table).
        on_error: ``skip`` logs an unusable row and leaves it out; ``fail`` raises an error.
        wav_folder: Folder to which a ``synthetic`` corpus writes its clips; WAV files in it are deleted.
        seed: Seed of a ``synthetic`` corpus.
        settings: Further keys of a corpus in the configuration: ``language``, ``columns``, ``clips`` …; those that
            ``prepare_corpus`` applies (``limit``, ``part``, ``captions``, ``max_duration_s``) have no effect here.

    Returns:
        The utterances in the order of the corpus; ``pandas.DataFrame(map(vars, utterances))`` makes a table of them.

    Raises:
        ConfigError: The adapter does not exist, or does not know a setting.
        CorpusError: The corpus is unusable as a whole, or a row is and ``on_error`` is ``fail``.

    Examples:
        >>> speech = load_corpus("manifest", "calls/calls.csv", language="en", columns={"audio_path": "file"})
        ... # doctest: +SKIP
    """
    place = None if root is None else str(root)
    cfg = validated(Corpus, {"adapter": adapter, "role": "test", "root": place, **settings}, f"corpus '{adapter}'")
    utterances = []
    for item in make_adapter(cfg, seed, Path(wav_folder)).iter_utterances():
        if isinstance(item, Utterance):
            utterances.append(item)
        elif on_error == "fail":
            raise CorpusError(item.reason)
        else:
            logger.warning("left out: %s", item.reason)
    return utterances
