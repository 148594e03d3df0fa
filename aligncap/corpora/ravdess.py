"""Adapter ``ravdess``: 24 English-speaking actors, eight emotions, two intensities, two sentences.

Livingstone and Russo, PLoS ONE 2018, CC BY-NC-SA 4.0. Two layouts are read: the published one (``Actor_XX/*.wav``, all
labels in the file name), and one with a table ``utterances.jsonl`` beside the audio.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from aligncap.corpora.base import BadRow, Row, Utterance, display, each_row, label, read_table, require_columns
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError

logger = logging.getLogger(__name__)

# modality - vocal channel - emotion - intensity - statement - repetition - actor
NAME = re.compile(r"(\d\d)-(\d\d)-(0[1-8])-(0[12])-(0[12])-(\d\d)-(\d\d)")
EMOTION = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
STATEMENT = ("Kids are talking by the door.", "Dogs are sitting by the door.")
AUDIO_ONLY, SPEECH = "03", "01"


class Ravdess:
    """The adapter of RAVDESS."""

    traits = Traits(
        "CC BY-NC-SA 4.0 (Livingstone and Russo, RAVDESS, PLoS ONE 2018)",
        hub_licence="cc-by-nc-sa-4.0",
        transcribed=True,
    )
    has_captions = False

    def __init__(self, root: Path) -> None:
        """Take the folder that holds ``Actor_01`` … ``Actor_24``, or ``utterances.jsonl``."""
        self.root = root

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every spoken, audio-only clip; the corpus's songs and videos are left out."""
        table = self.root / "utterances.jsonl"
        if table.is_file():
            columns, rows = read_table(table)
            require_columns(table, columns, ("id", "audio", "speaker", "emotion", "intensity"))
            yield from each_row(rows, self._from_row)
        else:
            yield from self._from_names()

    def _from_row(self, row: Row) -> Utterance:
        return Utterance(
            utterance_id=row.text("id"),
            audio_path=self.root / row.text("audio"),
            where=row.where,
            speaker=row.text("speaker"),
            language="en",
            emotion=label(row, "emotion", "emotion"),
            intensity=label(row, "intensity", "intensity"),
            transcript=row.text("transcript") or None,
        )

    def _from_names(self) -> Iterator[Utterance | BadRow]:
        files = sorted(self.root.glob("**/Actor_[0-9][0-9]/*.wav"))
        if not files:
            raise CorpusError(
                f"{display(self.root)}: neither utterances.jsonl nor Actor_XX/*.wav in it; set 'root' to the folder of "
                "the unpacked Audio_Speech_Actors_01-24.zip"
            )
        left_out = 0
        for file in files:
            match = NAME.fullmatch(file.stem)
            if match is None:
                reason = f"{display(file)}: name is not 03-01-emotion-intensity-statement-repetition-actor; rename it"
                yield BadRow(file.stem, display(file), reason)
                continue
            modality, channel, emotion, intensity, statement, _, actor = match.groups()
            if (modality, channel) != (AUDIO_ONLY, SPEECH):
                left_out += 1
                continue
            yield Utterance(
                utterance_id=file.stem,
                audio_path=file,
                where=display(file),
                speaker=actor,
                language="en",
                emotion=EMOTION[int(emotion) - 1],
                intensity="strong" if intensity == "02" else "normal",
                transcript=STATEMENT[int(statement) - 1],
            )
        if left_out:
            logger.info("%s: %d songs or videos left out", display(self.root), left_out)
