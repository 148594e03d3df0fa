"""aligncap verify: a finished tiny run is equal to itself, and whatever was changed in it afterwards is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up import LABELS, REFERENCES, use_word_encoder, write_captions, write_corpus, write_judged, write_opinions
from tiny_config import RAW

from aligncap import artifacts
from aligncap.clues.tagger.familiarity import Familiarity
from aligncap.clues.tagger.heads import Head
from aligncap.clues.tagger.model import Tagger
from aligncap.errors import ArtifactError, ConfigError, MetricError
from aligncap.evaluation import java
from aligncap.evaluation.score import Evaluations, score_captions
from aligncap.evaluation.tables import contents
from aligncap.evaluation.verify.cells import read_cells
from aligncap.evaluation.verify.run import verify
from aligncap.evaluation.verify.tables import Run, recomputations, scoring
from aligncap.serving import cli
from aligncap.systems import merge, parse

CONFIG = merge(
    RAW,
    {
        "systems": {"kd": {"seeds": [1]}, "tag_template": {"stage": "tag_template"}, "chance": {"stage": "chance"}},
        "tables": {
            "claims": [["kd", "tag_template"]],
            "table1": {"against": "tag_template"},
            "table4": {"against": "tag_template"},
        },
        "evaluation": {"bootstrap": 40, "derangements": 3},
        "compute": {"threads": 1, "precision": "fp32"},
    },
)
IDS = [f"u{n:02d}" for n in range(12)]
SAID = {  # label of the reference that each system's captions repeat, clip by clip
    "kd": [LABELS[n % 4] for n in range(12)],
    "kd@1": [LABELS[n % 3] for n in range(12)],
    "tag_template": [LABELS[n % 2] for n in range(12)],
}


def _corpus(results: Path, corpus: str) -> None:
    for name, path in write_corpus(results / "made").items():
        place = {"labels": "corpora/*/references", "clues": "clues/*/predicted", "transcripts": "transcripts/*"}
        target = results / f"{place.get(name, f'corpora/*/{name}')}.parquet".replace("*", corpus)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    (results / "made").rmdir()
    references, clues = results / f"corpora/{corpus}/references.parquet", results / f"clues/{corpus}"
    rows = artifacts.read_rows(references, "labels")
    artifacts.write(rows, references, "labels", "test", {"caption_source": "corpus"})
    shutil.copy(clues / "predicted.parquet", clues / "gold.parquet")
    audio = results / f"corpora/{corpus}/audio.parquet"
    files = [row | {"audio_sha256": corpus + row["utterance_id"]} for row in artifacts.read_rows(audio, "audio")]
    artifacts.write(files, audio, "audio", "test")


def _tagger(results: Path) -> None:
    for name, folds in (("out_of_fold", "speaker"), ("other_folds", "corpus")):
        rows = [
            {"utterance_id": i, "corpus": "a", "kind": "emotion", "target": LABELS[n % 4], "labels": ["angry", "sad"]}
            | {"probabilities": [0.75, 0.25]}
            for n, i in enumerate(IDS)
        ]
        artifacts.write(rows, results / f"tagger/{name}.parquet", "tagger_predictions", "test", {"folds": folds})
    ones = np.ones(2, np.float32)
    head = Head(("angry", "sad"), np.array([[2.0, 0.0], [0.0, 0.0]], np.float32), 0 * ones)
    known = Familiarity(0 * ones, 0 * ones[None], np.array([0, 99], np.float32))
    Tagger(0 * ones, ones, {"emotion": head}, known, "train", "mean").save(results / "tagger/tagger.safetensors")
    (results / "features").mkdir()
    (results / "features/b.parquet").touch()  # read by `stream_features`, which the fixture replaces


def _tables(results: Path) -> None:
    """Make the tables as the rules do."""
    run = Run(results, parse(CONFIG), results.parents[1] / "models")
    tables = results / "tables"
    for name, own in recomputations(run, tables / "zero_shot.parquet").items():
        own.write(*(tables / f"{name}{ending}" for ending in own.endings))


def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java, an encoder that counts words, and features without a file."""

    def none() -> None:
        raise MetricError("java: none")

    use_word_encoder(monkeypatch)
    monkeypatch.setattr(java, "find_java", none)
    features = {i: np.full((1, 3, 2), 1 if n % 3 else -1) for n, i in enumerate(IDS)}
    monkeypatch.setattr("aligncap.speech.features.stream_features", lambda path: features.items())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished run: two seeds of a trained system, a baseline and chance."""
    project = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _stand_ins(monkeypatch)
        _run(project)
    return project


@pytest.fixture
def results(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of its results, to be changed."""
    _stand_ins(monkeypatch)
    return shutil.copytree(finished, tmp_path / "project") / "results/tiny"


