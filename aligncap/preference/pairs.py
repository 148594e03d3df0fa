"""Preference pairs of judged candidates, separately for factuality and faithfulness, and clue-swapped negatives."""

from __future__ import annotations

import itertools
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.clues.hallucination_checks import Truth, factuality_flags, faithfulness_flags
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.clues.prompts import correct_emotion, load_tokenizer, swap_clue
from aligncap.config import Pairs
from aligncap.corpora.shares import nearest_share
from aligncap.errors import ArtifactError
from aligncap.hashes import digest_of
from aligncap.job import ByCorpus
from aligncap.preference.facts import ClipFacts, Key, Row, read_facts, scored_candidates
from aligncap.vocabulary import Clue

logger = logging.getLogger(__name__)

KINDS = ("faithfulness", "factuality")  # in the order of building: the scarcer first
DEV_SHARE = 10  # one of so many utterances goes to dev, where the log-probabilities of chosen captions are watched
DEV_SPEAKERS = 5  # with fewer speakers, utterances are dealt singly, so that dev and train share speakers
SWAP_FACTUALITY = 3.5  # least factuality score of a caption whose clue is swapped
SWAP_DRAWS = 4  # draws of a swap, because it may contradict none of the facts
ROLES = ("preference", "adapt")  # roles that candidates are sampled for, which no student was aligned on


def assertions(clues: Sequence[Clue], caption: str) -> frozenset[tuple[str, ...]]:
    """Return the assertions of a caption: its clues, and the faithfulness flags that need no facts, such as an event.

    Two captions with equal assertions are paraphrases and make no pair. A pair that differs only by an invented event
    is a faithfulness pair, although its clues are equal (ours).
    """
    claimed = {(clue.kind, clue.lemma, str(clue.negated)) for clue in clues}
    return frozenset(claimed | {("flag", flag) for flag in faithfulness_flags(caption, "", [])})


def rate(row: Row, facts: ClipFacts, settings: Pairs) -> Row:
    """Add to a candidate the values by which it is paired.

    Args:
        row: Candidate joined with its scores.
        facts: Label, gold clues, measured prosody, transcript and references of its utterance.
        settings: Section with the penalty of a contradicted clue.

    Returns:
        The row with ``said`` (assertions), ``wrong`` (number of kinds of clue that label or measurement contradict),
        ``vocal`` (number of kinds of vocal clues asserted), ``clean`` (nothing contradicted or invented) and
        ``points``. The points are the scores by kind, 1-5, where factuality is reduced by ``wrong_clue_penalty`` for
        each wrong kind.
    """
    caption, clues = row["caption"], parse_clues(row["caption"])
    wrong = len(factuality_flags(clues, truth_of(facts)))
    flags = faithfulness_flags(caption, facts.transcript, facts.references, row["finished"])
    points = {
        "factuality": row["factuality"] - settings.wrong_clue_penalty * wrong,
        "faithfulness": row["faithfulness"],
    }
    vocal = len({clue.kind for clue in clues if clue.kind != "emotion" and not clue.negated})
    clean = not wrong and not flags
    copied = {("flag", flag) for flag in flags if flag.startswith("transcript")}  # this flag needs the facts
    said = assertions(clues, caption) | copied
    return row | {"said": said, "wrong": wrong, "vocal": vocal, "clean": clean, "points": points}


def truth_of(facts: ClipFacts) -> Truth:
    """Return label and measured prosody; without a label the emotion is the dominant one of the references."""
    return replace(facts.truth, emotion=facts.emotion)


def _may_win(better: Row, worse: Row, settings: Pairs) -> bool:
    extra, longer = settings.extra_clues, settings.length_tolerance
    return bool(
        better["finished"]
        and (better["said"] != worse["said"] or not worse["finished"])
        and (better["clean"] or not settings.clean_chosen)
        and (extra is None or better["vocal"] - worse["vocal"] <= extra)
        and (longer is None or len(better["token_ids"]) <= (1 + longer) * len(worse["token_ids"]))
    )


