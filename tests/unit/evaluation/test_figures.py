"""Figures 1 to 3: their data, and pictures that are the same every time."""

from __future__ import annotations

import re

import numpy as np
import pytest
from made_up import write_evaluation

from aligncap import artifacts
from aligncap.clues.hallucination_checks import kind_of
from aligncap.config import Evaluation, Figures
from aligncap.errors import ArtifactError
from aligncap.evaluation.figures import drawing
from aligncap.evaluation.figures.charts import training_chart
from aligncap.evaluation.figures.drop import DropInputs, FigureFiles, draw_drop
from aligncap.evaluation.figures.methods import MethodsFiles, draw_methods
from aligncap.evaluation.figures.tsne import TsneFiles, draw_tsne, modality_silhouette, retrieval
from aligncap.evaluation.in_domain import DevFiles, DevInputs, write_devset

SETTINGS = Evaluation(meteor=False, bootstrap=50)
ITEMS = ("emotion_agreement", "factuality_hallucination_covered", "faithfulness_hallucination", "similarity")


def test_labels_of_training_curves_keep_their_digits():
    rows = [{"step": n, "metric": "lr", "split": "train", "value": 1e-4 * n / 10} for n in range(11)]
    svg = training_chart("kd", rows)
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    ticks = [float(text) for text in labels if re.fullmatch(r"0\.0+[1-9]\d*", text)]
    assert len(set(ticks)) >= 3 and max(ticks) == pytest.approx(1e-4)
    assert not re.search(r' d="[^"]*\.\d{3}', svg), "places have two decimals"


def test_dollars_in_a_caption_are_dollars(tmp_path):
    figure1(tmp_path, "figure1", reference=r"A sad voice pays $50% of \it$ all.")
    assert "pays $50% of" in (tmp_path / "figure1.svg").read_text(encoding="utf-8")


def flagged(path, flags):
    """The evaluation with these flags for its first utterances."""
    rows, notes = artifacts.read_rows(path, "evaluation"), artifacts.read_notes(path, "evaluation")
    for row, own in zip(rows, flags, strict=False):
        row["flags"] = own
    artifacts.write(rows, path, "evaluation", "test", notes)
    return path


def figure1(folder, out, reference="A sad voice."):
    right = {"sft": 0.4, "aligncap": 0.8}
    made = {
        (system, corpus): write_evaluation(
            folder / f"{system}-{corpus}.parquet",
            {metric: [float(n % 10 < 10 * share * level) for n in range(20)] for metric in ITEMS},
        )
        for system, share in right.items()
        for corpus, level in (("train_a", 1.0), ("demo", 0.5))
    }
    flagged(made["sft", "demo"], [["emotion: happy against sad"], ["event: wedding"], ["pitch: high against low"]])
    flagged(made["aligncap", "demo"], [["off_instruction: 60 words"]])
    labels = {"captions": [reference], "caption_group": None, "emotion": "sad"}
    rest = dict.fromkeys(("intensity", "valence", "arousal", "transcript"))
    references = [{"utterance_id": f"u{n:02d}", **labels, **rest} for n in range(20)]
    artifacts.write(references, folder / "references.parquet", "labels", "test")
    ends = (".svg", ".png", ".parquet", "_examples.parquet")
    files = FigureFiles(*(folder / f"{out}{end}" for end in ends))
    sides = [{key: path for key, path in made.items() if key[1] == corpus} for corpus in ("train_a", "demo")]
    draw_drop(SETTINGS, list(right), DropInputs(*sides, {"demo": folder / "references.parquet"}), files)
    return files


def test_figure_1_shows_what_is_lost_and_one_example_of_each_hallucination(tmp_path):
    files = figure1(tmp_path, "figure1")
    rows = {
        (row["system"], row["corpus"], row["metric"]): row["value"]
        for row in artifacts.read_rows(files.parquet, "table")
    }
    assert rows["aligncap", "in-domain", "similarity"] == pytest.approx(0.8)
    assert rows["aligncap", "drop", "similarity"] == pytest.approx(0.4)
    examples = artifacts.read_rows(files.examples, "hallucination_examples")
    assert {(row["kind"], row["system"]) for row in examples} == {
        (kind, system) for kind in ("factuality", "faithfulness") for system in ("sft", "aligncap")
    }
    # u00 is left to the last choice: there aligncap hallucinates too.
    assert {row["utterance_id"] for row in examples} == {"u01", "u02"}
    assert files.png.read_bytes()[:4] == b"\x89PNG"
    text = files.svg.read_text()
    assert "pitch: high against low" in text and "train_a" in text


def test_a_picture_is_the_same_every_time_and_fits_into_a_page(tmp_path):
    one, two = figure1(tmp_path, "a"), figure1(tmp_path, "b")
    assert one.png.read_bytes() == two.png.read_bytes()
    inline = drawing.inline(one.svg)
    assert inline.startswith("<svg") and "<metadata>" not in inline and ' width="' not in inline.split(">")[0]
    (tmp_path / "bad.svg").write_text("nothing")
    with pytest.raises(ArtifactError, match="bad.svg"):
        drawing.inline(tmp_path / "bad.svg")


