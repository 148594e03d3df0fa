"""Published layouts of the named corpora, on miniature trees."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.corpora.base import BadRow, Utterance
from aligncap.corpora.named import NAMED
from aligncap.corpora.prepare import prepare_corpus
from aligncap.corpora.registry import make_adapter
from aligncap.corpora.tables import TABLES
from aligncap.errors import CorpusError

Wav = Callable[[str], Path]


def read(adapter: str, root: Path) -> list[Utterance | BadRow]:
    corpus = Corpus(adapter=adapter, role="train", root=str(root))
    return list(make_adapter(corpus, 0, root / "unpacked").iter_utterances())


def only(adapter: str, root: Path) -> Utterance:
    (utterance,) = read(adapter, root)
    assert isinstance(utterance, Utterance), utterance
    return utterance


@pytest.mark.parametrize(
    ("adapter", "name", "told"),
    [
        ("crema_d", "AudioWAV/1001_DFA_ANG_XX.wav", ("1001_DFA_ANG_XX", "1001", "en", "angry", None)),
        ("crema_d", "AudioWAV/1091_WSI_HAP_HI.wav", ("1091_WSI_HAP_HI", "1091", "en", "happy", "strong")),
        ("crema_d", "AudioWAV/1002_IEO_FEA_MD.wav", ("1002_IEO_FEA_MD", "1002", "en", "fearful", "normal")),
        ("crema_d", "AudioWAV/1002_IEO_DIS_LO.wav", ("1002_IEO_DIS_LO", "1002", "en", "disgusted", None)),
        ("emodb", "wav/03a01Fa.wav", ("03a01Fa", "03", "de", "happy", None)),
        ("emodb", "wav/16b10Lb.wav", ("16b10Lb", "16", "de", "other", None)),
        ("emovo", "EMOVO/f1/dis-f1-b1.wav", ("dis-f1-b1", "f1", "it", "disgusted", None)),
        ("emovo", "m3/gio-m3-n5.wav", ("gio-m3-n5", "m3", "it", "happy", None)),
        ("ased", "05Angry/a5-03-01-02-50.wav", ("a5-03-01-02-50", "50", "am", "angry", None)),
        ("ased", "04Sad/S4-04-02-01-29.wav", ("S4-04-02-01-29", "29", "am", "sad", None)),
        ("koremo", "plain-to-emotional/ema/wav/ema00100.wav", ("ema00100", "ema", "ko", "neutral", None)),
        ("koremo", "plain-to-emotional/emh/wav/emh00101.wav", ("emh00101", "emh", "ko", "happy", None)),
        ("koremo", "emotional-to-emotional/neo/wav/neo00300.wav", ("neo00300", "neo", "ko", "sad", None)),
        ("koremo", "emotional-to-emotional/neo/wav/neo00400.wav", ("neo00400", "neo", "ko", "angry", None)),
        ("ravdess", "Actor_12/03-01-06-02-02-01-12.wav", ("03-01-06-02-02-01-12", "12", "en", "fearful", "strong")),
        ("ravdess", "Actor_01/03-01-01-01-01-01-01.wav", ("03-01-01-01-01-01-01", "01", "en", "neutral", "normal")),
        ("tess", "YAF_pleasant_surprised/YAF_back_ps.wav", ("YAF_back_ps", "YA", "en", "surprised", None)),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", ("OA_bite_neutral", "OA", "en", "neutral", None)),
        ("savee", "AudioData/DC/sa01.wav", ("DC_sa01", "DC", "en", "sad", None)),
        ("savee", "ALL/KL_su15.wav", ("KL_su15", "KL", "en", "surprised", None)),
        ("urdu", "Angry/SM1_F1_A01.wav", ("SM1_F1_A01", "SM1", "ur", "angry", None)),
        ("urdu", "Sad/SF3_F10_S09.wav", ("SF3_F10_S09", "SF3", "ur", "sad", None)),
        ("esd", "0011/Surprise/train/0011_001401.wav", ("0011_001401", "0011", "en", "surprised", None)),
        ("esd", "0004/Angry/0004_000351.wav", ("0004_000351", "0004", "zh", "angry", None)),
    ],
)
def test_labels_in_file_names(tmp_path: Path, make_wav: Wav, adapter: str, name: str, told: tuple) -> None:
    path = make_wav(name)
    got = only(adapter, tmp_path)
    assert (got.utterance_id, got.audio_path) == (told[0], path)
    assert (got.speaker, got.language, got.emotion, got.intensity) == told[1:]


def test_sentences_that_are_known_by_a_code(tmp_path: Path, make_wav: Wav) -> None:
    told = {
        "crema_d": ("1001_ITH_NEU_XX.wav", "I think I have a doctor's appointment."),
        "emodb": ("03a02Nc.wav", "Das will sie am Mittwoch abgeben."),
        "tess": ("OAF_dog_fear.wav", "Say the word dog."),
        "savee": ("DC/n01.wav", None),
        "emovo": ("f2/rab-f2-d1.wav", "Sabato sera cosa farà?"),
        "ravdess": ("Actor_12/03-01-06-02-02-01-12.wav", "Dogs are sitting by the door."),
    }
    for adapter, (name, text) in told.items():
        make_wav(f"{adapter}/{name}")
        assert only(adapter, tmp_path / adapter).transcript == text


@pytest.mark.parametrize(
    ("speaker", "text", "encoding"),
    [
        ("0011", "It's “late”.", "utf-8"),
        ("0012", "It's “late”.", "utf-16"),
        ("0016", "It’s late.", "cp1252"),
        ("0001", "打远一看", "gb18030"),
    ],
)
def test_esd_transcripts_in_every_encoding(tmp_path, make_wav, speaker, text, encoding) -> None:
    make_wav(f"{speaker}/Angry/test/{speaker}_000371.wav")
    lines = f"{speaker}_000371\t{text}\tAngry\r\n{speaker}_000372 no tabs here\r\n"
    (tmp_path / speaker / f"{speaker}.txt").write_bytes(lines.encode(encoding))
    assert only("esd", tmp_path).transcript == text


def test_nemo_has_its_texts_in_a_table(tmp_path: Path, make_wav: Wav) -> None:
    path = make_wav("samples/SK0_anger_1.wav")
    header = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    row = 'SK0_anger_1.wav\tanger\t„Ród" smoka\tród smoka\t        SK0\tfemale\t21\n'  # a stray quote, and blanks
    (tmp_path / "data.tsv").write_text(header + row, encoding="utf-8")
    got = only("nemo", tmp_path)
    assert (got.utterance_id, got.audio_path) == ("SK0_anger_1", path)
    assert (got.emotion, got.speaker, got.language, got.transcript) == ("angry", "SK0", "pl", '„Ród" smoka')
    (tmp_path / "data.tsv").unlink()
    with pytest.raises(CorpusError, match=r"data\.tsv: no such file"):
        read("nemo", tmp_path)


def test_koremo_has_a_text_beside_each_clip(tmp_path: Path, make_wav: Wav) -> None:
    for name, folder in (("nea00001", "transcript"), ("nea00001", "script"), ("nea00002", "script")):
        make_wav(f"nea/wav/{name}.wav")
        (tmp_path / "nea" / folder).mkdir(exist_ok=True)
        (tmp_path / "nea" / folder / f"{name}.txt").write_text(f"{folder} 1\n", encoding="utf-8-sig")
    assert [got.transcript for got in read("koremo", tmp_path)] == ["transcript 1", "script 1"]


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        ("ravdess", "Actor_12/03-02-06-02-02-01-12.wav"),  # sung
        ("koremo", "nea/wav/nea00401.wav"),
        ("koremo", "nea/wav/nea00000.wav"),
        ("ased", "05Angry/b5-03-01-02-50.wav"),
        ("emovo", "f1/ira-f1-b1.wav"),
    ],
)
def test_a_name_with_an_unknown_code_is_a_bad_row(tmp_path: Path, make_wav: Wav, adapter: str, name: str) -> None:
    make_wav(name)
    (row,) = read(adapter, tmp_path)
    assert isinstance(row, BadRow) and "name is not as in" in row.reason


@pytest.mark.parametrize("adapter", sorted({*NAMED} - {"nemo"}))
def test_a_stranger_among_the_files_is_a_bad_row(tmp_path: Path, make_wav: Wav, adapter: str) -> None:
    make_wav("wav/take one.wav")
    (row,) = read(adapter, tmp_path)
    assert isinstance(row, BadRow) and "take one.wav" in row.reason and "rename" in row.reason


@pytest.mark.parametrize("adapter", sorted({*NAMED, *TABLES, "iemocap", "webdataset"}))
def test_an_empty_folder_is_refused_in_one_line(tmp_path: Path, adapter: str) -> None:
    with pytest.raises(CorpusError, match="set 'root'") as caught:
        read(adapter, tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(CorpusError, match="no such folder"):
        read(adapter, tmp_path / "nowhere")


IEMOCAP_LABELS = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes03F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()

[10.0100 - 11.3925]\tSes03F_impro01_M000\texc\t[4.5000, 4.0000, 2.5000]
[14.0100 - 15.3925]\tSes03F_impro01_F001\txxx\t[2.0000, 1.5000, 2.5000]
[16.0100 - 17.3925]\tSes03F_impro01_F002\tzzz\t[2.0000, 1.5000, 2.5000]
"""
IEMOCAP_TEXTS = """Ses03F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses03F_impro01_M000 [010.0100-011.3925]: [LAUGHTER] Yeah.
"""