def judged_pairs(rows: Sequence[Row], settings: Pairs) -> list[Row]:
    """Pair the candidates of an utterance for each kind, by the widest margin first; none is rejected twice.

    The margin is the difference in the score of the kind. The chosen caption must not be worse in the other score.

    Args:
        rows: Candidates as ``rate`` returns them.
        settings: Margin of each kind, number of pairs, and requirements on a chosen caption.
    """
    pairs: list[Row] = []
    for kind, other in (KINDS, KINDS[::-1]):
        own = getattr(settings, kind)
        options = []
        for better, worse in itertools.permutations(rows, 2) if own.share > 0 else ():
            margin = better["points"][kind] - worse["points"][kind]
            not_worse = better["points"][other] >= worse["points"][other]
            if margin > 0 and margin >= own.margin and not_worse and _may_win(better, worse, settings):
                options.append((margin, better, worse))
        options.sort(key=lambda option: (-option[0], option[1]["candidate_id"], option[2]["candidate_id"]))
        made = 0
        for margin, better, worse in options:
            if made < settings.per_utterance and worse["candidate_id"] not in {pair["rejected_id"] for pair in pairs}:
                pairs.append(_pair(better, worse, margin, kind))
                made += 1
    return pairs


def _pair(better: Row, worse: Row, margin: float, kind: str) -> Row:
    return {
        "pair_id": f"{better['candidate_id']}>{worse['candidate_id']}",
        "utterance_id": better["utterance_id"],
        "corpus": better["corpus"],
        "kind": kind,
        "chosen_id": better["candidate_id"],
        "rejected_id": worse["candidate_id"],
        "chosen_ids": list(better["token_ids"]),
        "rejected_ids": list(worse["token_ids"]),
        "margin": margin,
    }


def _copy(row: Row, caption: str, name: str, tokenizer: Any, max_tokens: int) -> Row | None:
    """A candidate with another caption, for a pair that no judge scores; None where it has too many tokens."""
    ids = [int(i) for i in tokenizer(caption, add_special_tokens=False)["input_ids"]] + [tokenizer.eos_token_id]
    key = f"{row['corpus']}/{row['utterance_id']}#{name}"
    return row | {"candidate_id": key, "token_ids": ids} if len(ids) <= max_tokens else None


def swapped_pair(rows: Sequence[Row], truth: Truth, seed: int, tokenizer: Any, max_tokens: int) -> Row | None:
    """Pair the best candidate with a copy of it in which one clue is swapped; None where no such pair can be made.

    The best candidate is ``clean`` and has a high factuality score; label or measurement contradicts the copy. The
    margin is 0 because no judge scores the copy.

    Args:
        rows: Candidates of one utterance as ``rate`` returns them.
        truth: Label and measured prosody of the utterance.
        seed: Seed of the swap.
        tokenizer: Tokenizer of the LLM.
        max_tokens: Maximum length of the copy in tokens, including the end token.
    """
    generator = random.Random(f"{seed}/{rows[0]['corpus']}/{rows[0]['utterance_id']}")
    for better in sorted(rows, key=lambda r: (-r["overall"], r["candidate_id"])):
        if better["factuality"] < SWAP_FACTUALITY or not better["clean"]:
            continue
        for _ in range(SWAP_DRAWS):
            caption = swap_clue(better["caption"], generator)
            if caption is None or not factuality_flags(parse_clues(caption), truth):
                continue
            copy = _copy(better, caption, "swap0", tokenizer, max_tokens)
            if copy is not None:
                return _pair(better, copy, 0.0, "factuality")
    return None


def corrected_pair(
    rows: Sequence[Row], facts: ClipFacts, settings: Pairs, tokenizer: Any, max_tokens: int
) -> Row | None:
    """Pair a candidate that names a wrong emotion with a copy that names the right one, which is chosen.

    A wrong emotion is nearly always that of a wrong tag, so the pair says that the tag is not to be followed there. It
    is the best finished candidate whose words can be replaced, and whose copy is ``clean`` where
    ``settings.clean_chosen`` asks for it. The margin is 0 because no judge scores the copy.

    Args:
        rows: Candidates of one utterance as ``rate`` returns them.
        facts: Facts of the utterance; without a right emotion there is no pair.
        settings: Section with the requirements on a chosen caption.
        tokenizer: Tokenizer of the LLM.
        max_tokens: Maximum length of the copy in tokens, including the end token.
    """
    emotion = facts.emotion
    for worse in sorted(rows, key=lambda r: (-r["overall"], r["candidate_id"])):
        if emotion is None or not worse["finished"] or dominant_emotion(worse["caption"]) in (None, emotion):
            continue
        caption = correct_emotion(worse["caption"], emotion)
        if caption is None:
            continue
        if settings.clean_chosen and not rate(worse | {"caption": caption}, facts, settings)["clean"]:
            continue
        copy = _copy(worse, caption, "corrected0", tokenizer, max_tokens)
        if copy is not None:
            return _pair(copy, worse, 0.0, "factuality")
    return None


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """Remove repeated captions; the first finished one is kept, or the first one where none is finished."""
    kept: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: not r["finished"]):
        kept.setdefault(" ".join(row["caption"].lower().split()).rstrip("."), row)
    return list(kept.values())


