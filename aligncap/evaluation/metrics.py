"""Text metrics by utterance id: BLEU, METEOR, ROUGE-L, CIDEr-D and SPICE of pycocoevalcap, similarity and variety.

A metric that is unavailable (no Java, one candidate only, references that it cannot read) is absent, with its reason;
it is never 0. Chinese, Japanese and Korean texts are compared character by character.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aligncap.clues.scripts import LANGUAGES, language_of, spaced
from aligncap.errors import MetricError
from aligncap.evaluation import java, spice

logger = logging.getLogger(__name__)

Captions = Mapping[str, str]
References = Mapping[str, Sequence[str]]
BLEU = ("bleu1", "bleu2", "bleu3", "bleu4")
PTB_METRICS = (*BLEU, "rouge_l", "cider_d")
SPICE_METRICS = ("spice", "spider")  # SPIDEr is the mean of CIDEr-D and SPICE
TEXT_METRICS = (*PTB_METRICS, "meteor", *SPICE_METRICS)
SpiceWish = Literal["auto", "require", "off"]
SMALL, TINY = 1e-9, 1e-15  # pycocoevalcap's guards against division by zero


class Encoder(Protocol):
    """The interface of a sentence encoder that similarity needs."""

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Return unit vectors [n, dim], zeros for a text of spaces alone."""


@dataclass
class TextScores:
    """The text metrics of one system.

    Attributes:
        corpus: Metric -> the scorer's own corpus figure; 0-1, except ``cider_d`` (0-10).
        items: Utterance id -> metric -> figure of this caption.
        bleu_counts: Counts [n_utterances, 10] for a bootstrap of the corpus BLEU: correct 1-4, guessed 1-4, length,
            reference length.
    """

    corpus: dict[str, float] = field(default_factory=dict)
    items: dict[str, dict[str, float]] = field(default_factory=dict)
    bleu_counts: NDArray[np.float64] | None = None


def _check(candidates: Captions, references: References, who: str) -> None:
    if not candidates:
        raise MetricError(f"{who}: no captions to score")
    missing = sorted(set(candidates) - set(references))
    if missing:
        raise MetricError(f"{who}: {len(missing)} captions without an entry in the references, first '{missing[0]}'")
    bare = sorted(name for name in candidates if not references[name])
    if bare:
        raise MetricError(f"{who}: {len(bare)} utterances have no reference caption, first '{bare[0]}'")


