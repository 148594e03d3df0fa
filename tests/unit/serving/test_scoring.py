"""The metrics as a tool: tables of any kind, what is known of the clips, what cannot be measured."""

import json

import pandas as pd
import pytest

from aligncap import score_captions
from aligncap.config import Evaluation
from aligncap.errors import CorpusError, MetricError
from aligncap.evaluation import java, metrics
from aligncap.serving.scoring import Columns, say_what_is_missing

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


def test_captions_that_are_missing_are_an_error_unless_asked_for(nowhere):
    some = {"a": CAPTIONS["a"], "c": CAPTIONS["c"]}
    with pytest.raises(CorpusError, match="1 of 3 references have no caption, first 'b'"):
        score_captions(some, REFERENCES)
    assert score_captions(some, REFERENCES, partial=True, evaluation=QUICK).figures["coverage"]["n"] == 2
    with pytest.raises(CorpusError, match="no utterance in common"):
        score_captions({"x": "Sad."}, REFERENCES)
    with pytest.raises(CorpusError, match="1 captions have no entry in the references, first 'x'"):
        score_captions({**CAPTIONS, "x": "Sad."}, REFERENCES)


def test_a_second_caption_of_a_clip_and_an_unknown_label_are_named(nowhere):
    (nowhere / "said.csv").write_text("id,caption\na,Sad.\na,Angry.\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="line 3: a second caption of 'a'"):
        score_captions(nowhere / "said.csv", REFERENCES)
    (nowhere / "refs.csv").write_text("id,caption,emotion\na,Sad.,melancholy\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="emotion 'melancholy'"):
        score_captions({"a": "Sad."}, nowhere / "refs.csv")
