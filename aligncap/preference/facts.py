"""Input and output of a judge: captions with the facts of their utterances, opinions, and scored candidates."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, zip_longest
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.config import Judge
from aligncap.errors import ArtifactError
from aligncap.vocabulary import Clue

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # (corpus, utterance id)
Row = dict[str, Any]


@dataclass(frozen=True)
class ClipFacts:
    """Facts of an utterance against which its captions are judged.

    Attributes:
        truth: Emotion label, its intensity, and measured prosody.
        gold: Clues of the reference captions.
        transcript: Transcript of the utterance.
        references: Reference captions.
        outside: Whether the label is known and outside the classes ("other"), so that no emotion is right or wrong.
    """

    truth: Truth
    gold: tuple[Clue, ...]
    transcript: str
    references: tuple[str, ...]
    outside: bool = False

    @property
    def emotion(self) -> str | None:
        """Emotion label; without a label the dominant emotion of the references, as in the evaluation."""
        return self.truth.emotion or (None if self.outside else dominant_emotion(list(self.gold)))


@dataclass(frozen=True)
class JudgedCaption:
    """A caption to judge.

    Attributes:
        corpus: Corpus of the utterance.
        utterance_id: Utterance that the caption describes.
        caption: Text of the caption.
        finished: Whether the caption ended with the end token.
        facts: ClipFacts of the utterance.
    """

    corpus: str
    utterance_id: str
    caption: str
    finished: bool
    facts: ClipFacts


@dataclass(frozen=True)
class Opinion:
    """A judge's scores of a caption, 1-5, and its rationale, which gives the reason where a score is None."""

    factuality: float | None
    faithfulness: float | None
    overall: float | None
    rationale: str


def facts_of(labels: dict, gold: Sequence[Clue], transcript: str, prosody: dict | None) -> ClipFacts:
    """Collect the facts of an utterance from its row of ``labels``, gold clues, transcript and row of ``prosody``."""
    references = tuple(text for text in labels["captions"] if text.strip())
    truth = Truth.from_rows(labels["emotion"], prosody, labels["intensity"])
    outside = labels["emotion"] is not None and truth.emotion is None
    return ClipFacts(truth, tuple(gold), transcript, references, outside)


def read_facts(
    references: Mapping[str, Path],
    gold: Mapping[str, Path],
    transcripts: Mapping[str, Path],
    prosody: Mapping[str, Path],
    *,
    of: Collection[Key] | None = None,
) -> dict[Key, ClipFacts]:
    """Read the facts of the utterances of some corpora; those without ``prosody`` are judged by clues and label.

    Candidates are judged by facts of training corpora. Facts of a test corpus are used only to score its captions.
    With ``of`` the facts of these utterances alone are read.
    """
    facts = {}
    for corpus, path in references.items():
        names = None if of is None else {name for whose, name in of if whose == corpus}
        stream = partial(artifacts.stream_rows, of=names)
        clues = {r["utterance_id"]: r["clues"] for r in stream(gold[corpus], "clues")}
        said = {r["utterance_id"]: r["transcript"] for r in stream(transcripts[corpus], "transcripts")}
        measured = {r["utterance_id"]: r for r in stream(prosody[corpus], "prosody")} if corpus in prosody else {}
        for row in stream(path, "labels"):
            name = row["utterance_id"]
            own = [Clue.from_dict(clue) for clue in clues.get(name, [])]
            facts[corpus, name] = facts_of(row, own, said.get(name, ""), measured.get(name))
    return facts


def in_blocks(items: Sequence[JudgedCaption]) -> list[list[int]]:
    """Return the indices of ``items`` by blocks of utterances, in the order in which these occur first.

    What a judge computes together is of one block, so that an opinion does not depend on captions of other blocks.
    """
    places: dict[Key, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault((item.corpus, item.utterance_id), []).append(place)
    clips, size = list(places.values()), artifacts.BLOCK
    return [list(chain.from_iterable(clips[start : start + size])) for start in range(0, len(clips), size)]


def opinion(settings: Judge, factuality: float | None, faithfulness: float | None, rationale: str) -> Opinion:
    """Make an opinion whose overall score is the weighted mean of both scores; it is None where one of them is None."""
    if factuality is None or faithfulness is None:
        return Opinion(factuality, faithfulness, None, rationale)
    parts = (settings.factuality_weight, settings.faithfulness_weight)
    first, second = parts if sum(parts) else (1.0, 1.0)
    return Opinion(factuality, faithfulness, (first * factuality + second * faithfulness) / (first + second), rationale)


def scored_candidates(candidates: Path, scores: Path) -> Iterator[tuple[Key, list[Row]]]:
    """Yield the candidates of one utterance after another, with their scores; those without a score are left out.

    Args:
        candidates: Artifact ``candidates``, in which those of an utterance are neighbours.
        scores: Artifact ``judge_scores`` of them, in their order.

    Raises:
        ArtifactError: The scores are of more, fewer or other candidates, or in another order; or the candidates of an
            utterance are no neighbours.
    """
    seen: set[Key] = set()
    unscored = 0

    def joined() -> Iterator[Row]:
        nonlocal unscored
        said, judged = artifacts.stream_rows(candidates, "candidates"), artifacts.stream_rows(scores, "judge_scores")
        for row, score in zip_longest(said, judged):
            if row is None or score is None or row["candidate_id"] != score["candidate_id"]:
                told = [f"'{one['candidate_id']}'" if one else "no row" for one in (score, row)]
                raise ArtifactError(f"{scores}: has {told[0]} where {candidates} has {told[1]}; run the judge again")
            values = {name: score[name] for name in ("factuality", "faithfulness", "overall")}
            if None in values.values():
                unscored += 1
            elif row["token_ids"]:
                yield row | values

    for key, rows in groupby(joined(), lambda row: (row["corpus"], row["utterance_id"])):
        if key in seen:
            raise ArtifactError(f"{candidates}: those of '{'/'.join(key)}' are no neighbours; sample candidates again")
        seen.add(key)
        yield key, list(rows)
    if unscored:
        logger.warning("%d candidates without a score make no pair", unscored)
