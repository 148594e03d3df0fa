"""A whole made-up experiment, as the report reads it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import soundfile
from made_up import LABELS, REFERENCES, write_captions, write_corpus

from aligncap import artifacts
from aligncap.config import Compute, Evaluation, Table
from aligncap.evaluation.figures.methods import MethodsFiles, draw_methods
from aligncap.evaluation.report.inputs import ReportInputs
from aligncap.evaluation.score import Evaluations, ScoringInputs, ScoringSettings, score_captions
from aligncap.evaluation.tables.assertions import AssertionsTable, write_assertions
from aligncap.evaluation.tables.claims import write_claims
from aligncap.evaluation.tables.comparison import ComparisonInputs, ComparisonSettings, TableFiles, write_comparison
from aligncap.evaluation.tables.render import TableForms
from aligncap.evaluation.tables.tag_reliance import write_tag_reliance
from aligncap.evaluation.tables.zero_shot import write_zero_shot

SETTINGS = Evaluation(meteor=False, bootstrap=50, derangements=3)
ENDINGS = (".parquet", ".csv", ".md", ".tex", "_tests.parquet", "_tests.csv")
SYSTEMS = ("constant", "tag_template", "sft", "kd", "aligncap")


STAGES = {
    "chance": "chance",
    "constant": "constant",
    "tag_template": "tag_template",
    "sft": "alignment",
    "kd": "alignment",
    "aligncap": "preference",
}


def record(audio: Path, wav: Path) -> None:
    """Give every utterance of an ``audio`` artifact a recording, a tone that rises, and say who made it."""
    time_s = np.arange(24_000) / 16_000
    soundfile.write(wav, 0.3 * np.sin(2 * np.pi * (300 + 200 * time_s) * time_s), 16_000)
    rows = [row | {"audio_path": str(wav)} for row in artifacts.read_rows(audio, "audio")]
    artifacts.write(rows, audio, "audio", "prepare_corpus", {"adapter": "synthetic"})


def made_up_inputs(folder: Path) -> ReportInputs:
    """A whole experiment: five systems and chance on one synthetic corpus of 40 clips."""
    paths = write_corpus(folder, clips=40)
    record(paths["audio"], folder / "tone.wav")
    names = [f"u{n:02d}" for n in range(40)]
    captions, outs = {}, {}
    for level, system in enumerate(SYSTEMS):
        said = {n: REFERENCES[LABELS[i % 4 if i % 5 <= level else 1]] for i, n in enumerate(names)}
        if system == "kd":
            said["u00"] = "He sounds <b>angry</b> because of the war & so on"
        captions[system] = write_captions(folder / f"captions/{system}.parquet", said)
    outs = {name: folder / f"evaluation/{name}/demo.parquet" for name in ("chance", *SYSTEMS)}
    gold = [paths[name] for name in ("labels", "prosody", "timbre", "transcripts", "audio")]
    settings, inputs = (
        ScoringSettings("demo", SETTINGS, Compute(precision="fp32", threads=1)),
        ScoringInputs(*gold, captions, folder / "m"),
    )
    score_captions(settings, inputs, Evaluations(outs))
    evaluations = {(name, "demo"): path for name, path in outs.items()}
    table = folder / "tables/zero_shot.parquet"
    rest = [table.with_suffix(suffix) for suffix in (".csv", ".md", ".tex")]
    marks = {"tag_template": "transductive", "demo": "synthetic"}
    write_zero_shot(SETTINGS, evaluations, {}, marks, TableForms(table, *rest))
    tests, drawn, chosen = {}, {}, {}
    for name in ("table1", "table3"):
        outs = TableFiles(*(folder / f"tables/{name}{end}" for end in ENDINGS))
        chosen_rows = Table(systems=("sft", "kd", "aligncap"))
        settings = ComparisonSettings(name, chosen_rows, {}, "reference", SETTINGS)
        write_comparison(settings, ComparisonInputs(table, evaluations, {}), outs)
        chosen[name], tests[name] = outs.parquet, outs.tests
    pictures = [folder / f"figures/figure2.{kind}" for kind in ("svg", "png", "parquet")]
    draw_methods(chosen["table3"], tests["table3"], MethodsFiles(*pictures))
    drawn["figure2"] = pictures[0]
    claims = TableForms(*(folder / f"tables/claims.{kind}" for kind in ("parquet", "csv", "md", "tex")))
    write_claims([("kd", "sft")], SETTINGS, evaluations, {}, claims)
    reliance = folder / "tables/tag_reliance.parquet"
    tagged = {"demo": paths["clues"]}
    write_tag_reliance(SETTINGS, evaluations, {}, tagged, reliance, reliance.with_suffix(".md"))
    assertions = AssertionsTable(*(folder / f"tables/assertions.{kind}" for kind in ("parquet", "csv", "md")))
    write_assertions(SETTINGS, evaluations, {}, assertions)
    training = {}
    for system in ("warm_start base", "kd", "aligncap"):
        rows = [
            {"step": step, "split": split, "metric": metric, "value": scale * math.exp(-step / 40) + 0.1 * (step % 3)}
            for metric, scale in (("loss", 3.0), ("nll", 2.0), ("kl", 1.0))
            for split, steps in (("train", range(1, 100)), ("dev", range(20, 101, 20)))
            for step in steps
        ]
        training[system] = folder / f"training/{system}.parquet"
        artifacts.write(rows, training[system], "training", "test")
    run = {
        "config": {"experiment": "made-up", "seed": 0},
        "git": {"commit": "0123abc", "dirty": True},
        "inputs": {},
        "packages": {"torch": "2.0"},
        "platform": "Linux x86_64",
        "python": "3.11.7",
    }
    (folder / "run.json").write_text(json.dumps(run))
    return ReportInputs(
        table=table,
        snapshot=folder / "run.json",
        evaluations=evaluations,
        references={"demo": paths["labels"]},
        transcripts={"demo": paths["transcripts"]},
        predicted={"demo": paths["clues"]},
        audio={"demo": paths["audio"]},
        stages=STAGES,
        licences={"demo": "free to pass on"},
        training=training,
        synthetic=["demo"],
        tables=chosen,
        tests=tests,
        figures=drawn,
        claims=claims.parquet,
        reliance=reliance,
        assertions=assertions.parquet,
    )
