"""Gold data of a test corpus (labels and captions by people, measured prosody), and the chance row of captions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.errors import MetricError

logger = logging.getLogger(__name__)

SESSIONS = 10  # number of sessions from which on the bootstrap draws sessions


@dataclass(frozen=True)
class Gold:
    """The gold data of a test corpus; every mapping is keyed by utterance id and has the same order."""

    references: dict[str, list[str]]
    label: dict[str, str | None]
    cluster: dict[str, str]
    truth: dict[str, Truth]
    transcript: dict[str, str]

    @property
    def ids(self) -> list[str]:
        """Utterance ids in the order of the references artifact."""
        return list(self.references)

    @property
    def captioned(self) -> list[str]:
        """Ids of the utterances that have a reference caption."""
        return [i for i, texts in self.references.items() if texts]


def by_people(references: Mapping[str, Path]) -> dict[str, Path]:
    """Return the ``labels`` artifacts whose captions were written by people and not by the project, by corpus."""
    found = {}
    for corpus, path in references.items():
        if artifacts.read_notes(path, "labels").get("caption_source") == "corpus":
            found[corpus] = path
        else:
            logger.warning("%s: its captions are the project's own, so nothing is measured on them", path)
    return found


def text_cluster(row: Mapping[str, Any]) -> str:
    """Return what a row of ``labels`` shares with clips of its text: the group, else the first caption, else its id."""
    captions = (text for text in row["captions"] if text.strip())
    return str(row["caption_group"] or next(captions, row["utterance_id"]))


def read_gold(references: Path, prosody: Path, timbre: Path, transcripts: Path, audio: Path) -> Gold:
    """Read labels, clusters and measurements of a test corpus; only scoring and the report may do so."""
    rows = artifacts.read_rows(references, "labels")
    measured = {r["utterance_id"]: r for r in artifacts.read_rows(prosody, "prosody")}
    heard = {r["utterance_id"]: r["timbre"] for r in artifacts.read_rows(timbre, "timbre")}
    said = {r["utterance_id"]: r["transcript"] for r in artifacts.read_rows(transcripts, "transcripts")}
    session = {r["utterance_id"]: r["session"] for r in artifacts.read_rows(audio, "audio")}
    sessions = {session[r["utterance_id"]] for r in rows}  # of the clips that are scored
    by_session = all(sessions) and len(sessions) >= SESSIONS
    gold = Gold({}, {}, {}, {}, {})
    for row in rows:
        name = row["utterance_id"]
        captions = [text for text in row["captions"] if text.strip()]
        # A corpus label takes precedence even if it is none of the seven classes ('other'); nothing is compared then.
        parsed = dominant_emotion(captions[0]) if captions and row["emotion"] is None else None
        gold.references[name] = captions
        gold.label[name] = row["emotion"] or parsed
        gold.cluster[name] = session[name] if by_session else text_cluster(row)
        gold.truth[name] = Truth.from_rows(gold.label[name], measured.get(name), row["intensity"], heard.get(name))
        gold.transcript[name] = said.get(name, "")
    return gold


def derangement(n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return a uniform permutation of ``range(n)``, n >= 2, that leaves no element in its place."""
    while True:
        order = generator.permutation(n)
        if not (order == np.arange(n)).any():
            return order


def chance_captions(gold: Gold, count: int, seed: int) -> list[dict[str, str]]:
    """Return ``count`` shuffles in which each utterance gets a reference caption of another one.

    Raises:
        MetricError: Fewer than two utterances have reference captions.
    """
    pool = gold.captioned
    if len(pool) < 2:
        raise MetricError(
            f"chance: {len(pool)} utterances with a reference caption; it needs two (drop the system for this corpus)"
        )
    generator = np.random.default_rng(seed)
    shuffles = []
    for _ in range(count):
        order = derangement(len(pool), generator)
        source = {name: pool[other] for name, other in zip(pool, order, strict=True)}
        captions = {}
        for name in gold.ids:
            texts = gold.references[source.get(name) or pool[generator.integers(len(pool))]]
            captions[name] = texts[generator.integers(len(texts))]
        shuffles.append(captions)
    return shuffles
