"""Systems without an LLM: one constant caption, the clue tags in a fixed sentence, or imported captions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aligncap import artifacts
from aligncap.clues.prompts import template_caption
from aligncap.corpora.base import read_table
from aligncap.errors import CorpusError
from aligncap.evaluation.metrics import Encoder
from aligncap.vocabulary import Clue

logger = logging.getLogger(__name__)


def central_caption(captions: Sequence[str], encoder: Encoder) -> str:
    """Return the caption with the highest mean sentence similarity to all captions, repeated ones counted each time.

    Raises:
        CorpusError: There are no captions.
    """
    if not captions:
        raise CorpusError("constant: the training corpora have no captions; give one of them captions")
    distinct = sorted(set(captions))
    vectors = dict(zip(distinct, encoder.encode(distinct), strict=True))
    mean = np.mean([vectors[caption] for caption in captions], axis=0)
    return distinct[int(np.argmax([vectors[caption] @ mean for caption in distinct]))]


def caption_rows(captions: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return rows of the ``captions`` artifact for utterance id -> caption, in the same order."""
    return [
        {"utterance_id": name, "caption": caption, "n_tokens": len(caption.split()), "finished": True}
        for name, caption in captions.items()
    ]


def caption_baseline(
    stage: Literal["constant", "tag_template"],
    plan: Path,
    references: Mapping[str, Path],
    predicted: Path,
    encoder_manifest: Path,
    out: Path,
) -> None:
    """Caption a test corpus without an LLM.

    Args:
        stage: ``constant`` (the one training caption that is nearest to all) or ``tag_template``.
        plan: Training utterances.
        references: Training corpus -> ``labels`` artifact.
        predicted: Predicted clues of the test corpus.
        encoder_manifest: Manifest of the sentence encoder, read for ``constant`` only.
        out: ``captions`` artifact, in the order of ``predicted``.
    """
    rows = artifacts.read_rows(predicted, "clues")
    if stage == "tag_template":
        spoken = {r["utterance_id"]: template_caption([Clue.from_dict(c) for c in r["clues"]]) for r in rows}
    else:
        from aligncap.models.sentence_encoder import SentenceEncoder
        from aligncap.models.sources import model_folder

        planned = {(row["corpus"], row["utterance_id"]) for row in artifacts.read_rows(plan, "plan")}
        captions = [
            caption
            for corpus, path in references.items()
            for row in artifacts.read_rows(path, "labels")
            if (corpus, row["utterance_id"]) in planned
            for caption in row["captions"]
        ]
        constant = central_caption(captions, SentenceEncoder(model_folder(encoder_manifest)))
        logger.info("constant: %s", constant)
        spoken = {row["utterance_id"]: constant for row in rows}
    artifacts.write(caption_rows(spoken), out, "captions", "caption_baseline")


def import_captions(source: Path, audio: Path, out: Path) -> None:
    """Import captions from a JSONL, CSV, TSV or Parquet table with ``id`` or ``utterance_id``, and ``caption``.

    ``caption_en`` is used where there is no ``caption``. Rows of utterances outside the corpus are left out, and every
    utterance of the corpus must have a caption.

    Args:
        source: Table with the captions.
        audio: ``audio`` artifact of the test corpus.
        out: ``captions`` artifact, in the order of ``audio``.

    Raises:
        CorpusError: The file is missing or not such a table, an id comes twice, or an utterance has no caption.
    """
    if not Path(source).is_file():
        raise CorpusError(f"{source}: no such file of captions; check systems.*.captions in the config")
    columns, table = read_table(Path(source))
    found = {name: next((c for c in names if c in columns), None) for name, names in _COLUMNS.items()}
    for name, names in _COLUMNS.items():
        if found[name] is None:
            raise CorpusError(f"{source}: no column {' or '.join(names)}; it has {', '.join(columns)}")
    captions: dict[str, str] = {}
    for row in table:
        if row.problem:
            raise CorpusError(f"{row.where}: {row.problem}")
        key, caption = (" ".join(row.text(found[name]).split()) for name in ("id", "caption"))
        if key in captions:
            raise CorpusError(f"{row.where}: '{key}' comes twice; keep one caption an utterance")
        captions[key] = caption
    wanted = [row["utterance_id"] for row in artifacts.read_rows(audio, "audio")]
    missing = [name for name in wanted if not captions.get(name)]
    if missing:
        raise CorpusError(
            f"{source}: {len(missing)} of {len(wanted)} utterances have no caption, first '{missing[0]}'; "
            "add them, or leave this corpus out of systems.*.captions"
        )
    unused = len(captions) - len(wanted)
    if unused:
        logger.info("%s: %d captions of utterances that the corpus does not have were left out", source, unused)
    artifacts.write(caption_rows({name: captions[name] for name in wanted}), out, "captions", "import_captions")


_COLUMNS = {"id": ("utterance_id", "id"), "caption": ("caption", "caption_en")}
