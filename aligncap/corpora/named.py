"""Corpora whose labels are in the names of their files: one declaration each, read by one adapter.

Two layouts are read: the published one, and one with a table ``utterances.jsonl`` beside the audio, whose columns are
the same for all. The published layouts are those that public code reads (``datasets/*/process.py`` of the repository
Strong-AI-Lab/emotion, except where a declaration names another source); docs/corpora.md says which of them were read
from real files.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from aligncap.corpora.base import BadRow, Row, Utterance, display, each_row, label, read_rows, transcript_lines
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError

logger = logging.getLogger(__name__)

TABLE = "utterances.jsonl"  # columns id, audio (relative to it), speaker, emotion; for some intensity, transcript


@dataclass(frozen=True)
class Names:
    """The naming scheme of one corpus's files.

    Attributes:
        layout: Description of the layout in words, for messages.
        pattern: Pattern of the end of a path below the root, without its extension. Groups: ``speaker``, ``emotion``,
            and where the corpus has them ``intensity`` and ``text``. The utterance id is the group ``id``, else the
            match.
        emotions: Value of the group -> our emotion; a name with another value is bad.
        language: Function of the speaker that returns ISO 639-1.
        intensities: Value of the group -> our intensity; others are unknown. A table needs a column for it.
        sentence: Function that returns the transcript of a ``text`` group; None where unknown.
        transcripts: Reader of transcripts that the corpus has in files: root -> file stem -> text.
        emotion_by_id: Whether the id of a table's row tells its emotion, and the column, which has a known mistake, is
            not used.
        traits: Further facts about the corpus.
    """

    layout: str
    pattern: str
    emotions: Mapping[str, str]
    language: Callable[[str], str]
    intensities: Mapping[str, str] | None = None
    sentence: Callable[[str], str | None] | None = None
    transcripts: Callable[[Path], Mapping[str, str]] | None = None
    emotion_by_id: bool = False
    traits: Traits = Traits()
    has_captions: ClassVar[bool] = False


class Named:
    """The adapter of a corpus whose labels are in its file names, or in a table beside the audio."""

    has_captions = False

    def __init__(self, root: Path, names: Names) -> None:
        """Take the folder of the unpacked corpus or of the table, and the naming scheme of the corpus's files."""
        self.root, self.names = root, names
        self.pattern = re.compile(f"(?:^|/)({names.pattern})$")

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every row of the table, or without one every WAV file below the root, by path.

        Raises:
            CorpusError: There is neither table nor file, or the table lacks a column.
        """
        table = self.root / TABLE
        if table.is_file():
            graded = ("intensity",) if self.names.intensities else ()
            _, rows = read_rows(table, ("id", "audio", "speaker", "emotion", *graded))
            yield from each_row(rows, self._from_row)
        else:
            yield from self._from_names()

    def _from_row(self, row: Row) -> Utterance:
        if not row.text("audio"):
            raise ValueError("'audio' is empty; correct the table")
        emotion = label(row, "emotion", "emotion")
        if self.names.emotion_by_id:
            match = self._match(row.text("id"))
            if match is None:
                raise ValueError(f"id {row.text('id')!r} is not as in {self.names.layout}; correct the table")
            emotion = self.names.emotions[match["emotion"]]
        return Utterance(
            utterance_id=row.identifier("id"),
            audio_path=self.root / row.text("audio"),
            where=row.where,
            speaker=row.identifier("speaker"),
            language=self.names.language(row.text("speaker")),
            emotion=emotion,
            intensity=label(row, "intensity", "intensity"),
            transcript=row.text("transcript") or None,
        )

    def _match(self, name: str) -> re.Match[str] | None:
        match = self.pattern.search(name)
        return match if match is not None and match["emotion"] in self.names.emotions else None

    def _from_names(self) -> Iterator[Utterance | BadRow]:
        files = sorted(self.root.glob("**/*.wav"))
        if not files:
            raise CorpusError(
                f"{display(self.root)}: neither {TABLE} in it nor a .wav below it; set 'root' to where "
                f"{self.names.layout} lie"
            )
        texts = self.names.transcripts(self.root) if self.names.transcripts else {}
        for file in files:
            match = self._match(file.relative_to(self.root).with_suffix("").as_posix())
            if match is None:
                reason = f"{display(file)}: name is not as in {self.names.layout}; rename it or take it out"
                yield BadRow(file.stem, display(file), reason)
            else:
                yield self._from_name(file, match, texts.get(file.stem))

    def _from_name(self, file: Path, match: re.Match[str], text: str | None) -> Utterance:
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
            transcript=text or None,
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
EMOVO_SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato ... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
}
RAVDESS_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
RAVDESS_SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
# The corpus's README calls 201 to 300 angry and 301 to 400 sad. Words and voices say the reverse (docs/corpora.md).
KOREMO_EMOTIONS = ("neutral", "happy", "sad", "angry")  # a hundred numbers each, from 1


def _esd_language(speaker: str) -> str:
    return "zh" if speaker <= "0010" else "en"


def _esd_transcripts(root: Path) -> dict[str, str]:
    """Read ``{speaker}/{speaker}.txt``: name, text, emotion by tabs, in UTF-8, UTF-16, GB18030 or Windows-1252."""
    texts = {}
    for file in sorted(root.glob("**/[0-9][0-9][0-9][0-9].txt")):
        single = "gb18030" if _esd_language(file.stem) == "zh" else "cp1252"
        for line in transcript_lines(file, ("utf-8-sig", single)):
            cells = [cell.strip() for cell in line.split("\t")]
            if len(cells) >= 2 and cells[1]:  # lines with a blank instead of a tab give no transcript
                texts[cells[0]] = cells[1]
    return texts


def _koremo_transcripts(root: Path) -> dict[str, str]:
    """Read ``{speaker}/transcript/{name}.txt``, and ``{speaker}/script/{name}.txt`` where there is no transcript."""
    return {
        file.stem: " ".join(transcript_lines(file)).strip()
        for folder in ("script", "transcript")
        for file in root.glob(f"**/{folder}/*.txt")
    }


def _nemo_transcripts(root: Path) -> dict[str, str]:
    """Read ``raw_text`` of ``data.tsv``, in which quotation marks are plain text."""
    table = root / "data.tsv"
    _, rows = read_rows(table, ("file_id", "raw_text"), quoting=csv.QUOTE_NONE)
    for row in rows:
        if row.problem is not None:
            logger.warning("%s: %s; without it the ASR writes the transcript", row.where, row.problem)
    return {row.text("file_id").removesuffix(".wav"): row.text("raw_text") for row in rows}


NAMED = {
    # Livingstone and Russo, PLoS ONE 2018: modality (03: sound alone), channel (01: speech, not song), emotion,
    # intensity, statement, repetition, actor.
    "ravdess": Names(
        "RAVDESS's Actor_01/03-01-06-01-02-01-01.wav",
        r"03-01-(?P<emotion>0\d)-(?P<intensity>0[12])-(?P<text>0[12])-\d\d-(?P<speaker>\d\d)",
        {f"{number:02}": emotion for number, emotion in enumerate(RAVDESS_EMOTIONS, start=1)},
        lambda speaker: "en",
        intensities={"01": "normal", "02": "strong"},
        sentence=RAVDESS_SENTENCES.get,
        traits=Traits(
            "CC BY-NC-SA 4.0 (Livingstone and Russo, RAVDESS, PLoS ONE 2018)",
            hub_licence="cc-by-nc-sa-4.0",
        ),
    ),
    # Christop, LREC-COLING 2024. Names as its README says; texts are in its data.tsv.
    "nemo": Names(
        "nEMO's samples/SK0_anger_1.wav",
        r"(?P<speaker>[A-Z]+\d+)_(?P<emotion>[a-z]+)_\d+",
        dict(anger="angry", fear="fearful", happiness="happy", neutral="neutral", sadness="sad", surprised="surprised"),
        lambda speaker: "pl",
        transcripts=_nemo_transcripts,
        traits=Traits("CC BY-NC-SA 4.0 (Christop, nEMO, LREC-COLING 2024)", hub_licence="cc-by-nc-sa-4.0"),
    ),
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
        traits=Traits(
            "free for research, no licence file: do not pass on (Burkhardt et al., EmoDB, Interspeech 2005)",
            level_normalised=True,
        ),
    ),
    # Costantini et al., LREC 2014.
    "emovo": Names(
        "EMOVO's f1/dis-f1-b1.wav",
        r"(?P<emotion>[a-z]{3})-(?P<speaker>[fm]\d)-(?P<text>[bdln]\d)",
        dict(dis="disgusted", gio="happy", neu="neutral", pau="fearful", rab="angry", sor="surprised", tri="sad"),
        lambda speaker: "it",
        sentence=EMOVO_SENTENCES.get,
        traits=Traits(
            "free for research, no licence file: do not pass on (Costantini et al., EMOVO, LREC 2014)",
        ),
    ),
    # Retta et al., TALLIP 2023: emotion and folder, sentence, repetition, gender, speaker. One published name begins
    # with a capital letter.
    "ased": Names(
        "ASED's 05Angry/a5-03-01-02-50.wav",
        r"(?P<emotion>[A-Za-z])[1-5]-\d\d-\d\d-\d\d-(?P<speaker>\d\d)",
        dict(a="angry", f="fearful", h="happy", n="neutral", s="sad", S="sad"),
        lambda speaker: "am",
        traits=Traits("none given: cite it, and do not pass on (Retta et al., ASED, TALLIP 2023)"),
    ),
    # emotiontts_open_db of KAIST and Selvas AI, its part SpeechCorpus/Emotional, whose README has the layout.
    "koremo": Names(
        "KoreMO's emotional-to-emotional/nea/wav/nea00001.wav",
        r"(?P<speaker>(?:em|ne)[a-z])(?P<emotion>\d{5})",
        {f"{number:05}": KOREMO_EMOTIONS[(number - 1) // 100] for number in range(1, 401)},
        lambda speaker: "ko",
        transcripts=_koremo_transcripts,
        emotion_by_id=True,
        traits=Traits(
            "CC BY-NC-SA 4.0, research only (KAIST and Selvas AI, emotiontts_open_db, 2020)",
            hub_licence="cc-by-nc-sa-4.0",
            level_normalised=True,
        ),
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
