"""(better, worse) pairs from judged candidates, and clue-swapped hard negatives where none is worse enough."""

from __future__ import annotations

import hashlib
import itertools
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.clues import Clue, canonical
from aligncap.clues.checks import faithfulness_flags
from aligncap.clues.grammar import dominant_emotion, parse_clues
from aligncap.clues.prompts import load_tokenizer, swap_clue
from aligncap.config import Pairs
from aligncap.errors import ArtifactError

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Key = tuple[str, str]  # (corpus, utterance id)
DEV_SHARE = 10  # one utterance in so many is kept for watching the chosen log-probs
SWAP_FACTUALITY = 3.5  # only a caption the judge finds factual gets a contradicted copy
ROLES = ("preference", "adapt")  # what candidates may be sampled from: no student was aligned on these


def assertions(caption: str) -> frozenset[tuple[str, ...]]:
    """All that a caption claims: its clues, and the events, persons and so on that it names or how it goes wrong.

    Two captions with equal assertions are paraphrases and make no pair (ours: a pair that differs by an invented
    event only is a faithfulness pair, although its clue sets are equal).
    """
    clues = {(clue.kind, clue.lemma, str(clue.negated)) for clue in parse_clues(caption)}
    return frozenset(clues | {("flag", flag) for flag in faithfulness_flags(caption, "", [])})


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """Candidates without repeats of a caption; of repeats a finished one stays, then the first."""
    kept: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: not r["finished"]):
        kept.setdefault(" ".join(row["caption"].lower().split()).rstrip("."), row)
    return list(kept.values())


def _kind(better: Row, worse: Row) -> str:
    factual, faithful = (better[name] - worse[name] for name in ("factuality", "faithfulness"))
    return "faithfulness" if faithful > factual else "factuality"


def judged_pairs(rows: Sequence[Row], settings: Pairs) -> list[Row]:
    """Pairs of one utterance's candidates, widest margin first, no rejected candidate twice.

    Args:
        rows: candidates joined with their scores.
        settings: margin, and how many pairs.
    """
    said = {row["candidate_id"]: assertions(row["caption"]) for row in rows}
    options = []
    for better, worse in itertools.permutations(rows, 2):
        margin = better["overall"] - worse["overall"]
        differ = said[better["candidate_id"]] != said[worse["candidate_id"]] or not worse["finished"]
        if margin >= settings.margin and margin > 0 and better["finished"] and differ:
            options.append((margin, better, worse))
    options.sort(key=lambda option: (-option[0], option[1]["candidate_id"], option[2]["candidate_id"]))
    pairs: list[Row] = []
    for margin, better, worse in options:
        if len(pairs) == settings.per_utterance:
            break
        if worse["candidate_id"] not in {pair["rejected_id"] for pair in pairs}:
            pairs.append(_pair(better, worse["candidate_id"], worse["token_ids"], margin, _kind(better, worse)))
    return pairs


def _pair(better: Row, rejected_id: str, rejected_ids: Sequence[int], margin: float, kind: str) -> Row:
    return {
        "pair_id": f"{better['candidate_id']}>{rejected_id}",
        "utterance_id": better["utterance_id"],
        "corpus": better["corpus"],
        "kind": kind,
        "chosen_id": better["candidate_id"],
        "rejected_id": rejected_id,
        "chosen_ids": list(better["token_ids"]),
        "rejected_ids": list(rejected_ids),
        "margin": margin,
    }


def swapped_pair(rows: Sequence[Row], emotion: str | None, seed: int, tokenizer: Any, max_tokens: int) -> Row | None:
    """The best candidate against a copy with one clue contradicted; None where no candidate is factual enough.

    The copy was not judged, so its margin is 0. It is not made where its emotion would be the true one, nor where it
    would be longer than ``max_tokens``.

    Args:
        rows: candidates of one utterance joined with their scores.
        emotion: true class of the utterance; None where unknown.
        seed: of the swap.
        tokenizer: the LLM's.
        max_tokens: end token included.
    """
    key = f"{rows[0]['corpus']}/{rows[0]['utterance_id']}"
    generator = random.Random(f"{seed}/{key}")
    for better in sorted(rows, key=lambda r: (-r["overall"], r["candidate_id"])):
        own = dominant_emotion(better["caption"])
        if not better["finished"] or better["factuality"] < SWAP_FACTUALITY or (emotion and own not in (None, emotion)):
            continue
        caption = swap_clue(better["caption"], generator)
        if caption is None or (own != emotion and dominant_emotion(caption) == emotion):
            continue
        ids = [int(i) for i in tokenizer(caption, add_special_tokens=False)["input_ids"]] + [tokenizer.eos_token_id]
        if len(ids) <= max_tokens:
            return _pair(better, f"{key}#swap0", ids, 0.0, "factuality")
    return None


