"""All data of a pipeline run about one utterance, gathered from ``results/{experiment}``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from aligncap import artifacts
from aligncap.errors import ArtifactError

Row = dict[str, Any]
Found = dict[str, Any]


def explain(results: Path, utterance: str, corpus: str | None = None) -> Found:
    """Gather one utterance's rows of every artifact that exists so far.

    Args:
        results: Folder of an experiment.
        utterance: Utterance id; ``corpus/id`` where several corpora have it.
        corpus: Corpus, in place of the prefix.

    Returns:
        JSON-able mapping: ``utterance_id``, ``corpus``, ``audio``, and where they exist ``references``, ``prosody``,
        ``timbre``, ``plan``, ``transcript``, ``clues`` (gold, predicted: clues, p_act, p_sem_ids, p_sem),
        ``probabilities`` (kind -> tag -> 0-1, from the tagger), ``probabilities_from``, ``prompt``, ``captions`` (one
        row per system), ``candidates`` (with their scores) and ``pairs``.

    Raises:
        ArtifactError: The results or the utterance do not exist, or several corpora have the utterance.
    """
    if corpus is None and "/" in utterance:
        corpus, utterance = utterance.split("/", 1)
    corpus = _corpus_of(results, utterance, corpus)
    place = results / "corpora" / corpus
    found: Found = {"utterance_id": utterance, "corpus": corpus, "experiment": results.name}
    for name, schema in (("audio", "audio"), ("references", "labels"), ("prosody", "prosody"), ("timbre", "timbre")):
        found[name] = _row(place / f"{name}.parquet", schema, utterance)
    plan = _rows(results / "plan.parquet", "plan", "utterance_id", utterance)
    found["plan"] = next((row for row in plan if row["corpus"] == corpus), None)
    found["transcript"] = _row(results / "transcripts" / f"{corpus}.parquet", "transcripts", utterance)
    config = _config(results)
    found["clues"] = {kind: _clues(results, config, corpus, kind, utterance) for kind in ("gold", "predicted")}
    told = _probabilities(results, corpus, utterance, found["prosody"])
    found["probabilities"], found["probabilities_from"] = told
    found["prompt"] = config.get("prompts")
    places = (results, results / "in_domain")  # in_domain/ has the captions of the dev split
    found["captions"] = [row for place in places for row in _captions(place, corpus, utterance)]
    found["candidates"] = list(_candidates(results, corpus, utterance))
    found["pairs"] = list(_pairs(results, corpus, utterance))
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _rows(path: Path, schema: str, column: str, value: str) -> list[Row]:
    """Return an artifact's rows with this value in file order; none where the file is missing."""
    if not path.is_file():
        return []
    rows: list[Row] = artifacts.read_table(path, schema).filter(pc.field(column) == value).to_pylist()
    return rows


def _row(path: Path, schema: str, utterance: str) -> Row | None:
    return next(iter(_rows(path, schema, "utterance_id", utterance)), None)