def _speakers(plan: Path) -> dict[Key, str]:
    """Return the speakers of the utterances whose roles allow preference pairs."""
    rows = artifacts.stream_rows(plan, "plan")
    return {(row["corpus"], row["utterance_id"]): row["speaker_key"] for row in rows if row["role"] in ROLES}


def _ordered(seed: int, names: Sequence[str]) -> list[str]:
    """Sort names by their hash, so that the result does not depend on their given order."""
    return sorted(names, key=lambda name: digest_of(seed, name))


def dev_utterances(keys: Sequence[Key], seed: int, speakers: Mapping[Key, str] | None = None) -> set[Key]:
    """Choose about a tenth of the utterances for dev by hash, at least one where there are two or more.

    Args:
        keys: Utterances in any order, which does not change the choice.
        seed: Seed of the choice.
        speakers: Speaker of each utterance. With ``DEV_SPEAKERS`` or more speakers, whole speakers are chosen, so that
            dev has only speakers that the stage is not trained on.
    """
    if len(keys) < 2:
        return set()
    groups: dict[str, list[Key]] = defaultdict(list)
    by_speaker = speakers is not None and len({speakers[key] for key in keys}) >= DEV_SPEAKERS
    for key in keys:
        groups[speakers[key] if speakers is not None and by_speaker else "/".join(key)].append(key)
    sizes = {name: len(groups[name]) for name in _ordered(seed, list(groups))}
    return {key for name in nearest_share(sizes, len(keys) // DEV_SHARE) for key in groups[name]}


def _within_limit(pairs: Sequence[Row], settings: Pairs, seed: int) -> list[Row]:
    """Choose at most ``limit`` pairs by hash, a share of each kind; pairs that one kind lacks come from the other."""
    if len(pairs) <= settings.limit:
        return list(pairs)
    ids = {kind: [pair["pair_id"] for pair in pairs if pair["kind"] == kind] for kind in KINDS}
    factual = round(settings.factuality.share * settings.limit)
    wanted = {"factuality": factual, "faithfulness": settings.limit - factual}
    kept: set[str] = set()
    for kind, other in (KINDS, KINDS[::-1]):
        lacking = max(0, wanted[other] - len(ids[other]))
        kept.update(_ordered(seed, ids[kind])[: wanted[kind] + lacking])
    return [pair for pair in pairs if pair["pair_id"] in kept]


def _statistics(pairs: Sequence[Row], rated: Mapping[str, Row]) -> dict[str, dict[str, float]]:
    """Count the pairs of each kind; average the margin and chosen minus rejected in tokens, vocal and wrong clues.

    Pairs with a copy are only in the numbers (``swaps`` counts them) and in the tokens: no judge scores a copy.
    """
    found = {}
    for kind in KINDS:
        own = [pair for pair in pairs if pair["kind"] == kind]
        judged = [
            (rated[p["chosen_id"]], rated[p["rejected_id"]], p)
            for p in own
            if p["chosen_id"] in rated and p["rejected_id"] in rated
        ]
        values = {"pairs": float(len(own)), "swaps": float(len(own) - len(judged))}
        if own:
            longer = [len(p["chosen_ids"]) - len(p["rejected_ids"]) for p in own]
            values["tokens"] = sum(longer) / len(longer)
        if judged:
            values["margin"] = sum(p["margin"] for _, _, p in judged) / len(judged)
            for name in ("vocal", "wrong"):
                values[name] = sum(better[name] - worse[name] for better, worse, _ in judged) / len(judged)
        found[kind] = {name: round(value, 4) for name, value in values.items()}
    return found


@dataclass(frozen=True)
class PairSettings:
    """Settings of the preference pairs.

    Attributes:
        pairs: Share and margin of each kind, requirements on a chosen caption, clue swap, and numbers of pairs.
        seed: Seed of the swaps, of the dev utterances and of the pairs kept within the limit.
        max_new_tokens: Maximum length of a swapped caption in tokens.
    """

    pairs: Pairs
    seed: int
    max_new_tokens: int


@dataclass(frozen=True)
class PairInputs:
    """Input files of the preference pairs; mappings are keyed by training corpus.

    Attributes:
        candidates: Artifact ``candidates``.
        scores: Artifact ``judge_scores`` of the candidates.
        gold: Artifacts ``clues``, parsed from the reference captions.
        references: Artifacts ``labels``.
        transcripts: Artifacts ``transcripts``.
        prosody: Artifacts ``prosody``.
        plan: Artifact ``plan``, the roles and speakers of the training utterances.
        llm: Manifest of the base LLM, whose tokenizer encodes swapped captions.
    """

    candidates: Path
    scores: Path
    gold: ByCorpus
    references: ByCorpus
    transcripts: ByCorpus
    prosody: ByCorpus
    plan: Path
    llm: Path


def build_pairs(settings: PairSettings, inputs: PairInputs, out: Path) -> None:
    """Build the preference pairs of a captioner (the rules of selection are ours).

    Repeated captions are removed. A pair needs different assertions and a margin in the score of its kind. The token
    ids are those that were sampled, including the end token.

    Args:
        settings: Settings of the selection.
        inputs: Candidates, their scores, and the facts of their utterances.
        out: Artifact ``preference_pairs`` to write; its notes count and describe the kinds.

    Raises:
        ArtifactError: The scores are not those of the candidates, an utterance has another role, or there are fewer
            pairs than ``pairs.minimum``.
    """
    wanted, seed = settings.pairs, settings.seed
    speakers = _speakers(inputs.plan)
    facts = read_facts(inputs.references, inputs.gold, inputs.transcripts, inputs.prosody, of=speakers.keys())
    swaps = wanted.hard_negatives if wanted.factuality.share > 0 else "off"
    corrects = wanted.corrected and wanted.factuality.share > 0
    tokenizer = load_tokenizer(inputs.llm) if corrects or swaps != "off" else None
    pairs: list[Row] = []
    rated: dict[str, Row] = {}
    counts: Counter[str] = Counter()
    utterances = 0
    for key, group in scored_candidates(inputs.candidates, inputs.scores):
        utterances += 1
        if key not in speakers:
            raise ArtifactError(
                f"{inputs.candidates}: '{'/'.join(key)}' has none of the roles {' and '.join(ROLES)} in {inputs.plan}, "
                "and pairs come of these only; sample candidates again"
            )
        rows = [rate(row, facts[key], wanted) for row in _distinct(group)]
        own = judged_pairs(rows, wanted)
        if swaps == "always" or (swaps == "fallback" and not any(pair["kind"] == "factuality" for pair in own)):
            swapped = swapped_pair(rows, truth_of(facts[key]), seed, tokenizer, settings.max_new_tokens)
            own += [] if swapped is None else [swapped]
        if corrects:
            rejected = {pair["rejected_id"] for pair in own}
            left = [row for row in rows if row["candidate_id"] not in rejected]
            corrected = corrected_pair(left, facts[key], wanted, tokenizer, settings.max_new_tokens)
            own += [] if corrected is None else [corrected]
        counts["utterances without a pair"] += not own
        pairs += own
        paired = {pair[end] for pair in own for end in ("chosen_id", "rejected_id")}
        rated |= {row["candidate_id"]: row for row in rows if row["candidate_id"] in paired}
    if len(pairs) < wanted.minimum:
        raise ArtifactError(
            f"{out}: {len(pairs)} pairs from {utterances} utterances, preference.pairs.minimum is {wanted.minimum}; "
            "raise preference.candidates.samples or utterances, lower preference.pairs.*.margin, or align longer"
        )
    kept = _within_limit(pairs, wanted, seed)
    counts["left out by the limit"] = len(pairs) - len(kept)
    dev = dev_utterances(list(dict.fromkeys((p["corpus"], p["utterance_id"]) for p in kept)), seed, speakers)
    for pair in kept:
        pair["role"] = "dev" if (pair["corpus"], pair["utterance_id"]) in dev else "train"
        counts[pair["role"]] += 1
    kinds = _statistics(kept, rated)
    logger.info("%d pairs: %s", len(kept), dict(counts))
    for kind, values in kinds.items():
        logger.info("%s, chosen less rejected: %s", kind, values)
    artifacts.write(kept, out, "preference_pairs", "preference_pairs", {"counts": dict(counts), "kinds": kinds})
