"""Everything that the pipeline stores, on a disk that is full or cannot be written: one line, and nothing half made."""

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from amount import amount
from disks import FAULTS, full, mounted

from aligncap import artifacts
from aligncap.errors import StorageError
from aligncap.serving.folders import CaptionTable, read_captions

ROOT = Path(__file__).resolve().parents[2]
ROWS = 60
DROPPED = "spoken clip"  # clips of an earlier run are deleted before new ones are spoken


def value(kind: pa.DataType, generator: random.Random) -> Any:
    """A value of a column that does not compress."""
    if pa.types.is_list(kind):
        return [value(kind.value_type, generator) for _ in range(3)]
    if pa.types.is_struct(kind):
        return {part.name: value(part.type, generator) for part in kind}
    if pa.types.is_boolean(kind):
        return generator.random() < 0.5
    if pa.types.is_integer(kind):
        return generator.randrange(2**31)
    if pa.types.is_floating(kind):
        return generator.random()
    noise = generator.randbytes(64)
    return noise.hex() if pa.types.is_string(kind) else noise


def rows(schema: str, seed: int) -> list[dict[str, Any]]:
    generator = random.Random(seed)
    return [{column.name: value(column.type, generator) for column in artifacts.SCHEMAS[schema]} for _ in range(ROWS)]


def artifact(schema: str) -> Callable[[Path, int], None]:
    return lambda folder, seed: artifacts.write(rows(schema, seed), folder / f"{schema}.parquet", schema, "test")


def text(name: str) -> Callable[[Path, int], None]:
    return lambda folder, seed: artifacts.write_text(random.Random(seed).randbytes(9000).hex(), folder / name)


def row_by_row(folder: Path, seed: int) -> None:
    streamed = (row for number in range(4) for row in rows("features", seed + number))
    artifacts.write_rows(streamed, folder / "features.parquet", "features", "test")


def run_json(folder: Path, seed: int) -> None:
    artifacts.write_json({"config": {"seed": seed}, "packages": list(range(2000))}, folder / "run.json")


def answer(folder: Path, seed: int) -> None:
    from aligncap.preference.judges.answers import Answer, AnswerCache

    AnswerCache(folder).put("ab12", Answer(factuality=1 + seed, faithfulness=2.0, why="so"))


def tagger(folder: Path, seed: int) -> None:
    from aligncap.clues.tagger.familiarity import Familiarity
    from aligncap.clues.tagger.heads import Head
    from aligncap.clues.tagger.model import Tagger

    weight = np.random.default_rng(seed).normal(size=(2, 4000)).astype(np.float32)
    zeros = np.zeros(4000, np.float32)
    known = Familiarity(zeros, zeros[None], np.array([0, 99], np.float32))
    head = Head(("angry", "sad"), weight, np.zeros(2, np.float32))
    Tagger(zeros, zeros + 1, {"emotion": head}, known, "train", "mean").save(folder / "tagger.safetensors")


def instrument(folder: Path, seed: int) -> None:
    from aligncap.evaluation.second_instrument import Instrument

    weight = np.random.default_rng(seed).normal(size=(2, 4000))
    Instrument(("angry", "sad"), weight, np.zeros(2), 1.0).save(folder / "instrument.safetensors")


def resume_point(folder: Path, seed: int) -> None:
    import torch

    from aligncap.training.recording import _ResumePoint

    torch.manual_seed(seed)
    line = torch.nn.Linear(64, 64)
    optimizer = torch.optim.AdamW(line.parameters())
    line(torch.ones(1, 64)).sum().backward()
    optimizer.step()
    _ResumePoint(folder, main=True).save(1, dict(line.named_parameters()), optimizer, [])


def figure(folder: Path, seed: int) -> None:
    from matplotlib.figure import Figure

    from aligncap.evaluation.figures import drawing

    drawn = Figure()
    drawn.add_subplot().plot(np.random.default_rng(seed).normal(size=400))
    drawing.save(drawn, folder / "figure.svg", folder / "figure.png")


def spoken(folder: Path, seed: int) -> None:
    from aligncap.config import Corpus
    from aligncap.corpora.synthetic import Synthetic

    corpus = Corpus(adapter="synthetic", language="en", voices=("en-us+m3",), style="a", role="train", clips=1)
    list(Synthetic(corpus, seed, folder).iter_utterances())