def test_iemocap(tmp_path: Path) -> None:
    dialog = tmp_path / "IEMOCAP_full_release/Session3/dialog"
    for folder, text in (("EmoEvaluation", IEMOCAP_LABELS), ("transcriptions", IEMOCAP_TEXTS)):
        (dialog / folder).mkdir(parents=True)
        (dialog / folder / "Ses03F_impro01.txt").write_text(text, encoding="utf-8")
    first, second, third, bad = read("iemocap", tmp_path)
    assert (first.speaker, first.session, first.emotion, first.valence, first.arousal) == (
        "03F",
        "03",
        "neutral",
        "mid",
        "mid",
    )
    assert first.audio_path == dialog.parent / "sentences/wav/Ses03F_impro01/Ses03F_impro01_F000.wav"
    assert (second.speaker, second.emotion, second.valence, second.transcript) == ("03M", "happy", "high", "Yeah.")
    assert (third.emotion, third.arousal, third.transcript) == (None, "low", None)
    assert isinstance(bad, BadRow) and "'zzz'" in bad.reason and "line 8" in bad.reason


MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def test_meld_splits(tmp_path: Path, make_wav: Wav) -> None:
    line = '1,"That\x92s it, then.",Chandler,{},{},5,2,8,21,"00:16:16,059","00:16:21,731"\n'
    (tmp_path / "train").mkdir()
    for name, emotion, sentiment in (("train/train", "joy", "positive"), ("test", "disgust", "negative")):
        table = tmp_path / f"{name}_sent_emo.csv"
        table.write_text(MELD_HEADER + line.format(emotion, sentiment), encoding="utf-8")
    train = make_wav("train/train_splits/dia5_utt2.mp4")
    test = make_wav("output_repeated_splits_test/dia5_utt2.wav")
    got = {u.utterance_id: u for u in read("meld", tmp_path)}
    assert {name: u.audio_path for name, u in got.items()} == {"train_dia5_utt2": train, "test_dia5_utt2": test}
    first = got["train_dia5_utt2"]
    assert (first.speaker, first.session, first.emotion) == ("Chandler", "train_dia5", "happy")
    assert (first.valence, first.transcript) == ("high", "That's it, then.")
    one = only("meld", tmp_path / "test_sent_emo.csv")
    assert (one.utterance_id, one.emotion, one.valence) == ("test_dia5_utt2", "disgusted", "low")


