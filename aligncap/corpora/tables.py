"""Corpora that a table describes: one declaration and one function per corpus, read by one adapter.

The root of such a corpus is its folder, or one of its tables to take that published split alone. Each function names
the source of its layout. We had no recordings of these corpora to test them with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from aligncap.corpora.base import (
    ALIASES,
    BadRow,
    Row,
    Utterance,
    display,
    each_row,
    label,
    read_rows,
    third,
)
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError

AUDIO = (".wav", ".flac", ".mp3", ".mp4", ".avi", ".webm")  # a published video, or audio extracted from it


@dataclass(frozen=True)
class Layout:
    """The layout of one corpus.

    Attributes:
        tables: Names of its tables, with wildcards, anywhere below the root.
        columns: Columns that a table must have.
        read: Function from (table, row) to an utterance; raises ``ValueError`` where the row is bad.
        has_captions: Whether the corpus has captions.
        delimiter: Text between cells; None stands for a comma.
        traits: Further facts about the corpus.
    """

    tables: tuple[str, ...]
    columns: tuple[str, ...]
    read: Callable[[Path, Row], Utterance]
    has_captions: bool = False
    delimiter: str | None = None
    traits: Traits = Traits()


class TableCorpus:
    """The adapter of a corpus that tables describe."""

    def __init__(self, root: Path, layout: Layout) -> None:
        """Take the folder of the corpus, or one of its tables, and its layout."""
        self.root, self.layout, self.has_captions = root, layout, layout.has_captions

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every row, table by table. Raises ``CorpusError`` where there is no table, or one lacks a column."""
        names = self.layout.tables
        tables = [self.root] if self.root.is_file() else sorted({p for n in names for p in self.root.glob(f"**/{n}")})
        if not tables:
            raise CorpusError(
                f"{display(self.root)}: no {' or '.join(names)} in it; set 'root' to the corpus's folder or one table"
            )
        for table in tables:
            _, rows = read_rows(table, self.layout.columns, delimiter=self.layout.delimiter)
            yield from each_row(rows, partial(self._read, table))

    def _read(self, table: Path, row: Row) -> Utterance:
        utterance = self.layout.read(table, row)
        path = utterance.audio_path
        if path.is_file():
            return utterance
        place, what = (path, "clip") if path.parent.is_dir() else (path.parent, "folder")
        missing = (
            f"{display(place)}: no such {what}, where a clip may end with {' '.join(AUDIO)}; unpack the recordings of "
            "this table there, or take the row out"
        )
        return replace(utterance, missing=missing)


@cache
def _folder_near(table: Path, name: str) -> Path:
    """Return the folder of that name beside a table or near the table's folder; beside it where there is none."""
    beside = table.parent / name
    found = [beside, table.parent.parent / name, *sorted(table.parent.parent.glob(f"*/{name}"))]
    return next((folder for folder in found if folder.is_dir()), beside)


def _audio(*stems: Path) -> Path:
    """Return the first of some extensionless files that exists as audio or video, or else the first as WAV."""
    found = (stem.with_name(stem.name + kind) for stem in stems for kind in AUDIO)
    return next((file for file in found if file.is_file()), stems[0].with_name(stems[0].name + ".wav"))


def _need(row: Row, column: str) -> str:
    if not (text := row.identifier(column)):
        raise ValueError(f"'{column}' is empty; correct the table")
    return text


def _share(row: Row, column: str) -> float:
    try:
        return float(row.text(column))
    except ValueError:
        raise ValueError(f"'{column}' is {row.text(column)!r}, expected a share, 0-1; correct the table") from None


# MELD has Windows-1252 punctuation that was decoded as Latin-1.
_PUNCTUATION = {0x85: "...", 0x91: "'", 0x92: "'", 0x93: '"', 0x94: '"', 0x96: "-", 0x97: "-"}
_MELD_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
_MELD_VALENCE = {"negative": "low", "neutral": "mid", "positive": "high"}


def _meld(table: Path, row: Row) -> Utterance:
    """Read MELD (Poria et al., ACL 2019). Layout: ``datasets/MELD/process.py`` of Strong-AI-Lab/emotion."""
    split = table.name.split("_")[0]
    dialogue = f"dia{_need(row, 'Dialogue_ID')}"
    clip = f"{dialogue}_utt{_need(row, 'Utterance_ID')}"
    return Utterance(
        utterance_id=f"{split}_{clip}",
        audio_path=_audio(_folder_near(table, _MELD_FOLDERS.get(split, split)) / clip),
        where=row.where,
        speaker=row.identifier("Speaker"),
        session=f"{split}_{dialogue}",
        language="en",
        emotion=label(row, "emotion", "Emotion"),
        valence=_MELD_VALENCE.get(row.text("Sentiment").lower()),
        transcript=row.text("Utterance").translate(_PUNCTUATION) or None,
    )


def _emns(table: Path, row: Row) -> Utterance:
    """Read EMNS (Noriy et al., arXiv 2305.13137). Layout: ``data/emns/process_database.py`` of felixbur/nkululeko."""
    name = Path(_need(row, "audio_recording"))
    folders = ("", "wavs", "cleaned_webm", "raw_webm")
    return Utterance(
        utterance_id=name.stem,
        audio_path=_audio(*(table.parent / folder / name.stem for folder in folders)),
        where=row.where,
        speaker=row.identifier("user_id"),
        language="en",
        captions=tuple(filter(None, [row.text("description")])),
        emotion=label(row, "emotion", "emotion"),
        transcript=row.text("utterance") or None,
    )


