"""Descriptions of voices without sound, from which the teacher learns to write beside captions of clips (ours).

Text is not bound to the speech at hand: people describe voices in more words, and more emotions, than the captions of
any speech corpus here. The teacher reads them as it reads a clip, and the student hears of them through its
distributions.
"""

from __future__ import annotations

import logging
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aligncap import artifacts
from aligncap.captioner.example import Example
from aligncap.clues.hallucination_checks import faithfulness_flags
from aligncap.clues.prompts import acoustic_prompt, gold_clues
from aligncap.corpora.base import read_table
from aligncap.errors import CorpusError

logger = logging.getLogger(__name__)

COLUMNS = ("caption", "caption_en")
WORDS = (3, 40)
# What is quoted or taken from words, and what is heard beside the voice.
_BESIDE = re.compile(
    r"[\"“”]|\b(?:words?|text|content|context|phrase|sentence|music|background|sound effects?)\b", re.I
)
_WHO = re.compile(r"\b([Tt]he) (?:character|person)\b")  # whom EMER describes are characters of films


def write_descriptions(files: Sequence[Path], out: Path) -> None:
    """Read tables of descriptions and write those that tell how a voice sounds, and nothing else, with their clues.

    Left out are descriptions of fewer than 3 or more than 40 words, those without a clue, and those that name what
    cannot be heard in a voice: persons, places and events (the checks of captions flag them), words that were said, and
    music. A row that cannot be read is left out with a warning.

    Args:
        files: Tables with a column ``caption`` or ``caption_en``.
        out: Artifact ``descriptions`` to write.

    Raises:
        CorpusError: A table has neither column, or no description is left.
    """
    rows = []
    for path in files:
        columns, table = read_table(path)
        column = next((name for name in COLUMNS if name in columns), None)
        if column is None:
            raise CorpusError(f"{path}: none of the columns {', '.join(COLUMNS)}; name the column of descriptions so")
        left_out: Counter[str] = Counter()
        for number, row in enumerate(table):
            if row.problem is not None:
                logger.warning("%s: %s; it is left out", row.where, row.problem)
                left_out["broken row"] += 1
                continue
            caption = _WHO.sub(r"\1 speaker", " ".join(row.text(column).split()))
            clues = gold_clues([caption])
            if reason := _unfit(caption, bool(clues)):
                left_out[reason] += 1
                continue
            rows.append(
                {
                    "utterance_id": f"{path.stem}#{number}",
                    "source": path.stem,
                    "caption": caption,
                    "clues": [clue.to_dict() for clue in clues],
                    "p_act": acoustic_prompt(clues),
                }
            )
        logger.info("%s: %d descriptions, left out %s", path, len(table), dict(left_out) or "none")
    if not rows:
        raise CorpusError(f"{', '.join(map(str, files))}: no description of a voice; correct teacher.descriptions")
    artifacts.write(rows, out, "descriptions", "parse_descriptions")


def _unfit(caption: str, tells: bool) -> str | None:
    """Return why a description is left out, or None."""
    if not WORDS[0] <= len(caption.split()) <= WORDS[1]:
        return "length"
    if not tells:
        return "no clue"
    return "not of the voice" if _BESIDE.search(caption) or faithfulness_flags(caption, "", []) else None


def read_descriptions(path: Path, clips: Sequence[Example], seed: int) -> list[Example]:
    """Read descriptions as examples for text input, each a clip without sound.

    A description comes without words spoken, and the teacher would tell by that which captions are of a clip. So it
    borrows the semantic prompt of a clip with the same emotion, or of any where no clip has it.

    Args:
        path: Artifact ``descriptions``.
        clips: Training clips, to borrow from.
        seed: Seed of what is borrowed.
    """
    said: dict[str, list[Example]] = defaultdict(list)
    for clip in clips:
        said[_emotion(clip.gold_p_act)].append(clip)
    generator = random.Random(seed)
    silence = np.zeros((0, 0, 0), np.float16)
    examples = []
    for row in artifacts.read_rows(path, "descriptions"):
        spoken = generator.choice(said.get(_emotion(row["p_act"])) or clips).p_sem_ids
        examples.append(
            Example(row["utterance_id"], row["source"], (row["caption"],), row["p_act"], row["p_act"], spoken, silence)
        )
    return examples


def _emotion(p_act: str) -> str:
    """Return the first sentence of an acoustic prompt, which names the emotion where there is one."""
    return p_act.partition(".")[0]