def _config(results: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((results / "run.json").read_text(encoding="utf-8"))["config"]
        return config
    except (OSError, ValueError, KeyError):
        return {}


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
        for row in _rows(tables[name].with_name("skipped.parquet"), "skipped", "utterance_id", utterance):
            raise ArtifactError(f"{utterance}: was left out of {name}: {row['reason']}")
    near = difflib.get_close_matches(utterance, [i for own in ids.values() for i in own], n=3)
    likely = near or sorted({own[0] for own in ids.values() if own})
    raise ArtifactError(f"{results}: no utterance '{utterance}'; there are {', '.join(likely)} and others")


def _clues(results: Path, config: dict[str, Any], corpus: str, kind: str, utterance: str) -> Row | None:
    row = _row(results / "clues" / corpus / f"{kind}.parquet", "clues", utterance)
    name = config.get("models", {}).get("llm", {}).get("name", "")
    for folder in results.resolve().parents:
        if row is not None and (tokenizer := folder / "models" / name / "tokenizer.json").is_file():
            from tokenizers import Tokenizer

            row["p_sem"] = Tokenizer.from_file(str(tokenizer)).decode(row["p_sem_ids"])
            break
    return row


def _probabilities(
    results: Path, corpus: str, utterance: str, prosody: Row | None
) -> tuple[dict[str, dict[str, float]], str]:
    """Return the tagger's probability of every tag: out of fold on training corpora, by the final tagger on others."""
    rows = _rows(results / "tagger" / "out_of_fold.parquet", "tagger_predictions", "utterance_id", utterance)
    folds = {r["kind"]: dict(zip(r["labels"], r["probabilities"], strict=True)) for r in rows if r["corpus"] == corpus}
    if folds:
        return folds, "out of fold"
    weights, features = results / "tagger" / "tagger.safetensors", results / "features" / f"{corpus}.parquet"
    row = _row(features, "features", utterance)
    if row is None or prosody is None or not weights.is_file():
        return {}, ""
    import numpy as np

    from aligncap.clues.tagger.model import Tagger

    tagger = Tagger.load(weights)
    shape = row["n_layers"], row["n_frames"], row["dim"]
    if tagger.normalise != "train":
        return {}, ""  # the probabilities depend on all clips of the corpus
    heard = np.frombuffer(row["data"], np.float16).reshape(shape)
    return tagger.predict(heard, prosody), "the tagger, without the text clue"


def _captions(results: Path, corpus: str, utterance: str) -> Iterator[Row]:
    """Yield one row per system: caption, metrics, flags, judge's scores, the second instrument's opinion."""
    parts = ("captions", "evaluation")
    names = {path.parent.name for part in parts for path in results.glob(f"{part}/*/{corpus}.parquet")}
    opinions: dict[str, Row] = {}
    heard = results / "second_opinions" / f"{corpus}.parquet"
    if heard.is_file():
        opinions = {row["caption"]: row for row in artifacts.read_rows(heard, "second_opinions")}
    for system in sorted(names):
        said = _row(results / "captions" / system / f"{corpus}.parquet", "captions", utterance)
        scored = _row(results / "evaluation" / system / f"{corpus}.parquet", "evaluation", utterance)
        judged = _rows(results / "judged" / system / f"{corpus}.parquet", "judged_captions", "utterance_id", utterance)
        caption = (said or scored or {}).get("caption")
        if caption is None:
            continue
        row: Row = {"system": system, "caption": caption, **({"finished": said["finished"]} if said else {})}
        if scored:
            values = zip(scored["metric_names"], scored["metric_values"], strict=True)
            row |= {"dominant": scored["dominant"], "flags": scored["flags"]}
            row["metrics"] = {name: value for name, value in values if value is not None}
        if caption in opinions:
            row["second_opinion"] = {key: opinions[caption][key] for key in ("dominant", "probability")}
        if judged:
            row["judged"] = [{k: v for k, v in own.items() if k != "utterance_id"} for own in judged]
        yield row


def _candidates(results: Path, corpus: str, utterance: str) -> Iterator[Row]:
    for path in sorted(results.glob("candidates/*.parquet")):
        scores: dict[str, list[Row]] = {}
        for judge in sorted(results.glob(f"judge_scores/{path.stem}/*.parquet")):
            for row in artifacts.read_rows(judge, "judge_scores"):
                scores.setdefault(row["candidate_id"], []).append(
                    {key: value for key, value in row.items() if key != "candidate_id"}
                )
        for row in _rows(path, "candidates", "utterance_id", utterance):
            if row["corpus"] == corpus:
                kept = {key: row[key] for key in ("candidate_id", "caption", "sum_logprob", "temperature", "finished")}
                yield {"system": path.stem, **kept, "scores": scores.get(row["candidate_id"], [])}


def _pairs(results: Path, corpus: str, utterance: str) -> Iterator[Row]:
    for path in sorted(results.glob("preference_pairs/*.parquet")):
        for row in _rows(path, "preference_pairs", "utterance_id", utterance):
            if row["corpus"] == corpus:
                kept = {key: row[key] for key in ("pair_id", "kind", "chosen_id", "rejected_id", "margin", "role")}
                yield {"system": path.stem, **kept}
