"""score_captions: one job, all systems, the chance row, absent metrics."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import LABELS, REFERENCES, use_word_encoder, write_captions, write_corpus, write_opinions

from aligncap import artifacts
from aligncap.config import Compute, Evaluation
from aligncap.errors import ArtifactError, MetricError
from aligncap.evaluation import java
from aligncap.evaluation.gold import derangement, read_gold
from aligncap.evaluation.score import Evaluations, ScoringInputs, ScoringSettings, score_captions

SETTINGS = Evaluation(bootstrap=50, derangements=5)


FOUND = {text: label for label, text in REFERENCES.items()}


def _gold(paths):
    return [paths[name] for name in ("labels", "prosody", "timbre", "transcripts", "audio")]


def _run(tmp_path, paths, captions, systems=None, settings=SETTINGS, labels=LABELS):
    files = {name: write_captions(tmp_path / f"captions/{name}.parquet", own) for name, own in captions.items()}
    outs = {name: tmp_path / f"evaluation/{name}/c.parquet" for name in systems or captions}
    said = FOUND | {text: "sad" for own in captions.values() for text in own.values() if text not in FOUND}
    opinions = write_opinions(tmp_path / "opinions.parquet", said, labels)
    manifest = tmp_path / "manifest.json"
    inputs = ScoringInputs(*_gold(paths), files, manifest, opinions)
    score_captions(ScoringSettings("c", settings, Compute(precision="fp32", threads=1)), inputs, Evaluations(outs))
    return outs


def _perfect(clips=12):
    return {f"u{n:02d}": REFERENCES[LABELS[n % 4]] for n in range(clips)}


@pytest.mark.java
def test_perfect_constant_and_chance(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    paths = write_corpus(tmp_path)
    constant = dict.fromkeys(_perfect(), "The speaker sounds sad because of the war.")
    outs = _run(tmp_path, paths, {"good": _perfect(), "constant": constant}, ["chance", "good", "constant"])
    notes = {name: artifacts.read_notes(path, "evaluation") for name, path in outs.items()}
    good, flat, chance = (notes[name]["figures"] for name in ("good", "constant", "chance"))
    assert set(notes["good"]["unavailable"]) == {"spice", "spider"}
    assert good["bleu4"]["value"] == pytest.approx(1) and good["emotion_agreement_macro"]["value"] == 1
    assert good["similarity"]["value"] == pytest.approx(1, abs=1e-5) and good["length_ratio"]["value"] == 1
    assert flat["emotion_agreement_macro"]["value"] == 0.25 and flat["collapse"]["value"] == 1
    assert good["emotion_agreement_macro_2"]["value"] == 1 and good["factuality_hallucination_2"]["value"] == 0
    assert flat["emotion_agreement_2"]["value"] == 0.25 and flat["factuality_hallucination_2"]["value"] == 0.75
    assert flat["factuality_hallucination_covered_2"]["value"] == 0.75
    assert 0 < chance["emotion_agreement_2"]["value"] < 0.6 and flat["coverage_2"]["value"] == 1
    assert flat["distinct1"]["value"] == pytest.approx(7 / 96) and good["distinct1"]["ci_low"] is None
    assert flat["faithfulness_hallucination"]["value"] == 1
    assert flat["emotion_agreement"]["value"] < chance["emotion_agreement"]["value"] + 0.2 < 0.7
    assert chance["bleu4"]["value"] < good["bleu4"]["value"]
    for figures in notes.values():
        for metric, figure in figures["figures"].items():
            assert figure["n"] == 12, metric
            if figure["ci_low"] is not None:
                assert figure["ci_low"] - 1e-9 <= figure["value"] <= figure["ci_high"] + 1e-9, metric
    rows = artifacts.read_rows(outs["constant"], "evaluation")
    assert [row["utterance_id"] for row in rows] == [f"u{n:02d}" for n in range(12)]
    assert any("war" in flag for flag in rows[0]["flags"]) and rows[0]["dominant"] == "sad"
    # "fast" (measured: slow) and "quiet" (measured: high): two of four references go against measured prosody.
    assert good["factuality_hallucination"]["value"] == 0.5


@pytest.mark.java
def test_equal_inputs_give_equal_bytes(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    paths = write_corpus(tmp_path)
    first = _run(tmp_path / "1", paths, {"good": _perfect()}, ["chance", "good"])
    second = _run(tmp_path / "2", paths, {"good": _perfect()}, ["chance", "good"])
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)


def test_without_java_the_rest_is_scored(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)

    def fail():
        raise MetricError("java: none")

    monkeypatch.setattr(java, "find_java", fail)
    outs = _run(tmp_path, write_corpus(tmp_path), {"good": _perfect()})
    notes = artifacts.read_notes(outs["good"], "evaluation")
    assert "bleu4" not in notes["figures"] and "java" in notes["unavailable"]["bleu4"]
    assert notes["figures"]["emotion_agreement"]["value"] == 1
    row = artifacts.read_rows(outs["good"], "evaluation")[0]
    verdicts = [(a["kind"], a["word"], a["verdict"]) for a in row["assertions"]]
    assert verdicts == [("emotion", "angry", "supported"), ("level", "loud", "supported")]
    assert dict(zip(row["metric_names"], row["metric_values"], strict=True))["bleu4"] is None


def test_corpus_without_captions_has_agreement_only(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    paths = write_corpus(tmp_path, captions=False)
    notes = artifacts.read_notes(_run(tmp_path, paths, {"good": _perfect()})["good"], "evaluation")
    assert "no reference captions" in notes["unavailable"]["similarity"]
    assert {"similarity", "bleu4", "length_ratio"}.isdisjoint(notes["figures"])
    assert notes["figures"]["emotion_agreement"]["value"] == 1
    with pytest.raises(MetricError, match="two"):
        _run(tmp_path, paths, {"good": _perfect()}, ["chance", "good"])


def test_the_second_instrument_judges_only_classes_that_it_knows(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    settings = Evaluation(bootstrap=20, meteor=False)
    paths = write_corpus(tmp_path)
    half = _run(tmp_path / "a", paths, {"good": _perfect()}, settings=settings, labels=("angry", "sad"))
    figures = artifacts.read_notes(half["good"], "evaluation")["figures"]
    assert figures["emotion_agreement_2"]["n"] == 6 and figures["coverage_2"]["n"] == 12
    none = _run(tmp_path / "b", paths, {"good": _perfect()}, settings=settings, labels=())
    notes = artifacts.read_notes(none["good"], "evaluation")
    assert "fewer than two" in notes["unavailable"]["emotion_agreement_macro_2"]
    assert "emotion_agreement_2" not in notes["figures"]


def test_a_caption_that_the_second_instrument_never_read_is_an_error(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    paths = write_corpus(tmp_path)
    captions = {"x": write_captions(tmp_path / "x.parquet", dict.fromkeys(_perfect(), "New words."))}
    opinions = write_opinions(tmp_path / "o.parquet", FOUND)
    out = {"x": tmp_path / "out.parquet"}
    with pytest.raises(ArtifactError, match="second_opinion again"):
        inputs = ScoringInputs(*_gold(paths), captions, tmp_path / "manifest.json", opinions)
        score_captions(ScoringSettings("c", SETTINGS, Compute(precision="fp32", threads=1)), inputs, Evaluations(out))


def test_other_utterances_are_refused(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    with pytest.raises(ArtifactError, match="'u11'"):
        _run(tmp_path, write_corpus(tmp_path), {"short": _perfect(11)})


def test_clusters_are_sessions_where_there_are_ten(tmp_path):
    def clusters(folder, sessions):
        return set(read_gold(*_gold(write_corpus(folder, 20, sessions))).cluster.values())

    assert clusters(tmp_path / "ten", 10) == {f"s{n}" for n in range(10)}
    assert clusters(tmp_path / "nine", 9) == set(REFERENCES.values())


def test_only_sessions_of_clips_that_are_scored_are_counted(tmp_path):
    paths = _gold(write_corpus(tmp_path / "two of ten", 20, 10))
    rows = artifacts.read_rows(paths[0], "labels")
    session = {row["utterance_id"]: row["session"] for row in artifacts.read_rows(paths[4], "audio")}
    kept = [row for row in rows if session[row["utterance_id"]] in ("s0", "s1")]
    artifacts.write_rows(kept, paths[0], "labels", "test", {})
    gold = read_gold(*paths)
    assert len(gold.ids) == len(kept) < len(rows)
    assert set(gold.cluster.values()) <= set(REFERENCES.values()), "two sessions are no bootstrap"


def test_derangement_leaves_nothing_in_place():
    generator = np.random.default_rng(0)
    orders = [tuple(derangement(4, generator)) for _ in range(300)]
    assert all(order[n] != n for order in orders for n in range(4)) and len(set(orders)) == 9
