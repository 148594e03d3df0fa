"""All rows of a pipeline run about one utterance, gathered from the Parquet files of ``results/{experiment}``."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aligncap import artifacts
from aligncap.errors import ArtifactError

Row = dict[str, Any]
NAMED = {"metric_names": "metric_values", "labels": "probabilities"}  # columns whose lists belong together


def explain(results: Path, utterance: str, corpus: str | None = None) -> dict[str, Any]:
    """Gather one utterance's rows of every artifact that exists so far.

    Args:
        results: Folder of an experiment.
        utterance: Utterance id; ``corpus/id`` where several corpora have it.
        corpus: Corpus, in place of the prefix.

    Returns:
        JSON-able mapping: ``experiment``, ``corpus``, ``utterance_id``, and ``artifacts``, which maps a file below
        ``results``, such as ``captions/kd/nemo``, to its rows about the utterance. Columns of bytes or of bare numbers
        (features, token ids, vectors) and empty values are left out; metrics and probabilities are mappings.

    Raises:
        ArtifactError: The results or the utterance do not exist, or several corpora have the utterance.
    """
    if corpus is None and "/" in utterance:
        prefix, rest = utterance.split("/", 1)
        if (results / "corpora" / prefix).is_dir():  # otherwise the slash is part of the id, as in those of shards
            corpus, utterance = prefix, rest
    corpus = _corpus_of(results, utterance, corpus)
    found: dict[str, list[Row]] = {}
    for path in sorted(results.rglob("*.parquet")):
        name = path.relative_to(results).with_suffix("")
        said = {row["caption"] for rows in found.values() for row in rows if "caption" in row}
        if rows := _rows(path, corpus, utterance, said, corpus in name.parts):
            found[name.as_posix()] = rows
    return {"experiment": results.name, "corpus": corpus, "utterance_id": utterance, "artifacts": found}


def _rows(path: Path, corpus: str, utterance: str, said: Collection[str], of_corpus: bool) -> list[Row]:
    """Return a file's rows about an utterance, which has the captions ``said`` in the files before it."""
    with artifacts.faults(path):
        columns = [column.name for column in pq.read_schema(path) if not _is_bare(column)]
    if "candidate_id" in columns:
        wanted = pc.starts_with(pc.field("candidate_id"), f"{corpus}/{utterance}#")
    elif {"corpus", "utterance_id"} <= set(columns):
        wanted = (pc.field("corpus") == corpus) & (pc.field("utterance_id") == utterance)
    elif "utterance_id" in columns and of_corpus:
        wanted = pc.field("utterance_id") == utterance
    elif "caption" in columns and of_corpus:
        wanted = pc.field("caption").isin(pa.array(list(said), pa.string()))
    else:
        return []
    artifacts.verify(path)
    with artifacts.faults(path):
        return [_readable(row) for row in pq.read_table(path, columns=columns, filters=wanted).to_pylist()]


def _is_bare(column: pa.Field) -> bool:
    kind = column.type
    while pa.types.is_list(kind):
        kind = kind.value_type
    numbers = column.type != kind and pa.types.is_primitive(kind) and column.name not in NAMED.values()
    return numbers or pa.types.is_large_binary(kind)


def _readable(row: Row) -> Row:
    """Return a row with mappings in place of two lists that belong together, without empty values."""
    for names, values in NAMED.items():
        if names in row:
            pairs = zip(row.pop(names), row.pop(values), strict=True)
            row[values.removeprefix("metric_")] = {name: value for name, value in pairs if value is not None}
    return {name: value for name, value in row.items() if value not in (None, "", [], {})}


def _corpus_of(results: Path, utterance: str, corpus: str | None) -> str:
    tables = {path.parent.name: path for path in sorted(results.glob("corpora/*/audio.parquet"))}
    if not tables:
        raise ArtifactError(f"{results}: no results of a run there; name the folder results/EXPERIMENT with --results")
    if corpus is not None and corpus not in tables:
        raise ArtifactError(f"{results}: no corpus '{corpus}'; it has {', '.join(tables)}")
    ids = {
        name: artifacts.read_table(path, "audio").column("utterance_id").to_pylist()
        for name, path in tables.items()
        if corpus in (None, name)
    }
    holding = [name for name, own in ids.items() if utterance in own]
    if len(holding) == 1:
        return holding[0]
    if holding:
        raise ArtifactError(f"{utterance}: in {' and '.join(holding)}; write {holding[0]}/{utterance}")
    for name in ids:
        if (left_out := tables[name].with_name("skipped.parquet")).is_file():
            for row in artifacts.read_rows(left_out, "skipped"):
                if row["utterance_id"] == utterance:
                    raise ArtifactError(f"{utterance}: was left out of {name}: {row['reason']}")
    near = difflib.get_close_matches(utterance, [i for own in ids.values() for i in own], n=3)
    likely = near or sorted({own[0] for own in ids.values() if own})
    raise ArtifactError(f"{results}: no utterance '{utterance}'; there are {', '.join(likely)} and others")