def _with_scores(candidates: Path, scores: Path) -> dict[Key, list[Row]]:
    judged = {row["candidate_id"]: row for row in artifacts.read_rows(scores, "judge_scores")}
    groups: dict[Key, list[Row]] = defaultdict(list)
    unscored = 0
    for row in artifacts.read_rows(candidates, "candidates"):
        score = judged.get(row["candidate_id"])
        if score is None:
            raise ArtifactError(f"{scores}: no row for candidate '{row['candidate_id']}'; run the judge again")
        values = {name: score[name] for name in ("factuality", "faithfulness", "overall")}
        if None in values.values():
            unscored += 1
        elif row["token_ids"]:
            groups[row["corpus"], row["utterance_id"]].append(row | values)
    if unscored:
        logger.warning("%d candidates without a score make no pair", unscored)
    return groups


def _check_roles(groups: Mapping[Key, Any], plan: Path) -> None:
    roles = {(row["corpus"], row["utterance_id"]): row["role"] for row in artifacts.read_rows(plan, "plan")}
    for key in groups:
        if roles.get(key) not in ROLES:
            raise ArtifactError(
                f"candidates: '{'/'.join(key)}' has the role {roles.get(key)!r} in the plan, "
                f"pairs may come of {' and '.join(ROLES)} only; sample candidates again"
            )


def _true_emotions(gold: Mapping[str, Path], references: Mapping[str, Path]) -> dict[Key, str | None]:
    emotions: dict[Key, str | None] = {}
    for corpus, path in references.items():
        parsed = {
            row["utterance_id"]: dominant_emotion([Clue.from_dict(clue) for clue in row["clues"]])
            for row in artifacts.read_rows(gold[corpus], "clues")
        }
        for row in artifacts.read_rows(path, "labels"):
            name = row["utterance_id"]
            emotions[corpus, name] = canonical(row["emotion"]) or parsed.get(name)
    return emotions


def dev_utterances(keys: Sequence[Key], seed: int) -> set[Key]:
    """A tenth of the utterances, by hash: at least one where there are two, the same in any order."""
    if len(keys) < 2:
        return set()
    order = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}/{'/'.join(key)}".encode()).digest())
    return set(order[: max(1, len(order) // DEV_SHARE)])


def build_pairs(
    settings: Pairs,
    seed: int,
    candidates: Path,
    scores: Path,
    gold: Mapping[str, Path],
    references: Mapping[str, Path],
    plan: Path,
    llm_manifest: Path,
    max_tokens: int,
    out: Path,
) -> None:
    """Make the preference pairs of one aligned captioner (DESIGN section 6, item 5; the rules of selection are ours).

    Repeats are removed; a pair needs different assertions and a margin; an utterance without such a pair gets a
    clue-swapped negative. Token ids are the candidates' own, end token included.

    Args:
        settings: margin, pairs an utterance, clue swap, least number.
        seed: of swaps and of the dev utterances.
        candidates: the ``candidates`` artifact.
        scores: its ``judge_scores``.
        gold: training corpus -> clues of the references.
        references: training corpus -> ``labels`` artifact.
        plan: roles of the training utterances.
        llm_manifest: the base LLM, for the tokenizer of swapped captions.
        max_tokens: most tokens of a swapped caption.
        out: the ``preference_pairs`` artifact; its notes count the kinds.

    Raises:
        ArtifactError: a candidate has no score row or comes of an utterance with another role, or there are fewer
            pairs than ``settings.minimum``.
    """
    groups = _with_scores(candidates, scores)
    _check_roles(groups, plan)
    emotions = _true_emotions(gold, references)
    tokenizer = load_tokenizer(llm_manifest) if settings.clue_swap else None
    pairs: list[Row] = []
    counts: Counter[str] = Counter()
    for key, rows in groups.items():
        distinct = _distinct(rows)
        own = judged_pairs(distinct, settings)
        if not own and settings.clue_swap:
            swapped = swapped_pair(distinct, emotions[key], seed, tokenizer, max_tokens)
            own = [swapped] if swapped is not None else []
            counts["clue_swap"] += len(own)
        counts["utterances without a pair"] += not own
        pairs += own
    if len(pairs) < settings.minimum:
        raise ArtifactError(
            f"{out}: {len(pairs)} pairs from {len(groups)} utterances, preference.pairs.minimum is {settings.minimum}; "
            "raise preference.candidates.samples or utterances, lower preference.pairs.margin, or align longer"
        )
    dev = dev_utterances(list(dict.fromkeys((pair["corpus"], pair["utterance_id"]) for pair in pairs)), seed)
    for pair in pairs:
        pair["role"] = "dev" if (pair["corpus"], pair["utterance_id"]) in dev else "train"
        counts[pair["kind"]] += 1
    logger.info("%d pairs: %s", len(pairs), dict(counts))
    artifacts.write(pairs, out, "preference_pairs", "preference_pairs", {"counts": dict(counts)})