def _textrolspeech(table: Path, row: Row) -> Utterance:
    """Read TextrolSpeech (Ji et al., ICASSP 2024), with the columns of ``load_textrol_json`` of a public captioner.

    The rest of the layout could not be confirmed. Speakers are known for the parts from LibriTTS and VCTK, whose file
    names begin with them.
    """
    path, name = _need(row, "wav_fp"), Path(_need(row, "item_name")).stem
    known = re.match(r"(\d+)_\d+_\d{6}_\d{6}|(p\d{3})_", name)
    found = [folder / path for folder in (table.parent.parent, table.parent)]
    return Utterance(
        utterance_id=name,
        audio_path=next((file for file in found if file.is_file()), found[0]),
        where=row.where,
        speaker=(known[1] or known[2]) if known else "",
        language="en",
        captions=tuple(filter(None, [row.text("style_prompt")])),
        emotion=label(row, "emotion", "emotion"),
        transcript=row.text("content_prompt") or None,
    )


@cache
def _wavs(root: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(root.glob("**/*.wav"))}


def _promptspeech(table: Path, row: Row) -> Utterance:
    """Read PromptSpeech (Guo et al., ICASSP 2023): ``Real_training.csv`` beside LibriTTS.

    Only item_name and style_prompt are confirmed. The clip is found by its name anywhere below the table's folder; a
    LibriTTS name begins with speaker and chapter.
    """
    name = Path(_need(row, "item_name")).stem
    speaker, chapter, *_ = (*name.split("_"), "")
    return Utterance(
        utterance_id=name,
        audio_path=_wavs(table.parent).get(name, table.parent / f"{name}.wav"),
        where=row.where,
        speaker=speaker,
        session=f"{speaker}_{chapter}",
        language="en",
        captions=tuple(filter(None, [row.text("style_prompt")])),
        emotion=label(row, "emotion", "emotion"),
        transcript=row.text("txt") or row.text("content_prompt") or None,
    )


_NNIME_LABELS = (
    *("angry", "frustrated", "disappointed", "sad", "fear", "neutral", "surprise"),
    *("excited", "happy", "relax", "joy"),
)


def _nnime(table: Path, row: Row) -> Utterance:
    """Read NNIME (Chou et al., ACII 2017) as EMO-SUPERB has it (``data/NNIME`` of EMOsuperb/EMO-SUPERB-submission).

    The release itself could not be seen. The emotion is the one that most listeners named, after labels that are the
    same for us are summed; a tie gives none.
    """
    name = Path(_need(row, "")).stem
    votes: dict[str, float] = {}
    for theirs in _NNIME_LABELS:
        ours = ALIASES.get(theirs, theirs)
        votes[ours] = votes.get(ours, 0.0) + _share(row, theirs)
    best = max(votes.values())
    winners = [emotion for emotion, share in votes.items() if share > best - 0.01]  # smoothed labels are not exact
    parts = name.split("_")
    return Utterance(
        utterance_id=name,
        audio_path=_audio(_folder_near(table, "Audios") / name),
        where=row.where,
        speaker=row.identifier("SpkrID"),
        session=parts[1] if len(parts) > 1 else "",
        language="zh",
        emotion=winners[0] if len(winners) == 1 else None,
        valence=third(row, "EmoVal"),
        arousal=third(row, "EmoAct"),
    )


def _mer2023(table: Path, row: Row) -> Utterance:
    """Read MER 2023 (Lian et al., ACM MM 2023): names and labels in CSV, clips as video, layout as in public code.

    Neither speakers nor transcripts are published. Its valence is left out, because its scale could not be confirmed.
    """
    name, split = _need(row, "name"), table.name.removesuffix("-label.csv")
    return Utterance(
        utterance_id=name,
        audio_path=_audio(_folder_near(table, split) / name),
        where=row.where,
        language="zh",
        emotion=label(row, "emotion", "discrete"),
    )


TABLES = {
    "meld": Layout(
        ("train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv"),
        ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"),
        _meld,
        traits=Traits(
            "GPL-3.0 for the labels; the television series is not free: do not pass on (Poria et al., MELD, ACL 2019)"
        ),
    ),
    "emns": Layout(
        ("metadata.csv",),
        ("utterance", "description", "emotion", "audio_recording"),
        _emns,
        has_captions=True,
        delimiter="|",
        traits=Traits("see openslr.org/136 (Noriy et al., EMNS, 2023)"),
    ),
    "textrolspeech": Layout(
        ("caption/random_*.csv",),
        ("wav_fp", "item_name", "emotion", "style_prompt"),
        _textrolspeech,
        has_captions=True,
        traits=Traits(
            "none found: ask, and do not pass on (Ji et al., TextrolSpeech, ICASSP 2024)", captions_by_people=False
        ),
    ),
    "promptspeech": Layout(
        ("Real_*.csv",),
        ("item_name", "style_prompt"),
        _promptspeech,
        has_captions=True,
        traits=Traits("none given; its recordings are LibriTTS, CC BY 4.0 (Guo et al., PromptTTS, ICASSP 2023)"),
    ),
    "nnime": Layout(
        ("labels_consensus_1.csv",),
        ("", *_NNIME_LABELS),
        _nnime,
        traits=Traits("by agreement with BIIC; do not pass on (Chou et al., NNIME, ACII 2017)"),
    ),
    "mer2023": Layout(
        ("train-label.csv", "test[123]-label.csv"),
        ("name", "discrete"),
        _mer2023,
        traits=Traits("by agreement, academic use; do not pass on (Lian et al., MER 2023, ACM MM 2023)"),
    ),
}