def test_emns(tmp_path: Path, make_wav: Wav) -> None:
    header = "id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording|user_id\n"
    row = "7|Run!|Shouting, out of breath.|{}|2022|Complete|Female|28|9|wavs/recorded_audio_{}.webm|3\n"
    text = header + row.format("Excited", "a") + row.format("Sarcastic", "b") + row.format("Blue", "c")
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8")
    path = make_wav("cleaned_webm/recorded_audio_a.webm")
    first, second, bad = read("emns", tmp_path)
    assert (first.utterance_id, first.audio_path, first.speaker) == ("recorded_audio_a", path, "3")
    assert (first.captions, first.emotion, first.transcript) == (("Shouting, out of breath.",), "happy", "Run!")
    assert second.emotion == "other" and "'Blue'" in bad.reason


def test_textrolspeech(tmp_path: Path, make_wav: Wav) -> None:
    path = make_wav("emotion_dataset/ESD/0011/0011_000400.wav")
    (tmp_path / "caption").mkdir()
    header = "num,wav_fp,item_name,gender,pitch,tempo,energy,emotion,style_prompt,content_prompt\n"
    row = "{},{},{},M,low,normal,high,{},Loudly he speaks.,A text.\n"
    rows = (
        row.format(0, "emotion_dataset/ESD/0011/0011_000400.wav", "0011_000400.wav", "fear"),
        row.format(1, "libritts/1034.wav", "1034_121119_000005_000001", "neutral"),
        row.format(2, "vctk/p225_001.wav", "p225_001", "contempt"),
    )
    (tmp_path / "caption/random_train.csv").write_text(header + "".join(rows), encoding="utf-8")
    got = read("textrolspeech", tmp_path)
    assert got[0].audio_path == path and got[0].captions == ("Loudly he speaks.",)
    assert [(u.emotion, u.speaker) for u in got] == [("fearful", ""), ("neutral", "1034"), ("contemptuous", "p225")]


