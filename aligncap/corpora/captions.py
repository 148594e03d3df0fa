"""Reference captions: those of the corpus, or captions written for a corpus that has labels only.

Written captions express the label and the measured prosody. They come from the project's caption grammar, or from a
bank file whose captions are distributed so that each is used about equally.
"""

from __future__ import annotations

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.config import Corpus
from aligncap.corpora.base import VALUES, BadRow, Row, display, read_table, require_columns
from aligncap.corpora.caption_grammar import CaptionContent, emotions, write_caption
from aligncap.errors import CorpusError
from aligncap.vocabulary import SCALES

logger = logging.getLogger(__name__)

WRITTEN_BY = "labels"  # grammar for corpora that have labels only
ATTEMPTS = 20  # tries per wanted caption, each of which must differ from the earlier ones


@dataclass(frozen=True)
class BankCaption:
    """One caption of a bank and the facts that it expresses; "any" fits every clip."""

    caption: str
    emotion: str
    intensity: str
    level: str
    pitch: str
    rate: str

    def fits(self, facts: CaptionContent) -> bool:
        """Return whether the caption contradicts no known fact of a clip."""
        measured = all(getattr(self, kind) in ("any", getattr(facts, kind)) for kind in SCALES)
        return measured and self.emotion == facts.emotion and self.intensity in ("any", facts.intensity)


ALLOWED: dict[str, tuple[str, ...]] = {  # column of a bank -> its values
    "emotion": VALUES["emotion"],
    "intensity": (*VALUES["intensity"], "any"),
    **{kind: (*values, "any") for kind, values in SCALES.items()},
}


def read_bank(path: Path) -> tuple[list[BankCaption], list[BadRow]]:
    """Read a caption bank: a table with caption, emotion, intensity, level, pitch and rate.

    Returns:
        Its captions, and its rows that cannot be used: broken ones, those without a caption or with a value outside the
        vocabulary.

    Raises:
        CorpusError: The file or a column is missing.
    """
    columns, rows = read_table(path)
    require_columns(path, columns, ("caption", *ALLOWED))
    bank, bad = [], []
    for row in rows:
        if problem := _problem(row):
            bad.append(row.bad(problem))
        else:
            bank.append(BankCaption(row.text("caption"), **{kind: row.text(kind) for kind in ALLOWED}))
    return bank, bad


def _problem(row: Row) -> str | None:
    if row.problem is not None:
        return row.problem
    caption = row.values.get("caption")
    if not row.text("caption"):
        return "'caption' is empty; write one or delete the row"
    if not isinstance(caption, str):
        return f"'caption' is {row.text('caption')[:40]}, expected a text; correct it or delete the row"
    return next(
        (
            f"{kind} {row.text(kind)!r}, expected one of {', '.join(values)}"
            for kind, values in ALLOWED.items()
            if row.text(kind) not in values
        ),
        None,
    )


def deal_captions(
    facts: Mapping[str, CaptionContent], bank: Sequence[BankCaption], per_utterance: int, seed: int, source: str
) -> dict[str, list[str]]:
    """Distribute the captions of a bank to clips that they fit, each used about equally.

    Args:
        facts: Utterance id -> known facts.
        bank: Captions of the bank.
        per_utterance: Number of captions per clip, all different.
        seed: Seed of the order of clips, and of ties.
        source: Name of the bank, for messages.

    Raises:
        CorpusError: Fewer than ``per_utterance`` captions fit a clip.
    """
    generator = random.Random(seed)
    shuffled = generator.sample(list(bank), len(bank))
    by_emotion: dict[str, list[BankCaption]] = defaultdict(list)
    for entry in shuffled:
        by_emotion[entry.emotion].append(entry)
    used: Counter[str] = Counter()
    dealt: dict[str, list[str]] = {}
    for utterance in generator.sample(list(facts), len(facts)):
        known = facts[utterance]
        fitting = [entry for entry in by_emotion[known.emotion] if entry.fits(known)]
        # The least used come first, and among them the narrowest, which fit the fewest clips; a text comes once.
        ordered = sorted(fitting, key=lambda entry: (used[entry.caption], _width(entry)))
        texts = list(dict.fromkeys(entry.caption for entry in ordered))
        if len(texts) < per_utterance:
            raise CorpusError(
                f"{source}: {len(texts)} captions fit {utterance} ({known}), {per_utterance} are needed; "
                "add captions with value 'any', or use captions.source: grammar"
            )
        dealt[utterance] = texts[:per_utterance]
        used.update(dealt[utterance])
    return dealt


