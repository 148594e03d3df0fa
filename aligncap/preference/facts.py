"""What a judge is given of a caption, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.config import Judge
from aligncap.vocabulary import Clue

Key = tuple[str, str]  # (corpus, utterance id)


@dataclass(frozen=True)
class Facts:
    """What is known of one utterance.

    Attributes:
        truth: label, its intensity and measured prosody.
        gold: clues of its reference caption.
        transcript: what was said.
        references: its captions.
        outside: its label is known and none of the classes ("other"): then no emotion is right or wrong.
    """

    truth: Truth
    gold: tuple[Clue, ...]
    transcript: str
    references: tuple[str, ...]
    outside: bool = False

    @property
    def emotion(self) -> str | None:
        """The label; the dominant emotion of the reference where there is none, as the evaluation takes it."""
        return self.truth.emotion or (None if self.outside else dominant_emotion(list(self.gold)))


@dataclass(frozen=True)
class Item:
    """One caption to judge.

    Attributes:
        corpus: where the utterance is from.
        utterance_id: of the clip that it describes.
        caption: the text.
        finished: the end token came.
        facts: what is known of the clip.
    """

    corpus: str
    utterance_id: str
    caption: str
    finished: bool
    facts: Facts


@dataclass(frozen=True)
class Opinion:
    """Scores 1-5 and why; scores are None where the judge has none, and then the rationale says the reason."""

    factuality: float | None
    faithfulness: float | None
    overall: float | None
    rationale: str


def facts_of(labels: dict, gold: Sequence[Clue], transcript: str, prosody: dict | None) -> Facts:
    """Facts of a row of ``labels``, its gold clues, its transcript and its row of ``prosody`` where there is one."""
    references = tuple(text for text in labels["captions"] if text.strip())
    truth = Truth.from_rows(labels["emotion"], prosody, labels["intensity"])
    outside = labels["emotion"] is not None and truth.emotion is None
    return Facts(truth, tuple(gold), transcript, references, outside)


def read_facts(
    references: Mapping[str, Path],
    gold: Mapping[str, Path],
    transcripts: Mapping[str, Path],
    prosody: Mapping[str, Path],
) -> dict[Key, Facts]:
    """What a judge may know of the utterances of these corpora; one without ``prosody`` is judged by clues and label.

    Of training corpora for candidates; of a test corpus for the captions that are scored there, and for nothing else.
    """
    facts = {}
    for corpus, path in references.items():
        clues = {r["utterance_id"]: r["clues"] for r in artifacts.read_rows(gold[corpus], "clues")}
        said = {r["utterance_id"]: r["transcript"] for r in artifacts.read_rows(transcripts[corpus], "transcripts")}
        rows = artifacts.read_rows(prosody[corpus], "prosody") if corpus in prosody else []
        measured = {r["utterance_id"]: r for r in rows}
        for row in artifacts.read_rows(path, "labels"):
            name = row["utterance_id"]
            own = [Clue.from_dict(clue) for clue in clues.get(name, [])]
            facts[corpus, name] = facts_of(row, own, said.get(name, ""), measured.get(name))
    return facts


def opinion(settings: Judge, factuality: float | None, faithfulness: float | None, rationale: str) -> Opinion:
    """An opinion whose overall score weighs the two as ``settings`` says; without one of them there is no overall."""
    if factuality is None or faithfulness is None:
        return Opinion(factuality, faithfulness, None, rationale)
    parts = (settings.factuality_weight, settings.faithfulness_weight)
    first, second = parts if sum(parts) else (1.0, 1.0)
    return Opinion(factuality, faithfulness, (first * factuality + second * faithfulness) / (first + second), rationale)
