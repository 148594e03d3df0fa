"""Corpora whose labels are in the names of their files: one declaration each, read by one adapter.

The layouts are those that public code reads (``datasets/*/process.py`` of the repository Strong-AI-Lab/emotion, except
where a declaration names another source). We had no recordings of these corpora to test them with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from aligncap.corpora.base import BadRow, Utterance, display
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError


@dataclass(frozen=True)
class Names:
    """The naming scheme of one corpus's files.

    Attributes:
        layout: Description of the layout in words, for messages.
        pattern: Pattern of the end of a path below the root, without its extension. Groups: ``speaker``, ``emotion``,
            and where the corpus has them ``intensity`` and ``text``. The utterance id is the group ``id``, else the
            match.
        emotions: Value of the group -> our emotion.
        language: Function of the speaker that returns ISO 639-1.
        intensities: Value of the group -> our intensity; others are unknown.
        sentence: Function that returns the transcript of a ``text`` group; None where unknown.
        transcripts: Reader of transcripts that the corpus has in files: root -> file stem -> text.
        traits: Further facts about the corpus.
    """

    layout: str
    pattern: str
    emotions: Mapping[str, str]
    language: Callable[[str], str]
    intensities: Mapping[str, str] | None = None
    sentence: Callable[[str], str | None] | None = None
    transcripts: Callable[[Path], Mapping[str, str]] | None = None
    traits: Traits = Traits()
    has_captions: ClassVar[bool] = False


class Named:
    """The adapter of a corpus whose labels are in its file names."""

    has_captions = False

    def __init__(self, root: Path, names: Names) -> None:
        """Take the folder of the unpacked corpus, and the naming scheme of its files."""
        self.root, self.names = root, names

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every WAV file below the root, by path. Raises ``CorpusError`` where there is none."""
        files = sorted(self.root.glob("**/*.wav"))
        if not files:
            raise CorpusError(f"{display(self.root)}: no .wav below it; set 'root' to where {self.names.layout} lie")
        texts = self.names.transcripts(self.root) if self.names.transcripts else {}
        pattern = re.compile(f"(?:^|/)({self.names.pattern})$")
        for file in files:
            match = pattern.search(file.relative_to(self.root).with_suffix("").as_posix())
            if match is None:
                reason = f"{display(file)}: name is not as in {self.names.layout}; rename it or take it out"
                yield BadRow(file.stem, display(file), reason)
            else:
                yield self._utterance(file, match, texts.get(file.stem))

    def _utterance(self, file: Path, match: re.Match[str], text: str | None) -> Utterance:
        names, groups = self.names, match.groupdict()
        if names.sentence is not None:
            text = names.sentence(groups["text"])
        return Utterance(
            utterance_id=groups.get("id") or match[1].replace("/", "_"),
            audio_path=file,
            where=display(file),
            speaker=groups["speaker"],
            language=names.language(groups["speaker"]),
            emotion=names.emotions[groups["emotion"]],
            intensity=(names.intensities or {}).get(groups.get("intensity") or ""),
            transcript=text,
        )


CREMA_D_SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
EMODB_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute Abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def _esd_language(speaker: str) -> str:
    return "zh" if speaker <= "0010" else "en"


def _esd_transcripts(root: Path) -> dict[str, str]:
    """Read ``{speaker}/{speaker}.txt``: name, text, emotion by tabs, in UTF-8, UTF-16, GB18030 or Windows-1252."""
    texts = {}
    for file in sorted(root.glob("**/[0-9][0-9][0-9][0-9].txt")):
        data = file.read_bytes()
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            lines = data.decode("utf-16", errors="replace")
        else:
            try:
                lines = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                single = "gb18030" if _esd_language(file.stem) == "zh" else "cp1252"
                lines = data.decode(single, errors="replace")
        for line in lines.splitlines():
            cells = [cell.strip() for cell in line.split("\t")]
            if len(cells) >= 2 and cells[1]:  # lines with a blank instead of a tab give no transcript
                texts[cells[0]] = cells[1]
    return texts


NAMED = {
    # Cao et al., IEEE TAC 2014. The intensity LO is outside our labels, XX is unspecified.
    "crema_d": Names(
        "CREMA-D's AudioWAV/1001_DFA_ANG_XX.wav",
        r"(?P<speaker>\d{4})_(?P<text>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<intensity>LO|MD|HI|XX?)",
        dict(ANG="angry", DIS="disgusted", FEA="fearful", HAP="happy", NEU="neutral", SAD="sad"),
        lambda speaker: "en",
        intensities={"MD": "normal", "HI": "strong"},
        sentence=CREMA_D_SENTENCES.get,
        traits=Traits("ODbL 1.0, contents DbCL 1.0 (Cao et al., CREMA-D, IEEE TAC 2014)"),
    ),
    # Burkhardt et al., Interspeech 2005; boredom is "other". Sentences as in the documentation of audformat.
    "emodb": Names(
        "EmoDB's wav/03a01Fa.wav",
        r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])[a-z]?",
        dict(W="angry", L="other", E="disgusted", A="fearful", F="happy", T="sad", N="neutral"),
        lambda speaker: "de",
        sentence=EMODB_SENTENCES.get,
        traits=Traits("none found: ask, and do not pass on (Burkhardt et al., Berlin EmoDB, Interspeech 2005)"),
    ),
    # Pichora-Fuller and Dupuis, 2010; "ps" is pleasant surprise. One published name has OA for OAF.
    "tess": Names(
        "TESS's OAF_angry/OAF_back_angry.wav",
        r"(?P<speaker>[OY]A)F?_(?P<text>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)",
        dict(angry="angry", disgust="disgusted", fear="fearful", happy="happy", neutral="neutral", ps="surprised")
        | {"sad": "sad"},
        lambda speaker: "en",
        sentence="Say the word {}.".format,
        traits=Traits("CC BY-NC-ND 4.0 (Pichora-Fuller and Dupuis, TESS, 2010)"),
    ),
    # Haq and Jackson, 2009. The second layout is that of copies with all files in one folder.
    "savee": Names(
        "SAVEE's AudioData/DC/a01.wav, or DC_a01.wav",
        r"(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>sa|su|[adfhn])\d\d",
        dict(a="angry", d="disgusted", f="fearful", h="happy", n="neutral", sa="sad", su="surprised"),
        lambda speaker: "en",
        traits=Traits("research only, on request; do not pass on (Haq and Jackson, SAVEE, 2009)"),
    ),
    # Latif et al., FIT 2018.
    "urdu": Names(
        "URDU's Angry/SM1_F1_A01.wav",
        r"(?P<speaker>[A-Z]+\d+)(?:_[A-Z]+\d+)*_(?P<emotion>[AHNS])\d+",
        dict(A="angry", H="happy", N="neutral", S="sad"),
        lambda speaker: "ur",
        traits=Traits("none found: ask, and do not pass on (Latif et al., URDU, FIT 2018)"),
    ),
    # Zhou et al., ICASSP 2021; speakers up to 0010 speak Mandarin. Copies without train/, test/ are read too.
    "esd": Names(
        "ESD's 0011/Angry/train/0011_000351.wav",
        r"(?P<emotion>Angry|Happy|Neutral|Sad|Surprise)/(?:\w+/)?(?P<id>(?P<speaker>\d{4})_\d{6})",
        dict(Angry="angry", Happy="happy", Neutral="neutral", Sad="sad", Surprise="surprised"),
        _esd_language,
        transcripts=_esd_transcripts,
        traits=Traits("research only, by agreement; do not pass on (Zhou et al., ESD, ICASSP 2021)"),
    ),
}
