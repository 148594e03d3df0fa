"""Adapter ``iemocap``: ten actors in five dyadic sessions, scripted and improvised, with labels by several listeners.

Busso et al., LREV 2008, under a licence agreement with USC. Three or more listeners labelled each turn. The layout of
the release, ``Session1`` … ``Session5``, is that which ``datasets/IEMOCAP/process.py`` of Strong-AI-Lab/emotion reads.
We had no recording to test it with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from aligncap.corpora.base import BadRow, Row, Utterance, display, each_row, read_text, third, transcript_lines
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError

# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
TURN = re.compile(
    r"\[[\d. -]+\]\t(?P<turn>\w+)\t(?P<emotion>\w*)\t\[(?P<valence>[\d.]+), (?P<arousal>[\d.]+), [\d.]+\]"
)
SPOKEN = re.compile(r"(?P<turn>Ses\w+) \[[\d.-]+\]:\s*(?P<text>.*)")
EMOTION = {
    "ang": "angry",
    "hap": "happy",
    "exc": "happy",
    "sad": "sad",
    "neu": "neutral",
    "fea": "fearful",
    "sur": "surprised",
    "dis": "disgusted",
    "fru": "other",
    "oth": "other",
    "xxx": None,  # the listeners did not agree
    "": None,
}


class Iemocap:
    """The adapter of IEMOCAP."""

    traits = Traits("by agreement with USC; do not pass on (Busso et al., IEMOCAP, LREV 2008)")
    has_captions = False

    def __init__(self, root: Path) -> None:
        """Take the folder that holds ``Session1`` … ``Session5``."""
        self.root = root

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every labelled turn, dialogue by dialogue. Raises ``CorpusError`` where there is no dialogue."""
        dialogues = sorted(self.root.glob("**/Session[1-5]/dialog/EmoEvaluation/Ses*.txt"))
        if not dialogues:
            raise CorpusError(
                f"{display(self.root)}: no Session1/dialog/EmoEvaluation/Ses*.txt in it; set 'root' to the folder of "
                "the unpacked IEMOCAP_full_release"
            )
        for labels in dialogues:
            session = labels.parents[2]
            texts = _spoken(session / "dialog" / "transcriptions" / labels.name)
            try:
                lines = read_text(labels).splitlines()
            except OSError as error:
                yield BadRow(labels.stem, "", f"{display(labels)}: {error.strerror or error}; the dialogue is left out")
                continue
            rows = [
                _turn(f"{display(labels)}: line {number}", line.strip(), labels.stem)
                for number, line in enumerate(lines, start=1)
                if line.startswith("[")  # other lines are comments, and what single listeners said
            ]
            yield from each_row(rows, partial(_read, session, texts))


def _turn(where: str, line: str, dialogue: str) -> Row:
    if (match := TURN.match(line)) is None:
        return Row(where, {}, f"{line[:80]!r} is not [start - end], turn, emotion, [v, a, d]; fetch the file again")
    return Row(where, match.groupdict() | {"dialogue": dialogue})


def _spoken(file: Path) -> dict[str, str]:
    """Return turn -> transcript without marks such as [LAUGHTER]; empty where the file is missing."""
    lines = transcript_lines(file) if file.is_file() else []
    found = [match for line in lines if (match := SPOKEN.match(line.strip()))]
    return {match["turn"]: " ".join(re.sub(r"\[\w+\]", " ", match["text"]).split()) for match in found}


def _read(session: Path, texts: dict[str, str], row: Row) -> Utterance:
    turn, emotion = row.text("turn"), row.text("emotion")
    if emotion not in EMOTION:
        raise ValueError(f"emotion {emotion!r}, expected one of {', '.join(filter(None, EMOTION))}; correct the file")
    # The first letter after Ses01 is the actor with the markers; the letter of the turn is the speaker.
    number, who = turn[3:5], turn.rpartition("_")[2][:1]
    return Utterance(
        utterance_id=turn,
        audio_path=session / "sentences" / "wav" / row.text("dialogue") / f"{turn}.wav",
        where=row.where,
        speaker=f"{number}{who}",
        session=number,
        language="en",
        emotion=EMOTION[emotion],
        valence=third(row, "valence"),
        arousal=third(row, "arousal"),
        transcript=texts.get(turn) or None,
    )
