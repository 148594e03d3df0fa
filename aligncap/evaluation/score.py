"""Score every system's captions of one test corpus in one job, with the chance row made of its own references."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues import canonical
from aligncap.clues.checks import Truth
from aligncap.clues.grammar import dominant_emotion
from aligncap.config import Compute, Evaluation
from aligncap.errors import ArtifactError, MetricError
from aligncap.evaluation import bootstrap, hallucination, metrics

logger = logging.getLogger(__name__)

TEXT_DERANGEMENTS = 3  # of the chance row's; BLEU, METEOR, ROUGE-L and CIDEr-D cost seconds each and hardly vary
SESSIONS = 10  # from so many sessions on, the bootstrap draws sessions
MACRO_MINIMUM = 10
MEANS = ("rouge_l", "cider_d", "similarity", *hallucination.METRICS)  # corpus figure = mean of items
ITEM_METRICS = (*metrics.BLEU, "meteor", "rouge_l", "cider_d", "similarity", *hallucination.METRICS, "length_ratio")
ABOUT = (
    "Intervals: 95 % percentile bootstrap, stratified by label and clustered; BLEU from resampled counts; METEOR's is "
    "that of the mean of items, moved to the corpus figure. Similarity: mean over references. Chance: mean over "
    f"derangements of the references, text metrics over {TEXT_DERANGEMENTS} of them."
)

Item = dict[str, float | None]


@dataclass(frozen=True)
class Gold:
    """What is known of the test corpus; every mapping is keyed by utterance id and in the same order."""

    references: dict[str, list[str]]
    label: dict[str, str | None]
    cluster: dict[str, str]
    truth: dict[str, Truth]
    transcript: dict[str, str]

    @property
    def ids(self) -> list[str]:
        """Utterance ids, in the order of the references artifact."""
        return list(self.references)

    @property
    def captioned(self) -> list[str]:
        """Ids of the utterances that have a reference caption."""
        return [i for i, texts in self.references.items() if texts]


@dataclass
class Scored:
    """One system: items by utterance id, corpus figures, and what its intervals need."""

    captions: dict[str, str]
    verdicts: dict[str, hallucination.Verdict]
    items: dict[str, Item]
    corpus: dict[str, float]
    bleu_counts: NDArray[np.float64] | None
    lengths: NDArray[np.float64]  # [n, 2] words of caption and mean words of the references


def read_gold(references: Path, prosody: Path, transcripts: Path, audio: Path) -> Gold:
    """Read labels, clusters and measurements of a test corpus; only scoring and the report may."""
    rows = artifacts.read_rows(references, "labels")
    measured = {r["utterance_id"]: r for r in artifacts.read_rows(prosody, "prosody")}
    said = {r["utterance_id"]: r["transcript"] for r in artifacts.read_rows(transcripts, "transcripts")}
    session = {r["utterance_id"]: r["session"] for r in artifacts.read_rows(audio, "audio")}
    by_session = all(session[r["utterance_id"]] for r in rows) and len(set(session.values())) >= SESSIONS
    gold = Gold({}, {}, {}, {}, {})
    for row in rows:
        name = row["utterance_id"]
        captions = [text for text in row["captions"] if text.strip()]
        # A corpus label wins even where it is outside the seven classes ('other'): then nothing is compared.
        parsed = dominant_emotion(captions[0]) if captions and row["emotion"] is None else None
        gold.references[name] = captions
        gold.label[name] = row["emotion"] or parsed
        own_text = row["caption_group"] or (captions[0] if captions else name)
        gold.cluster[name] = session[name] if by_session else own_text
        gold.truth[name] = Truth.from_rows(gold.label[name], measured.get(name))
        gold.transcript[name] = said.get(name, "")
    return gold


def derangement(n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """A uniform permutation of ``range(n)``, n >= 2, that leaves nothing in its place."""
    while True:
        order = generator.permutation(n)
        if not (order == np.arange(n)).any():
            return order


def chance_captions(gold: Gold, count: int, seed: int) -> list[dict[str, str]]:
    """``count`` times: each utterance gets a reference of another one.

    Raises:
        MetricError: fewer than two utterances have reference captions.
    """
    pool = gold.captioned
    if len(pool) < 2:
        raise MetricError(
            f"chance: {len(pool)} utterances with a reference caption; it needs two (drop the system for this corpus)"
        )
    generator = np.random.default_rng(seed)
    shuffles = []
    for _ in range(count):
        order = derangement(len(pool), generator)
        source = {name: pool[other] for name, other in zip(pool, order, strict=True)}
        captions = {}
        for name in gold.ids:
            texts = gold.references[source.get(name) or pool[generator.integers(len(pool))]]
            captions[name] = texts[generator.integers(len(texts))]
        shuffles.append(captions)
    return shuffles


def _length_ratio(caption: str, references: Sequence[str]) -> tuple[float, float]:
    return float(len(metrics.words(caption))), float(np.mean([len(metrics.words(text)) for text in references]))


def _scored(
    gold: Gold,
    captions: dict[str, str],
    finished: Mapping[str, bool],
    text: metrics.TextScores,
    vectors: Mapping[str, NDArray[np.float32]],
) -> Scored:
    verdicts, items, lengths = {}, {}, []
    for name in gold.ids:
        references = gold.references[name]
        verdicts[name] = hallucination.examine(
            captions[name], gold.truth[name], gold.transcript[name], references, finished.get(name, True)
        )
        item: Item = dict.fromkeys(ITEM_METRICS)
        item |= text.items.get(name, {}) | verdicts[name].values
        if references:
            item["similarity"] = metrics.mean_similarity(captions[name], references, vectors)
            own, theirs = _length_ratio(captions[name], references)
            item["length_ratio"] = own / theirs if theirs else None
        else:
            own, theirs = 0.0, 0.0
        items[name] = item
        lengths.append((own, theirs))
    corpus = dict(text.corpus)
    spoken = list(captions.values())
    corpus["collapse"] = metrics.collapse(spoken)
    variety = metrics.distinct2(spoken)
    if variety is not None:
        corpus["distinct2"] = variety
    return Scored(captions, verdicts, items, corpus, text.bleu_counts, np.asarray(lengths))


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _average(runs: Sequence[Scored]) -> Scored:
    """The chance row: figures averaged over derangements, the captions and flags of the first one."""
    first = runs[0]
    items = {
        name: {metric: _mean_or_none([run.items[name][metric] for run in runs]) for metric in ITEM_METRICS}
        for name in first.items
    }
    names = {metric for run in runs for metric in run.corpus}
    corpus = {m: float(np.mean([run.corpus[m] for run in runs if m in run.corpus])) for m in sorted(names)}
    counted = [run.bleu_counts for run in runs if run.bleu_counts is not None]
    counts = np.mean(counted, axis=0) if counted else None
    lengths = np.mean([run.lengths for run in runs], axis=0)
    return Scored(first.captions, first.verdicts, items, corpus, counts, lengths)


def _figure(value: float, n: int, samples: NDArray[np.float64] | None, plain: float | None = None) -> dict[str, Any]:
    """A corpus figure and its interval; ``plain``, the same statistic of the whole sample, moves the interval to it."""
    bounds = bootstrap.interval(samples) if samples is not None else None
    shift = 0.0 if plain is None else value - plain
    low, high = (max(bounds[0] + shift, 0.0), bounds[1] + shift) if bounds else (None, None)
    return {"value": value, "ci_low": low, "ci_high": high, "n": n}


def figures(scored: Scored, gold: Gold, weights: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    """Corpus figures: metric -> value, ci_low, ci_high (None where no interval is defined) and n utterances."""
    ids = gold.ids
    found: dict[str, dict[str, Any]] = {}
    columns = {
        metric: np.asarray([np.nan if (v := scored.items[i][metric]) is None else v for i in ids], dtype=np.float64)
        for metric in ITEM_METRICS
    }
    for metric in (*MEANS, "meteor"):
        values = columns[metric]
        n = int((~np.isnan(values)).sum())
        if n and (metric != "meteor" or metric in scored.corpus):
            mean = float(np.nanmean(values))
            value = scored.corpus.get(metric, mean) if metric == "meteor" else mean
            found[metric] = _figure(value, n, bootstrap.weighted_mean(weights, values), mean)
    if scored.bleu_counts is not None:
        rows = [row for row, name in enumerate(ids) if gold.references[name]]
        samples = metrics.bleu_from_counts(weights[:, rows] @ scored.bleu_counts)
        plain = metrics.bleu_from_counts(scored.bleu_counts.sum(axis=0))
        for order, metric in enumerate(metrics.BLEU):
            found[metric] = _figure(scored.corpus[metric], len(rows), samples[:, order], float(plain[order]))
    classes = [canonical(gold.label[i]) for i in ids]
    agreement, ones = columns["emotion_agreement"], np.ones((1, len(ids)))
    for metric, minimum in (("emotion_agreement_macro", 1), ("emotion_agreement_macro_n10", MACRO_MINIMUM)):
        value = float(bootstrap.weighted_macro(ones, agreement, classes, minimum)[0])
        if not np.isnan(value):
            samples = bootstrap.weighted_macro(weights, agreement, classes, minimum)
            found[metric] = _figure(value, int((~np.isnan(agreement)).sum()), samples)
    own, theirs = scored.lengths.T
    if theirs.sum():
        samples = bootstrap.weighted_ratio(weights, own, theirs)
        found["length_ratio"] = _figure(float(own.sum() / theirs.sum()), len(gold.captioned), samples)
    for metric in ("collapse", "distinct2"):  # resampling repeats captions, so neither has a bootstrap interval
        if metric in scored.corpus:
            found[metric] = _figure(scored.corpus[metric], len(ids), None)
    return found


def _read_captions(captions: Mapping[str, Path], gold: Gold) -> tuple[dict[str, dict[str, str]], dict[str, dict]]:
    texts, finished = {}, {}
    for system, path in captions.items():
        rows = {row["utterance_id"]: row for row in artifacts.read_rows(path, "captions")}
        if set(rows) != set(gold.ids):
            odd = sorted(set(rows) ^ set(gold.ids))
            raise ArtifactError(
                f"{path}: its utterances differ from the references' in {len(odd)}, first '{odd[0]}'; "
                "caption this corpus again"
            )
        texts[system] = {name: rows[name]["caption"] for name in gold.ids}
        finished[system] = {name: rows[name]["finished"] for name in gold.ids}
    return texts, finished


def score_captions(
    evaluation: Evaluation,
    compute: Compute,
    corpus: str,
    references: Path,
    prosody: Path,
    transcripts: Path,
    audio: Path,
    captions: Mapping[str, Path],
    encoder_manifest: Path,
    outs: Mapping[str, Path],
) -> None:
    """Write the ``evaluation`` artifact of every system on one test corpus.

    Args:
        evaluation: METEOR or not, resamples, derangements, seed.
        compute: threads of the sentence encoder.
        corpus: name of the test corpus.
        references: its ``labels`` artifact with captions.
        prosody: its measured prosody.
        transcripts: its ASR transcripts.
        audio: its audio artifact, for the sessions.
        captions: system -> ``captions`` artifact.
        encoder_manifest: sentence encoder.
        outs: system -> file to write; a system without captions is the chance row.

    Raises:
        ArtifactError: captions of other utterances than the references.
        MetricError: chance without two reference captions.
    """
    from aligncap.captioner.sources import model_folder
    from aligncap.text import SentenceEncoder

    gold = read_gold(references, prosody, transcripts, audio)
    texts, finished = _read_captions(captions, gold)
    by_chance = set(outs) - set(captions)
    shuffles = chance_captions(gold, evaluation.derangements, evaluation.seed) if by_chance else []
    unavailable: dict[str, str] = {}
    text_scores: dict[str, metrics.TextScores] = {}
    captioned = gold.captioned
    if captioned:
        runs = {f"#{number}": shuffle for number, shuffle in enumerate(shuffles[:TEXT_DERANGEMENTS])}
        asked = {s: {i: own[i] for i in captioned} for s, own in (texts | runs).items()}
        text_scores, unavailable = metrics.text_metrics(asked, gold.references, evaluation.meteor)
    else:
        reason = f"corpus {corpus} has no reference captions"
        unavailable = dict.fromkeys((*metrics.PTB_METRICS, "meteor", "similarity", "length_ratio"), reason)
    _set_threads(compute)
    encoder = SentenceEncoder(model_folder(encoder_manifest))
    everything = [t for own in texts.values() for t in own.values()] + [t for r in gold.references.values() for t in r]
    vectors = metrics.embed(everything, encoder) if captioned else {}
    labels = [canonical(gold.label[i]) for i in gold.ids]
    clusters = [gold.cluster[i] for i in gold.ids]
    weights = bootstrap.resample_weights(clusters, labels, evaluation.bootstrap, evaluation.seed)
    nothing = metrics.TextScores()
    for system, out in outs.items():
        if system in by_chance:
            scored = _average(
                [
                    _scored(gold, own, {}, text_scores.get(f"#{number}", nothing), vectors)
                    for number, own in enumerate(shuffles)
                ]
            )
        else:
            scored = _scored(gold, texts[system], finished[system], text_scores.get(system, nothing), vectors)
        notes = {
            "corpus": corpus,
            "about": ABOUT,
            "figures": figures(scored, gold, weights),
            "unavailable": unavailable,
        }
        artifacts.write(_rows(scored, gold), out, "evaluation", "score_captions", notes)
        logger.info("%s on %s: scored %d captions", system, corpus, len(gold.ids))


def _set_threads(compute: Compute) -> None:
    import torch

    torch.set_num_threads(compute.threads)


def _rows(scored: Scored, gold: Gold) -> list[dict[str, Any]]:
    return [
        {
            "utterance_id": name,
            "caption": scored.captions[name],
            "cluster": gold.cluster[name],
            "label": gold.label[name],
            "dominant": scored.verdicts[name].dominant,
            "metric_names": list(ITEM_METRICS),
            "metric_values": [scored.items[name][metric] for metric in ITEM_METRICS],
            "flags": list(scored.verdicts[name].flags),
        }
        for name in gold.ids
    ]
