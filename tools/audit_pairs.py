"""What preference pairs reward: figures of the training corpora, from the artifacts of a finished run.

Reads candidates, judge scores and pairs of one parent, and labels, prosody and predicted clues of the training corpora;
nothing of a test corpus.

    python tools/audit_pairs.py experiments/emosec.yaml kd
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.clues.hallucination_checks import factuality_flags
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.preference.facts import read_facts
from aligncap.preference.pairs import truth_of
from aligncap.systems import corpus_names, load
from aligncap.vocabulary import canonical

SCALES = ("level", "pitch", "rate")
Row = dict[str, Any]


def read(results: Path, corpora: Sequence[str], parent: str, judge: str) -> tuple[dict[str, Row], list[Row]]:
    """Candidates by id, with what they say and what is true, and the judged pairs (swaps left out)."""

    def of(path: str) -> dict[str, Path]:
        return {corpus: results / path.format(corpus) for corpus in corpora}

    facts = read_facts(
        of("corpora/{}/references.parquet"),
        of("clues/{}/gold.parquet"),
        of("transcripts/{}.parquet"),
        of("corpora/{}/prosody.parquet"),
    )
    told = {}
    for corpus, path in of("clues/{}/predicted.parquet").items():
        for row in artifacts.read_rows(path, "clues"):
            emotions = [canonical(clue["lemma"]) for clue in row["clues"] if clue["kind"] == "emotion"]
            told[corpus, row["utterance_id"]] = emotions[0] if emotions else None
    judged = artifacts.read_rows(results / f"judge_scores/{parent}/{judge}.parquet", "judge_scores")
    scores = {row["candidate_id"]: row for row in judged}
    rows = {}
    for row in artifacts.read_rows(results / f"candidates/{parent}.parquet", "candidates"):
        key = (row["corpus"], row["utterance_id"])
        truth, clues = truth_of(facts[key]), parse_clues(row["caption"])
        emotion = dominant_emotion(clues)
        said = {kind: {c.lemma for c in clues if c.kind == kind and not c.negated} for kind in SCALES}
        rows[row["candidate_id"]] = {
            **row,
            **{name: scores[row["candidate_id"]][name] for name in ("factuality", "faithfulness")},
            "said": said,
            "truth": truth,
            "wrong": factuality_flags(clues, truth),
            "vocal": len({c.kind for c in clues if c.kind != "emotion" and not c.negated}),
            "emotion": "silent" if emotion is None else "right" if emotion == truth.emotion else "wrong",
            "follows": None if told[key] is None else emotion == told[key],
            "told_right": None if told[key] is None else told[key] == truth.emotion,
        }
    pairs = artifacts.read_rows(results / f"preference_pairs/{parent}.parquet", "preference_pairs")
    return rows, [pair for pair in pairs if pair["chosen_id"] in rows and pair["rejected_id"] in rows]


def mean(rows: Sequence[Any], value: Callable[[Any], Any]) -> str:
    """Mean over the rows for which the value is known, and how many those are."""
    known = [float(value(row)) for row in rows if value(row) is not None]
    return f"{sum(known) / len(known):.3f} (n {len(known)})" if known else "none"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("parent", help="name of the candidates, judge scores and pairs")
    arguments = parser.parse_args()
    config = load("config.yaml", arguments.overlay)
    rows, pairs = read(
        Path("results") / config.experiment,
        corpus_names(config, "train"),
        arguments.parent,
        config.preference.judge.name,
    )
    every = list(rows.values())
    print("candidates: faithfulness", mean(every, lambda r: r["faithfulness"]))
    print("candidates with a wrong clue", mean(every, lambda r: bool(r["wrong"])))
    for kind in SCALES:
        own = [r for r in every if r["said"][kind]]
        print(f"{kind} asserted", mean(every, lambda r, k=kind: bool(r["said"][k])), end="; ")
        known = [r for r in own if getattr(r["truth"], kind) is not None]
        print("right", mean(known, lambda r, k=kind: getattr(r["truth"], k) in r["said"][k]), end="; ")
        print("wrong", mean(own, lambda r, k=kind: any(flag.startswith(k) for flag in r["wrong"])))
    for number in range(1 + max(r["vocal"] for r in every)):
        own = [r for r in every if r["vocal"] == number]
        print(f"{number} vocal clues: judge", mean(own, lambda r: r["factuality"]), end="; ")
        print("a wrong clue", mean(own, lambda r: bool(r["wrong"])))
    print("emotion of P_act is right", mean(every, lambda r: r["told_right"]))
    for kind in ("factuality", "faithfulness"):
        own = [(rows[p["chosen_id"]], rows[p["rejected_id"]]) for p in pairs if p["kind"] == kind]
        print(f"\n{kind}: {len(own)} judged pairs")
        outcomes = [(better["emotion"], worse["emotion"]) for better, worse in own]
        for outcome in sorted(set(outcomes)):
            print(f"  {outcome[0]} over {outcome[1]}: {outcomes.count(outcome)}")
        print("  chosen has a wrong clue", mean(own, lambda p: bool(p[0]["wrong"])))
        print("  chosen has as many wrong clues or more", mean(own, lambda p: len(p[0]["wrong"]) >= len(p[1]["wrong"])))
        print("  chosen says more vocal clues", mean(own, lambda p: p[0]["vocal"] > p[1]["vocal"]), end="; ")
        print("fewer", mean(own, lambda p: p[0]["vocal"] < p[1]["vocal"]))
        print("  chosen has more tokens", mean(own, lambda p: len(p[0]["token_ids"]) > len(p[1]["token_ids"])))
        for number, side in enumerate(("chosen", "rejected")):
            print(f"  {side} names the emotion of P_act", mean(own, lambda p, n=number: p[n]["follows"]))


if __name__ == "__main__":
    main()
