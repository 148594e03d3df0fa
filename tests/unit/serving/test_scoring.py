"""The metrics as a tool: tables of any kind, what is known of the clips, what cannot be measured."""

import json
from pathlib import Path

import pandas as pd
import pytest

from aligncap import score_captions
from aligncap.config import Evaluation, ModelSource
from aligncap.errors import CorpusError, MetricError
from aligncap.evaluation import java, metrics
from aligncap.models.sentence_encoder import SentenceEncoder
from aligncap.models.sources import fetch_model
from aligncap.serving import scoring
from aligncap.serving.score_tables import Columns, read_told
from aligncap.serving.scoring import say_what_is_missing

MINILM = Path(__file__).parents[3] / "models" / "all-minilm-l6-v2"
QUICK = Evaluation(meteor=False, bootstrap=20)
REFERENCES = {"a": ["She sounds sad.", "A sad voice."], "b": "He is angry.", "c": ["Happy and bright."]}
CAPTIONS = {"a": "The speaker sounds sad.", "b": "He sounds happy.", "c": "Happy and bright."}


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A working directory without base models, so that similarity is absent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    return tmp_path


@pytest.mark.java
def test_figures_are_those_of_the_metrics_and_agreement_is_counted(nowhere):
    scores = score_captions(CAPTIONS, REFERENCES, evaluation=Evaluation(bootstrap=50))
    listed = {name: [text] if isinstance(text, str) else text for name, text in REFERENCES.items()}
    text = metrics.text_metrics({"x": CAPTIONS}, listed)[0]["x"]
    for metric in ("bleu1", "bleu4", "rouge_l", "cider_d", "meteor"):
        assert scores.figures[metric]["value"] == pytest.approx(text.corpus[metric])
        assert [item[metric] for item in scores.items] == [pytest.approx(text.items[name][metric]) for name in "abc"]
    assert scores.figures["emotion_agreement"] | {"ci_low": 0, "ci_high": 0} == {
        "value": pytest.approx(2 / 3), "ci_low": 0, "ci_high": 0, "n": 3,
    }  # fmt: skip
    assert [item["dominant"] for item in scores.items] == ["sad", "happy", "happy"]
    assert scores.items[1]["flags"][0].startswith("emotion: ")
    assert "similarity" not in scores.figures and "models" in scores.unavailable["similarity"]
    assert not [metric for metric in scores.items[0] if metric.endswith("_2")]  # the second instrument is not here


def test_without_java_it_is_said_first_and_the_rest_is_scored(nowhere, monkeypatch):
    def none() -> str:
        raise MetricError("java: none that starts")

    monkeypatch.setattr(java, "find_java", none)
    (line,) = say_what_is_missing(meteor=True, spice="off")
    assert line.startswith("bleu1, ") and "meteor will be absent" in line and "none that starts" in line
    with pytest.raises(MetricError, match="spice: require"):
        say_what_is_missing(meteor=True, spice="require")
    scores = score_captions(CAPTIONS, REFERENCES, evaluation=Evaluation(bootstrap=50))
    assert "bleu1" not in scores.figures and "none that starts" in scores.unavailable["bleu1"]
    assert scores.figures["emotion_agreement"]["value"] == pytest.approx(2 / 3)


def test_what_the_references_tell_of_a_clip_is_held_against_its_caption(nowhere):
    table = nowhere / "refs.csv"
    table.write_text(
        "utterance_id,caption,emotion,level,rate\na,She speaks.,sad,low,slow\nb,He speaks.,anger,,\n", encoding="utf-8"
    )
    captions = nowhere / "said.jsonl"
    rows = [
        {"path": "calls/a.wav", "caption": "A loud, sad voice.", "finished": True},
        {"path": "calls/b.opus", "caption": "He sounds angry and then", "finished": False},
    ]
    captions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    a, b = score_captions(captions, table, evaluation=QUICK).items
    assert a["emotion_agreement"] == 1 and a["factuality_hallucination"] == 1  # the measured level is low
    assert b["factuality_hallucination"] == 0 and b["faithfulness_hallucination"] == 1
    assert any(flag.startswith("unfinished") for flag in b["flags"])