def bleu_from_counts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corpus BLEU-1..4 [..., 4] of summed counts [..., 10] (see ``TextScores``), as pycocoevalcap does."""
    correct, guessed = counts[..., :4], counts[..., 4:8]
    product = np.cumprod((correct + TINY) / (guessed + SMALL), axis=-1)
    ratio = (counts[..., 8] + TINY) / (counts[..., 9] + SMALL)
    brevity = np.where(ratio < 1, np.exp(1 - 1 / np.minimum(ratio, 1)), 1.0)
    return product ** (1 / np.arange(1, 5)) * brevity[..., None]


def _bleu(hypotheses: list[str], references: list[list[str]], scores: TextScores, ids: list[str]) -> None:
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        scorer += (hypothesis, texts)
    corpus, items = scorer.compute_score(option="closest", verbose=0)
    counts = []
    for segment in scorer.ctest:
        closest = min((abs(length - segment["testlen"]), length) for length in segment["reflen"])[1]
        counts.append([*segment["correct"], *segment["guess"], segment["testlen"], closest])
    scores.bleu_counts = np.asarray(counts, dtype=np.float64)
    _keep(scores, ids, dict(zip(BLEU, corpus, strict=True)), dict(zip(BLEU, items, strict=True)))


def _keep(
    scores: TextScores, ids: list[str], corpus: Mapping[str, float], items: Mapping[str, Sequence[float]]
) -> None:
    for metric, value in corpus.items():
        scores.corpus[metric] = float(value)
        for name, item in zip(ids, items[metric], strict=True):
            scores.items.setdefault(name, {})[metric] = float(item)


def why_absent(meteor: bool, wish: SpiceWish) -> dict[str, str]:
    """Return metric -> reason why it is unavailable or not wanted; it looks for Java and jars and computes nothing.

    Args:
        meteor: Value of ``evaluation.meteor``.
        wish: Value of ``evaluation.spice``.

    Raises:
        MetricError: SPICE is required and unavailable.
    """
    absent: dict[str, str] = {}
    try:
        java.find_java()
    except MetricError as error:
        absent |= dict.fromkeys(TEXT_METRICS, f"needs the PTB tokenizer: {error}")
    if not meteor:
        absent["meteor"] = "switched off (evaluation.meteor: false)"
    reason = "switched off (evaluation.spice: off)" if wish == "off" else absent.get("spice") or spice.why_not()
    if reason is not None:
        if wish == "require":
            raise MetricError(f"evaluation.spice: require, but {reason}; or set evaluation.spice to auto or off")
        absent |= dict.fromkeys(SPICE_METRICS, reason)
    return absent


def text_metrics(
    systems: Mapping[str, Captions], references: References, meteor: bool = True, wish: SpiceWish = "off"
) -> tuple[dict[str, TextScores], dict[str, str]]:
    """Score several systems on the same references with two JVM starts in all, and one per system for SPICE.

    Args:
        systems: System -> utterance id -> caption.
        references: Utterance id -> one or more captions; ids that no system has are ignored.
        meteor: Whether METEOR is wanted.
        wish: Whether SPICE is wanted: where it is available (auto), or with an error where it is not (require).

    Returns:
        (system -> figures, unavailable metric -> reason). CIDEr-D needs two candidates, because its document
        frequencies are those of the references scored.

    Raises:
        MetricError: No captions, captions whose id has no reference, or SPICE is required and unavailable.
    """
    for name, candidates in systems.items():
        _check(candidates, references, name)
    scored = {name: TextScores(items={i: {} for i in candidates}) for name, candidates in systems.items()}
    unreadable = _unreadable(references, wish)
    unavailable = why_absent(meteor, wish) | unreadable
    try:
        tokenised = _tokenised(systems, references)
    except MetricError as error:
        logger.warning("no text metrics: %s", error)
        reason = f"needs the PTB tokenizer: {error}"
        return scored, dict.fromkeys(TEXT_METRICS, reason) | unavailable
    for name, (ids, hypotheses, truths) in tokenised.items():
        _word_overlap(ids, hypotheses, truths, scored[name], unavailable)
    if "meteor" not in unavailable:
        try:
            with java.Meteor() as process:
                for name, (ids, hypotheses, truths) in tokenised.items():
                    corpus, items = process.score(hypotheses, truths)
                    _keep(scored[name], ids, {"meteor": corpus}, {"meteor": items})
        except MetricError as error:
            _drop("meteor", str(error), scored, unavailable)
    if "spice" not in unavailable:
        try:
            for name, (ids, hypotheses, truths) in tokenised.items():
                corpus, items = spice.score(hypotheses, truths)
                _keep(scored[name], ids, {"spice": corpus}, {"spice": items})
        except MetricError as error:
            if wish == "require":
                raise
            _drop("spice", str(error), scored, unavailable)
    _spider(scored, unavailable)
    return scored, unavailable


def _unreadable(references: References, wish: SpiceWish) -> dict[str, str]:
    """Return metric -> reason of those that read English only, where the references are of another script."""
    language = language_of(text for texts in references.values() for text in texts)
    if language in ("en", None):
        return {}
    reason = f"reads English only, the references are {LANGUAGES[language]}"
    if wish == "require":
        raise MetricError(f"evaluation.spice: require, but SPICE {reason}; set evaluation.spice to off")
    return dict.fromkeys(("meteor", *SPICE_METRICS), reason)


def _tokenised(
    systems: Mapping[str, Captions], references: References
) -> dict[str, tuple[list[str], list[str], list[list[str]]]]:
    wanted = {i for candidates in systems.values() for i in candidates}
    everything = [text for i in sorted(wanted) for text in references[i]]
    tokens = java.tokenise(map(spaced, everything + [text for c in systems.values() for text in c.values()]))
    return {
        name: (
            list(own),
            [tokens[spaced(own[i])] for i in own],
            [[tokens[spaced(text)] for text in references[i]] for i in own],
        )
        for name, own in systems.items()
    }


def _word_overlap(
    ids: list[str], hypotheses: list[str], truths: list[list[str]], scores: TextScores, unavailable: dict[str, str]
) -> None:
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    gts, res = dict(zip(ids, truths, strict=True)), {i: [h] for i, h in zip(ids, hypotheses, strict=True)}
    _bleu(hypotheses, truths, scores, ids)
    rouge, rouge_items = Rouge().compute_score(gts, res)
    _keep(scores, ids, {"rouge_l": rouge}, {"rouge_l": rouge_items})
    if len(ids) < 2:
        unavailable["cider_d"] = "needs at least two utterances"
    else:
        cider, cider_items = Cider().compute_score(gts, res)
        _keep(scores, ids, {"cider_d": cider}, {"cider_d": cider_items})


def _drop(metric: str, reason: str, scored: Mapping[str, TextScores], unavailable: dict[str, str]) -> None:
    """Remove a metric that failed half-way from every system."""
    logger.warning("no %s: %s", metric.upper(), reason)
    unavailable[metric] = reason
    for figures in scored.values():
        figures.corpus.pop(metric, None)
        for item in figures.items.values():
            item.pop(metric, None)


def _spider(scored: Mapping[str, TextScores], unavailable: dict[str, str]) -> None:
    missing = next((m for m in ("spice", "cider_d") if m in unavailable), None)
    if missing is not None:
        unavailable.setdefault("spider", unavailable[missing])
        return
    for figures in scored.values():
        for row in (figures.corpus, *figures.items.values()):
            row["spider"] = (row["cider_d"] + row["spice"]) / 2


def embed(texts: Sequence[str], encoder: Encoder) -> dict[str, NDArray[np.float32]]:
    """Return the vector [dim] of each distinct text, of norm 1, or zeros for a text of spaces alone."""
    distinct = sorted(set(texts))
    if not distinct:
        return {}
    return dict(zip(distinct, encoder.encode(distinct), strict=True))


def mean_similarity(caption: str, references: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]) -> float:
    """Return the mean cosine between the embeddings of the caption and of each reference (ours).

    It is the mean and not the best, because the best of several references rises with their number, which differs
    between corpora.
    """
    return float(np.mean([vectors[caption] @ vectors[text] for text in references]))


def words(caption: str) -> list[str]:
    """Return the words for lengths and bigrams: lower-cased, split at white space, outer punctuation removed.

    A Chinese, Japanese or Korean character is a word.
    """
    stripped = (word.strip(".,;:!?\"'()[]…“”‘’") for word in spaced(caption.lower()).split())
    return [word for word in stripped if word]


def distinct(captions: Sequence[str], n: int) -> float | None:
    """Return the share of distinct n-grams among all n-grams of the captions, or None where there is no n-gram."""
    grams = [tuple(own[i : i + n]) for own in map(words, captions) for i in range(len(own) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def collapse(captions: Sequence[str]) -> float:
    """Return the share of the commonest caption, which is 1 where every clip gets the same words."""
    return Counter(" ".join(words(c)) for c in captions).most_common(1)[0][1] / len(captions)