def test_kinds_of_flags():
    assert kind_of("emotion: sad against happy") == kind_of("rate: fast against slow") == "factuality"
    assert kind_of("event: wedding") == kind_of("unfinished: (") == "faithfulness"


def test_figure_2_draws_the_rows_of_the_table(tmp_path):
    rows = [
        {"system": s, "corpus": "demo", "metric": m, "value": v, "ci_low": v - 0.1, "ci_high": v + 0.1, "n": 9}
        for s, v in (("sft", 0.3), ("kd", 0.5), ("kd@0", 0.4))
        for m in ("emotion_agreement_macro", "factuality_hallucination_covered", "cider_d")
    ]
    notes = {"marks": {}, "unavailable": {}, "seeds": {}, "against": "sft"}
    artifacts.write(rows, tmp_path / "table.parquet", "table", "test", notes)
    test = {
        "system": "kd",
        "against": "sft",
        "corpus": "demo",
        "metric": "factuality_hallucination_covered",
        "value": 0.2,
    }
    test |= {"ci_low": 0.1, "ci_high": 0.3, "p": 0.01, "p_holm": 0.02, "n": 9, "seeds": 1}
    artifacts.write([test], tmp_path / "tests.parquet", "differences", "test")
    outs = [tmp_path / f"figure2.{kind}" for kind in ("svg", "png", "parquet")]
    draw_methods(tmp_path / "table.parquet", tmp_path / "tests.parquet", MethodsFiles(*outs))
    assert {row["metric"] for row in artifacts.read_rows(outs[2], "table")} == {
        "emotion_agreement_macro", "factuality_hallucination_covered"
    }  # fmt: skip
    text = outs[0].read_text()
    assert ">kd<" in text and ">kd@0<" not in text and "baseline: sft" in text


def test_retrieval_and_silhouette_by_hand():
    text = np.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    speech = np.asarray([[0.9, 0.1], [0.1, 0.9], [1.0, 0.0]])
    # The second and third text are equal: finding either counts half; the third speech finds the first text.
    assert retrieval(speech, text).tolist() == [1.0, 0.5, 0.0]
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(30, 4))
    assert abs(modality_silhouette(mixed, mixed + 0.01).mean()) < 0.05
    assert modality_silhouette(np.abs(mixed), -np.abs(mixed)).mean() > 0.5


def write_vectors(path, apart):
    generator = np.random.default_rng(1)
    rows = []
    for number in range(12):
        base = generator.normal(size=6)
        for stage in ("before", "after", "response"):
            for modality, shift in (("speech", apart), ("text", 0.0)):
                kl = apart if (stage, modality) == ("response", "speech") else None
                row = {"utterance_id": f"u{number}", "corpus": "train_a", "modality": modality, "stage": stage}
                rows.append({**row, "vector": (base + shift * 5).tolist(), "kl": kl})
    artifacts.write(rows, path, "representations", "test")
    return path


def test_figure_3_puts_numbers_beside_the_picture(tmp_path):
    vectors = {name: write_vectors(tmp_path / f"{name}.parquet", apart) for name, apart in (("sft", 2.0), ("kd", 0.1))}
    ends = (".svg", ".png", "_points.parquet", "_measures.parquet", "_tests.parquet")
    files = TsneFiles(*(tmp_path / f"figure3{end}" for end in ends))
    draw_tsne(Figures(perplexity=5), SETTINGS, vectors, files)
    points = artifacts.read_rows(files.points, "tsne")
    assert len(points) == 2 * 3 * 2 * 12
    value = {(row["system"], row["metric"]): row["value"] for row in artifacts.read_rows(files.measures, "table")}
    assert value["kd", "retrieval_after"] > value["sft", "retrieval_after"]
    assert value["kd", "silhouette_after"] < value["sft", "silhouette_after"]
    assert value["kd", "kl"] == pytest.approx(0.1)
    tests = {row["metric"]: row for row in artifacts.read_rows(files.tests, "differences")}
    assert tests["kl"]["value"] == pytest.approx(-1.9) and tests["kl"]["against"] == "sft"
    text = files.svg.read_text()
    assert "mean KL 0.10" in text and "before LLM decoding" in text and "after LLM decoding" in text
    before = files.points.read_bytes()
    draw_tsne(Figures(perplexity=5), SETTINGS, vectors, files)
    assert files.points.read_bytes() == before


def test_a_devset_holds_dev_utterances_only(tmp_path, training_inputs):
    outs = tmp_path / "references.parquet", tmp_path / "predicted.parquet"
    paths = training_inputs.plan, training_inputs.references["tiny"], training_inputs.predicted["tiny"]
    inputs, files = DevInputs(*paths), DevFiles(*outs)
    write_devset(3, "tiny", inputs, files)
    kept = [row["utterance_id"] for row in artifacts.read_rows(outs[0], "labels")]
    dev = {row["utterance_id"] for row in artifacts.read_rows(training_inputs.plan, "plan") if row["role"] == "dev"}
    assert len(kept) == 3 and set(kept) <= dev
    assert [row["utterance_id"] for row in artifacts.read_rows(outs[1], "clues")] == kept
    with pytest.raises(ArtifactError, match="elsewhere has no dev utterance"):
        write_devset(3, "elsewhere", inputs, files)