def test_references_may_have_a_row_each_and_columns_may_be_named(nowhere):
    refs = nowhere / "refs.tsv"
    refs.write_text("clip\thuman\na\tShe is sad.\na\tA sad voice.\nb\tAngry.\n", encoding="utf-8")
    pd.DataFrame({"clip": ["a", "b"], "model": ["Sad.", "Angry."]}).to_parquet(nowhere / "said.parquet")
    columns = {"caption_columns": Columns("clip", "model"), "reference_columns": Columns("clip", "human")}
    scores = score_captions(nowhere / "said.parquet", refs, evaluation=QUICK, **columns)
    assert [item["emotion_agreement"] for item in scores.items] == [1, 1]
    with pytest.raises(CorpusError, match="no column for the id; it has clip, human"):
        score_captions(nowhere / "said.parquet", refs)


def test_facts_of_an_utterance_may_stand_in_any_of_its_rows_and_never_contradict(nowhere):
    columns = "id,caption,emotion,level\n"
    rows = "a,A calm voice.,,\na,A sad voice.,sad,low\n"
    (nowhere / "r.csv").write_text(columns + rows, encoding="utf-8")
    scores = score_captions({"a": "A loud, sad voice."}, nowhere / "r.csv", evaluation=QUICK)
    assert scores.items[0]["label"] == "sad" and scores.items[0]["flags"] == ["level: loud against low"]
    (nowhere / "r.csv").write_text(columns + rows + "a,A happy voice.,happy,\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="line 4: emotion 'happy' of 'a', which has 'sad' in .*; state one"):
        score_captions({"a": "A sad voice."}, nowhere / "r.csv", evaluation=QUICK)


def test_captions_that_are_missing_are_an_error_unless_asked_for(nowhere):
    some = {"a": CAPTIONS["a"], "c": CAPTIONS["c"]}
    with pytest.raises(CorpusError, match="1 of 3 references have no caption, first 'b'"):
        score_captions(some, REFERENCES)
    assert score_captions(some, REFERENCES, partial=True, evaluation=QUICK).figures["coverage"]["n"] == 2
    with pytest.raises(CorpusError, match="no utterance in common"):
        score_captions({"x": "Sad."}, REFERENCES)
    with pytest.raises(CorpusError, match="1 captions have no entry in the references, first 'x'"):
        score_captions({**CAPTIONS, "x": "Sad."}, REFERENCES)


def test_sessions_without_a_caption_are_no_clusters(nowhere):
    rows = [f"{clip}{n},Sad in clip {clip}{n}.,s{n}\n" for n in range(10) for clip in "abcd"]
    (nowhere / "refs.csv").write_text("id,caption,session\n" + "".join(rows), encoding="utf-8")
    said = {"a0": "Sad.", "b0": "Angry.", "c0": "Happy.", "d0": "Sad."}
    figure = score_captions(said, nowhere / "refs.csv", partial=True, evaluation=QUICK).figures["emotion_agreement"]
    assert (figure["value"], figure["n"]) == (0.5, 4)
    assert figure["ci_low"] < figure["ci_high"], "drawing the only session again and again tells nothing"


def test_a_second_caption_of_a_clip_and_an_unknown_label_are_named(nowhere):
    (nowhere / "said.csv").write_text("id,caption\na,Sad.\na,Angry.\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="line 3: a second caption of 'a'"):
        score_captions(nowhere / "said.csv", REFERENCES)
    (nowhere / "refs.csv").write_text("id,caption,emotion\na,Sad.,melancholy\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="emotion 'melancholy'"):
        score_captions({"a": "Sad."}, nowhere / "refs.csv")


CHINESE = {"a": "她的声音非常悲伤，语速很慢。", "b": "他非常愤怒，声音很大。", "c": "说话的人很开心"}
OPPOSITE = {"a": "她的声音非常开心，语速很快。", "b": "他十分平静，声音很小。", "c": "说话的人很难过"}


@pytest.mark.java
def test_chinese_captions_are_compared_by_character_and_read_by_the_chinese_parser(nowhere):
    pytest.importorskip("aligncap_zh")
    same, other = (score_captions(own, CHINESE, evaluation=Evaluation(bootstrap=20)) for own in (CHINESE, OPPOSITE))
    assert [same.figures[m]["value"] for m in ("bleu4", "rouge_l", "length_ratio")] == pytest.approx([1, 1, 1])
    assert [same.figures[m]["value"] for m in ("emotion_agreement", "factuality_hallucination")] == [1, 0]
    assert [other.figures[m]["value"] for m in ("emotion_agreement", "factuality_hallucination")] == [0, 1]
    assert [item["dominant"] for item in other.items] == ["happy", "neutral", "sad"]
    # 7 characters each, the last two of which differ
    assert other.items[2]["bleu1"] == pytest.approx(5 / 7) and other.items[2]["length_ratio"] == 1
    for scores in (same, other):
        for metric in ("meteor", "spice", "similarity", "faithfulness_hallucination"):
            assert metric not in scores.figures and "Chinese" in scores.unavailable[metric]
            assert all(item[metric] is None for item in scores.items)


def test_a_language_without_a_parser_has_no_figure_that_needs_one(nowhere):
    scores = score_captions(
        {"a": "슬픈 목소리", "b": "화난 목소리"}, {"a": "슬픈 목소리입니다", "b": "화난 목소리"}, evaluation=QUICK
    )
    for metric in ("emotion_agreement", "emotion_agreement_macro", "coverage", "faithfulness_hallucination"):
        assert metric not in scores.figures and "no emotion grammar for language 'ko'" in scores.unavailable[metric]
    assert scores.by_kind == [] and [item["assertions"] for item in scores.items] == [[], []]


def test_similarity_in_another_language_needs_an_encoder_that_reads_it(nowhere):
    tiny = nowhere / "tiny-bert"  # reads bytes, so any language
    source = ModelSource(name="tiny-bert", files=("random:bert",), format="sentence_transformers")
    fetch_model(source, tiny / "manifest.json")
    scores = score_captions(CHINESE, CHINESE, evaluation=QUICK, sentence_encoder=tiny)
    assert scores.figures["similarity"]["value"] == pytest.approx(1)
    mixed = score_captions({**CAPTIONS, "b": CHINESE["b"]}, REFERENCES, evaluation=QUICK, sentence_encoder=tiny)
    assert [item["similarity"] is None for item in mixed.items] == [False, True, False]
    assert mixed.figures["similarity"]["n"] == 2
    empty = score_captions({**CHINESE, "b": ""}, CHINESE, evaluation=QUICK, sentence_encoder=tiny)
    assert empty.figures["similarity"]["n"] == 3


@pytest.mark.models
@pytest.mark.skipif(not MINILM.is_dir(), reason="models/all-minilm-l6-v2 has not been fetched")
def test_an_english_sentence_encoder_gives_chinese_captions_no_similarity(nowhere):
    scores = score_captions(CHINESE, CHINESE, evaluation=QUICK, sentence_encoder=MINILM)
    assert "similarity" not in scores.figures and "none of its vocabulary" in scores.unavailable["similarity"]
    assert SentenceEncoder(MINILM).unknown(["She sounds sad.", ""]) == 0


def test_captions_and_references_of_two_languages_are_refused(nowhere):
    with pytest.raises(CorpusError, match="captions are English and the references Chinese"):
        score_captions(CAPTIONS, CHINESE)
    with pytest.raises(CorpusError, match="captions are Chinese and the references English"):
        score_captions(CHINESE, REFERENCES)
    with pytest.raises(CorpusError, match="a reference of 'a' is not English as most are"):
        score_captions(CAPTIONS, {**REFERENCES, "a": ["She sounds sad.", CHINESE["a"]]})


def savee(folder, *names, column="path"):
    """A table of captions of recordings below ``folder``."""
    lines = [f"{folder}/{name}.wav,He sounds {'sad' if 'DC' in name else 'angry'}." for name in names]
    return "".join(f"{line}\n" for line in [f"{column},caption", *lines])


def agreements(captions: str, references: str, **options) -> dict[str, float]:
    Path("said.csv").write_text(captions, encoding="utf-8")
    Path("refs.csv").write_text(references, encoding="utf-8")
    scores = score_captions("said.csv", "refs.csv", evaluation=QUICK, **options)
    return {item["utterance_id"]: item["emotion_agreement"] for item in scores.items}


def test_files_of_the_same_name_in_several_folders_are_told_apart(nowhere):
    four = ("DC/a01", "DC/a02", "JE/a01", "JE/a02")
    said = savee("/data/S", *four)
    ids = "utterance_id,caption\n" + "".join(f"{name},{'Sad' if 'DC' in name else 'Angry'}.\n" for name in four)
    assert agreements(said, ids) == dict.fromkeys(four, 1)
    assert agreements(said, savee("elsewhere/savee", *four, column="file")) == dict.fromkeys(four, 1)
    # only one folder was captioned, so that the names are unique there
    assert agreements(savee("/data/S", "DC/a01", "DC/a02"), ids, partial=True) == {"DC/a01": 1, "DC/a02": 1}
    assert agreements(savee("S", "DC/a01", "JE/a02"), savee("x", *four), partial=True) == {"DC/a01": 1, "JE/a02": 1}
    # names that are unique in the references
    assert agreements(savee("S", "DC/a01", "DC/a02"), "id,caption\na01,Sad.\na02,Sad.\n") == {"a01": 1, "a02": 1}
    # the references are paths, the captions ids
    assert agreements(ids, said) == dict.fromkeys(four, 1)
    assert agreements(savee("S", "a01", "DC/a01"), savee("T", "a01", "DC/a01")) == {"a01": 1, "DC/a01": 1}


def test_two_recordings_never_become_one(nowhere):
    with pytest.raises(CorpusError, match="no utterance in common"):
        agreements(savee("S", "DC/a01", "JE/a01"), "id,caption\na01,Sad.\n")
    with pytest.raises(CorpusError, match="line 3: a second caption of 'a01'"):
        agreements(savee("S", "DC/a01", "DC/a01"), "id,caption\na01,Sad.\n")


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("level", "Low", "low"),
        ("level", "quiet", "low"),
        ("level", "LOUD", "high"),
        ("pitch", " High ", "high"),
        ("pitch", "medium", "mid"),
        ("rate", "Slow", "slow"),
        ("rate", "Fast", "fast"),
        ("rate", "high", "fast"),
        ("timbre", "Breathy", "breathy"),
        ("timbre", "hoarse", "hoarse"),
        ("level", "", None),
    ],
)
def test_what_is_measured_is_read_in_other_words_too(nowhere, column, cell, value):
    Path("refs.csv").write_text(f"id,caption,{column}\na,Sad.,{cell}\n", encoding="utf-8")
    rows, _ = read_told(Path("refs.csv"), Columns())
    assert getattr(scoring._gold(rows, "en", {}).truth["a"], column) == value


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [("level", "fast", "low, mid, high"), ("pitch", "210.3", "low, mid, high"), ("rate", "falling", "slow, mid, fast")],
)
def test_a_measured_value_that_is_none_is_named(nowhere, column, cell, expected):
    Path("refs.csv").write_text(f"id,caption,{column}\na,Sad.,{cell}\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=rf"refs.csv: line 2: {column} '{cell}', expected one of {expected}; correct"):
        score_captions({"a": "Sad."}, "refs.csv")


def test_a_level_in_other_words_contradicts_a_caption(nowhere):
    Path("refs.csv").write_text("id,caption,level\na,Sad.,Quiet\n", encoding="utf-8")
    (item,) = score_captions({"a": "A loud, sad voice."}, "refs.csv", evaluation=QUICK).items
    assert item["flags"] == ["level: loud against low"]


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("\"['She\\'s sad.', 'A sad voice.']\"", ["She's sad.", "A sad voice."]),
        ('"[""Sad."", ""A \'sad\' voice.""]"', ["Sad.", "A 'sad' voice."]),
        ("[]", []),
        ("[laughs] Happy.", ["[laughs] Happy."]),
        ("'=sad", ["=sad"]),
    ],
)
def test_a_cell_may_hold_a_list_of_references(nowhere, cell, texts):
    Path("refs.csv").write_text(f"id,captions\na,{cell}\n", encoding="utf-8")
    ((row,), by_path) = read_told(Path("refs.csv"), Columns())
    assert row.texts == texts and not by_path


@pytest.mark.parametrize("cell", ["['Sad.' 'A sad voice.']", "[sad and low]", "[1]", '"[""a"", null]"', "['a]"])
def test_a_cell_that_looks_like_a_list_and_is_none_is_named(nowhere, cell):
    Path("refs.csv").write_text(f"id,captions\nb,Sad.\na,{cell}\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="refs.csv: line 3: 'captions' holds"):
        score_captions({"a": "Sad."}, "refs.csv", partial=True)


def test_a_table_of_the_captioner_that_a_spreadsheet_cannot_run_is_read_back(nowhere):
    Path("said.csv").write_text("path,caption,finished\n'-a.wav,'=sad,True\n", encoding="utf-8")
    (item,) = score_captions("said.csv", {"-a": "Sad."}, evaluation=QUICK).items
    assert item["caption"] == "=sad"