def _run(project: Path) -> None:
    results, settings = project / "results/tiny", parse(CONFIG)
    for corpus in "ab":
        _corpus(results, corpus)
    _tagger(results)
    for system, said in SAID.items():
        own = {i: REFERENCES[label] for i, label in zip(IDS, said, strict=True)}
        write_captions(results / f"captions/{system}/b.parquet", own)
        write_judged(results / f"judged/{system}/b.parquet", [3.0 + (label == "sad") for label in said])
    write_opinions(results / "second_opinions/b.parquet", {text: label for label, text in REFERENCES.items()})
    manifest = project / "models/m/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    run = Run(results, settings, project / "models")
    outs = {system: path for (system, _), path in run.evaluations(contents.scored(settings)).items()}
    score_captions(*scoring(run, "b"), Evaluations(outs))
    _tables(results)
    config = settings.model_dump(mode="json")
    artifacts.write_json(
        {"config": {name: config[name] for name in config if name != "tracking"}}, results / "run.json"
    )


def check(results: Path, captions: bool = True) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(file, row, column) of what differs, and the problems."""
    found = verify(results, results.parents[1] / "models", captions)
    return [cell[:3] for cell in found.different], [why.replace(f"{results}/", "") for why in found.problems]


def edit(path: Path, schema: str, change: Callable[[dict], None], row: int = 0) -> None:
    rows, notes = artifacts.read_rows(path, schema), artifacts.read_notes(path, schema)
    change(rows[row])
    artifacts.write(rows, path, schema, "test", notes)


def test_a_run_is_equal_to_itself(results: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    found = verify(results, results.parents[1] / "models")
    assert (found.different, found.problems) == ([], {})
    names = {path.stem.removesuffix("_tests").removesuffix("_reliability") for path in (results / "tables").iterdir()}
    assert {"zero_shot", "claims", "tag_reliance", "assertions", "tagger", "parser", "listeners", "table4"} <= names
    assert found.tables == len(names) and found.captions == 4 * len(IDS)
    assert found.cells == sum(len(read_cells(path)) for path in (results / "tables").iterdir()) > 1000
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


SCHEMA = {  # of the tables that have intervals
    "zero_shot": "table",
    "table4": "table",
    "table1_tests": "differences",
    "claims": "claims",
    "tag_reliance": "table",
    "assertions": "assertions",
    "tagger": "tagger_table",
    "parser": "parser",
}


@pytest.mark.parametrize(
    ("file", "column"), [*((file, column) for file in SCHEMA for column in ("value", "ci_low")), ("listeners", "value")]
)
def test_a_changed_value_or_interval_is_named(results: Path, file: str, column: str) -> None:
    path, schema = results / f"tables/{file}.parquet", SCHEMA.get(file, file)
    rows = artifacts.read_rows(path, schema)
    number = next(n for n, row in enumerate(rows) if row[column] is not None)
    allowed = 1e-5 if file == "tagger" else 1e-9
    edit(path, schema, lambda row: row.update({column: row[column] + allowed / 2}), number)
    assert check(results, captions=False) == ([], [])
    edit(path, schema, lambda row: row.update({column: row[column] + 2 * allowed}), number)
    different, problems = check(results, captions=False)
    assert problems == []
    assert {where.removesuffix(" (plain means)") for where, _, _ in different} == {f"tables/{file}.parquet"}
    assert {said for _, _, said in different} == {column} and len({row for _, row, _ in different}) == 1


def test_a_recording_on_both_sides_is_named(results: Path) -> None:
    for row in (2, 5):
        edit(results / "corpora/a/audio.parquet", "audio", lambda own: own.update(audio_sha256="bu07"), row)
    told = "1 recordings are in a test and in a training corpus, first b/u07 and a/u05"
    assert check(results, captions=False) == ([], [told])


@pytest.mark.parametrize("file", ["zero_shot.md", "claims.md", "table1.tex", "assertions.csv"])
def test_a_changed_digit_is_named(results: Path, file: str) -> None:
    path = results / "tables" / file
    text = path.read_text(encoding="utf-8")
    place = next(n for n in range(len(text) - 1, 0, -1) if text[n] in "012345678" and text[n - 1] == ".")
    path.write_text(f"{text[:place]}9{text[place + 1 :]}", encoding="utf-8")
    different, problems = check(results, captions=False)
    assert {where for where, _, _ in different} == {f"tables/{file}"} and problems == []
    assert len(different) == (2 if file.endswith(".tex") else 1)  # a line of TeX is there twice: old and new


def test_a_changed_caption_is_named(results: Path) -> None:
    edit(results / "captions/kd/b.parquet", "captions", lambda row: row.update(caption="New words."), 3)
    assert check(results) == ([("evaluation/kd/b.parquet", "u03", "caption")], [])


def test_a_changed_score_of_one_caption_is_named_beside_what_was_made_of_it(results: Path) -> None:
    path = results / "evaluation/kd/b.parquet"
    edit(path, "evaluation", lambda row: row.update(metric_values=[0.5 if v else v for v in row["metric_values"]]))
    different, problems = check(results)
    assert ("evaluation/kd/b.parquet", "u00", "metric.emotion_agreement") in different and problems == []
    assert ("tables/zero_shot.parquet (plain means)", "kd b emotion_agreement", "value") in different
    assert {row for file, row, _ in different if file == "evaluation/kd/b.parquet"} == {"u00"}


def test_a_wrong_figure_that_every_table_repeats_is_found_by_plain_means(results: Path) -> None:
    path = results / "evaluation/kd/b.parquet"
    notes = artifacts.read_notes(path, "evaluation")
    notes["figures"]["coverage"]["value"] = 0.25
    artifacts.write(artifacts.read_rows(path, "evaluation"), path, "evaluation", "test", notes)
    _tables(results)
    different, _ = check(results, captions=False)
    assert {row for _, row, _ in different} == {"kd b coverage", "kd@0 b coverage"}
    assert all(file.endswith(" (plain means)") for file, _, _ in different)
    assert ("evaluation/kd/b.parquet", "notes", "figures.coverage.value") in check(results)[0]


@pytest.mark.parametrize(
    "file",
    [
        "evaluation/kd@1/b.parquet",
        "captions/tag_template/b.parquet",
        "clues/b/predicted.parquet",
        "judged/kd/b.parquet",
        "corpora/a/prosody.parquet",
        "tables/claims.md",
    ],
)
def test_a_missing_artifact_is_named_once_and_the_rest_is_verified(results: Path, file: str) -> None:
    (results / file).unlink()
    assert check(results) == ([], [f"{file}: missing"])


def test_a_table_that_no_rule_of_the_run_makes_is_named(results: Path) -> None:
    shutil.copy(results / "tables/table1.md", results / "tables/table9.md")
    problem = "tables/table9.md: run.json records no such table of this experiment"
    assert check(results, captions=False) == ([], [problem])


def test_a_broken_artifact_is_one_line(results: Path) -> None:
    (results / "evaluation/kd/b.parquet").write_bytes(b"PAR1")
    different, (problem,) = check(results)
    assert different == [] and problem.startswith("evaluation/kd/b.parquet: not a Parquet file")


def test_a_row_that_is_gone_is_named_and_ends_nothing(results: Path) -> None:
    path = results / "evaluation/kd/b.parquet"
    rows, notes = artifacts.read_rows(path, "evaluation"), artifacts.read_notes(path, "evaluation")
    artifacts.write(rows[:-1], path, "evaluation", "test", notes)
    found = verify(results, results.parents[1] / "models")
    assert ("evaluation/kd/b.parquet", "u11", "caption", "absent", REFERENCES["neutral"]) in found.different
    ((problem, lost),) = [(why, what) for why, what in found.problems.items() if "table zero_shot" in what]
    assert problem.startswith("its artifacts do not fit together (ValueError: ") and "\n" not in problem
    assert found.captions == 3 * len(IDS) and "table tagger" not in lost


def test_a_metric_that_this_machine_lacks_is_named(results: Path) -> None:
    for path in results.glob("evaluation/*/b.parquet"):
        notes = artifacts.read_notes(path, "evaluation") | {"unavailable": {}}
        artifacts.write(artifacts.read_rows(path, "evaluation"), path, "evaluation", "test", notes)
    (problem,) = check(results)[1]
    assert "cannot be computed here" in problem and "--tables-only" in problem


def test_the_command_says_one_line_or_every_cell(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(results)]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1 and " tables verified, 48 captions scored again" in said.out and said.err == ""
    edit(results / "tables/zero_shot.parquet", "table", lambda row: row.update(ci_high=0.75))
    (results / "tables/claims.csv").unlink()
    assert cli.main(["verify", str(results), "--tables-only"]) == 1
    said = capsys.readouterr()
    assert "tables/zero_shot.parquet: kd b " in said.err and "0.75 stands there" in said.err and said.out == ""
    assert "claims.csv: missing; cannot be verified: table claims" in said.err
    assert cli.main(["verify", str(results), "--tables-only", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["different"][0]["stored"] == 0.75
    assert cli.main(["verify", str(tmp_path / "nothing"), "--models", str(tmp_path)]) == 2
    assert "nothing/run.json: no record of a finished run" in capsys.readouterr().err


def test_a_run_of_another_version_is_one_line(results: Path) -> None:
    record = json.loads((results / "run.json").read_text())
    artifacts.write_json(record | {"config": record["config"] | {"colour": "blue"}}, results / "run.json")
    with pytest.raises(ConfigError, match="run.json: .*colour.*; verify the run with the version that made it"):
        verify(results, results.parents[1] / "models")


def test_a_file_of_no_format_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_cells(tmp_path / "x.parquet")