def _width(entry: BankCaption) -> int:
    return sum(getattr(entry, kind) == "any" for kind in SCALES)


def write_from_grammar(facts: Mapping[str, CaptionContent], per_utterance: int, seed: int) -> dict[str, list[str]]:
    """Write captions with the project's grammar.

    A caption depends on the seed, its utterance and the facts, so it does not change when other clips come or go.

    Raises:
        CorpusError: The grammar has no words for an emotion.
    """
    written: dict[str, list[str]] = {}
    for utterance, known in facts.items():
        if known.emotion not in emotions(WRITTEN_BY):
            raise CorpusError(
                f"{utterance}: emotion '{known.emotion}', the caption grammar knows {', '.join(emotions(WRITTEN_BY))}; "
                "correct the label or leave the clip out"
            )
        generator = random.Random(f"{seed} {utterance}")
        captions: list[str] = []
        for _ in range(ATTEMPTS * per_utterance):
            if len(captions) == per_utterance:
                break
            caption = write_caption(known, WRITTEN_BY, generator)
            if caption not in captions:
                captions.append(caption)
        written[utterance] = captions
    return written


def facts_of(label: Mapping[str, Any], prosody: Mapping[str, Any]) -> CaptionContent:
    """Return the facts about a clip without captions: its label and its measured prosody."""
    if label["emotion"] in (None, "other"):
        raise CorpusError(
            f"{label['utterance_id']}: emotion {label['emotion']!r}, but captions are to be written from it; "
            "give labels or captions, or leave the clip out"
        )
    return CaptionContent(label["emotion"], label["intensity"] or "normal", **{kind: prosody[kind] for kind in SCALES})


def write_references(
    cfg: Corpus, audio: Path, labels: Path, prosody: Path, out: Path, skipped_out: Path, rule: str
) -> None:
    """Write the references of a corpus: its labels with captions filled in.

    Args:
        cfg: Settings of the corpus, whose ``captions`` name the source of captions.
        audio: ``audio`` artifact with the utterances in order.
        labels: ``labels`` artifact.
        prosody: ``prosody`` artifact.
        out: ``labels`` artifact, every row with at least one caption.
        skipped_out: ``skipped`` artifact: the rows of the bank that were left out, with reasons.
        rule: Producing rule, for the metadata.

    Raises:
        CorpusError: Captions are wanted from the corpus, the bank or a label, and are missing; or a row of the bank is
            bad and ``on_error`` is fail.
        ArtifactError: An input is not the artifact it should be.
    """
    rows = {row["utterance_id"]: row for row in artifacts.read_rows(labels, "labels")}
    measured = {row["utterance_id"]: row for row in artifacts.read_rows(prosody, "prosody")}
    order = [row["utterance_id"] for row in artifacts.read_rows(audio, "audio")]
    source = cfg.captions.source
    skipped: list[BadRow] = []
    if source == "auto":
        source = "corpus" if any(row["captions"] for row in rows.values()) else "grammar"
    if source == "corpus":
        captions = {utterance: rows[utterance]["captions"] for utterance in order}
        if missing := [utterance for utterance in order if not captions[utterance]]:
            raise CorpusError(f"{display(labels)}: {missing[0]} has no caption; use captions.source: grammar or bank")
    else:
        # A clip whose emotion the grammar cannot express keeps the corpus's caption, where it has one.
        own = {u: rows[u]["captions"] for u in order if rows[u]["captions"] and rows[u]["emotion"] in (None, "other")}
        if own:
            logger.warning("%s: %d clips without a label keep their own captions", display(labels), len(own))
        facts = {u: facts_of(rows[u], measured[u]) for u in order if u not in own}
        count, seed = cfg.captions.per_utterance, cfg.captions.seed
        if source == "bank":
            path = Path(cfg.captions.bank or "")
            bank, skipped = read_bank(path)
            if skipped and cfg.on_error == "fail":
                raise CorpusError(skipped[0].reason)
            if skipped:
                logger.warning("%s: %d rows skipped, listed in %s", display(path), len(skipped), display(skipped_out))
            captions = own | deal_captions(facts, bank, count, seed, display(path))
        else:
            captions = own | write_from_grammar(facts, count, seed)
    filled = [{**rows[utterance], "captions": captions[utterance]} for utterance in order]
    notes = {"caption_source": source}
    artifacts.write(filled, out, "labels", rule=rule, notes=notes)
    artifacts.write([vars(row) for row in skipped], skipped_out, "skipped", rule=rule, notes=notes)