def test_promptspeech_finds_its_clips_in_libritts(tmp_path: Path, make_wav: Wav) -> None:
    path = make_wav("LibriTTS/test-clean/1089/134686/1089_134686_000003_000000.wav")
    text = "item_name,gender,pitch,speed,energy,style_prompt\n1089_134686_000003_000000,M,high,slow,low,A high voice.\n"
    (tmp_path / "Real_training.csv").write_text(text, encoding="utf-8")
    got = only("promptspeech", tmp_path)
    assert (got.audio_path, got.speaker, got.session) == (path, "1089", "1089_134686")
    assert (got.captions, got.emotion) == (("A high voice.",), None)


def test_nnime_takes_what_most_listeners_named(tmp_path: Path, make_wav: Wav) -> None:
    path = make_wav("Audios/happy_12_B_026.wav")
    header = ",angry,frustrated,disappointed,sad,fear,neutral,surprise,excited,happy,relax,joy,EmoAct,EmoVal,SpkrID,"
    rows = [
        "happy_12_B_026.wav,.005,.005,.005,.005,.005,.32,.005,.32,.005,.005,.32,4.8,4.8,24,Female,Train",
        "sad_19_B_016.wav,.4775,.005,.005,.4775,.005,.005,.005,.005,.005,.005,.005,3,2,38,Male,Test",
    ]
    (tmp_path / "Secondary").mkdir()
    table = tmp_path / "Secondary/labels_consensus_1.csv"
    table.write_text("\n".join([header + "Gender,Split_Set", *rows]), encoding="utf-8")
    first, tied = read("nnime", tmp_path)
    assert (first.audio_path, first.emotion, first.valence, first.arousal) == (path, "happy", "high", "high")
    assert (first.speaker, first.session, first.language) == ("24", "12", "zh")
    assert (tied.emotion, tied.valence) == (None, "low")


def test_mer2023(tmp_path: Path, make_wav: Wav) -> None:
    text = "name,discrete,valence\n{},{},-1.5\n"
    for table, name, emotion in (
        ("mer2023train/train-label.csv", "sample_1", "worried"),
        ("test-labels/test1-label.csv", "sample_2", "surprise"),
    ):
        (tmp_path / table).parent.mkdir()
        (tmp_path / table).write_text(text.format(name, emotion), encoding="utf-8")
    clips = [make_wav("mer2023train/train/sample_1.avi"), make_wav("test1/sample_2.avi")]
    got = read("mer2023", tmp_path)
    assert [(u.audio_path, u.emotion, u.language) for u in got] == [
        (clips[0], "worried", "zh"),
        (clips[1], "surprised", "zh"),
    ]


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-label.csv").write_text("name,label\na,b\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="no column 'discrete'"):
        read("mer2023", tmp_path)


def test_a_named_corpus_is_prepared_like_every_other(tmp_path: Path, make_wav: Wav) -> None:
    for name in ("1001_DFA_ANG_XX", "1001_TSI_HAP_XX", "1002_IEO_SAD_LO"):
        make_wav(f"AudioWAV/{name}.wav")
    (tmp_path / "AudioWAV/1076_MTI_SAD_XX.wav").write_bytes(b"")  # the published clip has no signal
    paths = [tmp_path / f"out/{name}.parquet" for name in ("audio", "labels", "skipped")]
    prepare_corpus(
        "c", Corpus(adapter="crema_d", role="train", root=str(tmp_path)), SpeechSettings(detector="off"), 0, *paths
    )
    audio = artifacts.read_rows(paths[0], "audio")
    assert [(row["speaker"], row["language"]) for row in audio] == [("1001", "en"), ("1001", "en"), ("1002", "en")]
    assert [row["emotion"] for row in artifacts.read_rows(paths[1], "labels")] == ["angry", "happy", "sad"]
    (skipped,) = artifacts.read_rows(paths[2], "skipped")
    assert "1076_MTI_SAD_XX.wav: 0 bytes" in skipped["reason"]