def weights(folder: Path, seed: int) -> None:
    from aligncap.config import ModelSource
    from aligncap.models.sources import fetch_model

    source = ROOT / ("README.md", "CHANGELOG.md")[seed]
    named = ModelSource(name="words", files=(f"file:{source} -> vocab.txt",), format="transformers")
    fetch_model(named, folder / "words" / "manifest.json")


def checkpoint(folder: Path, seed: int) -> None:
    import torch

    from aligncap.captioner.checkpoint import CheckpointPaths, save_checkpoint

    torch.manual_seed(seed)
    llm = torch.nn.ModuleDict({"lora_A": torch.nn.Linear(64, 64)})
    model: Any = SimpleNamespace(adapter=torch.nn.Linear(64, 64), llm=llm)
    weights = {"w": torch.randn(4000)}
    system = {"system": "kd", "seed": seed, "about": list(range(9000))}
    save_checkpoint(CheckpointPaths.of(folder), model, weights, weights, system)


def nan_batch(folder: Path, seed: int) -> None:
    from aligncap.tracking.runs import Recorder
    from aligncap.training.recording import Recording

    kept = Recording(0, [], Recorder(), 9, lambda step: None, folder, main=True)
    kept.keep_batch(3, {"items": list(range(seed, 4000))})


KINDS: dict[str, Callable[[Path, int], None]] = {
    **{schema: artifact(schema) for schema in sorted(artifacts.SCHEMAS)},
    **{name: text(name) for name in ("table.csv", "table.md", "table.tex", "report.html", "system.json")},
    "features in batches": row_by_row,
    "run.json": run_json,
    "answer of a judge": answer,
    "tagger": tagger,
    "second instrument": instrument,
    "checkpoint": checkpoint,
    "resume point": resume_point,
    "batch of a loss that is not finite": nan_batch,
    "figures": figure,
    "spoken clip": spoken,
    "weights of a model": weights,
}


def found(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("only root can mount a file system and become another user")
    with mounted(tmp_path_factory.mktemp("machine") / "disk") as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_there_stays_and_a_rerun_gives_the_same_bytes(disk: Path, kind: str, fault: str) -> None:
    meddle, reason = FAULTS[fault]
    write, folder = KINDS[kind], disk / hashlib.sha256(f"{kind} {fault}".encode()).hexdigest()[:8]
    write(folder, 1)
    new = found(folder)
    write(folder, 0)
    old = found(folder)
    assert new.keys() == old.keys() and all(new[name] != old[name] for name in new)
    if kind == DROPPED:
        shutil.rmtree(folder)
        old = {}
    with pytest.raises(StorageError) as told, meddle(disk, min(map(len, new.values())) // 2):
        write(folder, 1)
    line = str(told.value)
    assert reason in line and line.endswith("and run the same command again") and "\n" not in line
    assert str(folder) in line, "the file is named"
    assert found(folder) == old, "no more and no less"
    write(folder, 1)
    assert found(folder) == new


def row(name: str) -> dict[str, Any]:
    return rows("file_captions", 0)[0] | {"path": name, "model": "e/kd@1", "clues": []}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("style", ["json", "csv", "parquet"])
def test_a_table_of_captions_keeps_what_it_has(disk: Path, style: str, fault: str) -> None:
    meddle, reason = FAULTS[fault]
    path = disk / f"{fault}.{style}"
    with CaptionTable(path, style, "e/kd@1") as table:
        table.append([row("a.wav")])
    whole = path.read_bytes()
    with pytest.raises(StorageError, match=reason), meddle(disk, 40), CaptionTable(path, style, "e/kd@1") as table:
        table.append([row("b.wav")])
    assert path.read_bytes() == whole
    with CaptionTable(path, style, "e/kd@1") as table:
        table.append([row("b.wav")])
    assert [Path(one["path"]).name for one in read_captions(path, style)] == ["a.wav", "b.wav"]


@pytest.mark.parametrize("seed", range(amount(10, 40)))
def test_a_disk_that_fills_up_at_any_byte(disk: Path, seed: int) -> None:
    generator = random.Random(seed)
    folder, room = disk / f"byte{seed}", generator.randrange(1, 40) * 4096
    artifacts.write(rows("features", 0), folder / "a.parquet", "features", "test")
    old = found(folder)
    large = [one | {"data": generator.randbytes(4096)} for one in rows("features", 1)]
    with pytest.raises(StorageError), full(disk, room):
        artifacts.write(large, folder / "a.parquet", "features", "test")
    assert found(folder) == old
