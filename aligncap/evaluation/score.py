"""Scoring of all systems' captions of one test corpus in one job, with the chance row made of its own references."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.config import Compute, Evaluation
from aligncap.errors import ArtifactError
from aligncap.evaluation import bootstrap, hallucination, metrics
from aligncap.evaluation.gold import Gold, chance_captions, read_gold
from aligncap.job import By
from aligncap.vocabulary import canonical

logger = logging.getLogger(__name__)

TEXT_DERANGEMENTS = 3  # of the chance row, because text metrics cost seconds for each and hardly vary
JUDGED = (*hallucination.METRICS, *hallucination.SECOND)
MEANS = ("rouge_l", "cider_d", *metrics.SPICE_METRICS, "similarity", *JUDGED)  # corpus figure = mean of items
ITEM_METRICS = (*metrics.PTB_METRICS, "meteor", *metrics.SPICE_METRICS, "similarity", *JUDGED, "length_ratio")
MACRO = {  # corpus figure -> item metric, minimum of utterances per class
    "emotion_agreement_macro": ("emotion_agreement", 1),
    "emotion_agreement_macro_n10": ("emotion_agreement", 10),
    "emotion_agreement_macro_2": ("emotion_agreement_2", 1),
}
VARIETY = ("collapse", "distinct1", "distinct2")  # resampling repeats captions: these have no bootstrap interval
ABOUT = (
    "Intervals: 95 % percentile bootstrap, stratified by label and clustered; BLEU from resampled counts; METEOR's is "
    "that of the mean of items, moved to the corpus figure. Similarity: mean over references. Chance: mean over "
    f"derangements of the references, text metrics over {TEXT_DERANGEMENTS} of them."
)

ItemScores = dict[str, float | None]


@dataclass(frozen=True)
class Opinions:
    """The second instrument's results: caption -> emotion or None, and the classes that it knows."""

    dominant: dict[str, str | None]
    labels: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Opinions:
        """Read a ``second_opinions`` artifact."""
        found = {row["caption"]: row["dominant"] for row in artifacts.read_rows(path, "second_opinions")}
        return cls(found, tuple(artifacts.read_notes(path, "second_opinions")["labels"]))

    def values(self, caption: str, emotion: str | None) -> dict[str, float | None]:
        """Return the second instrument's metrics of one caption, all None where it knows no class."""
        if not self.labels:
            return dict.fromkeys(hallucination.SECOND)
        if caption not in self.dominant:
            raise ArtifactError(f"second opinions: none of the caption {caption!r}; run second_opinion again")
        return hallucination.second_values(self.dominant[caption], emotion, self.labels)


@dataclass
class ScoredSystem:
    """The scores of one system: items by utterance id, corpus figures, and the data for its intervals."""

    captions: dict[str, str]
    verdicts: dict[str, hallucination.Verdict]
    items: dict[str, ItemScores]
    corpus: dict[str, float]
    bleu_counts: NDArray[np.float64] | None
    lengths: NDArray[np.float64]  # [n, 2] word count of the caption and mean word count of the references


NO_OPINIONS = Opinions({}, ())


def score_items(
    gold: Gold,
    captions: dict[str, str],
    finished: Mapping[str, bool],
    text: metrics.TextScores,
    vectors: Mapping[str, NDArray[np.float32]],
    opinions: Opinions,
    language: str | None = "en",
) -> ScoredSystem:
    """Score one system's captions, except for the corpus figures of ``figures``.

    Args:
        gold: Gold data of the utterances.
        captions: Utterance id -> caption, in the order of ``gold``.
        finished: Utterance id -> whether its end token was generated; True where absent.
        text: Text metrics of these captions.
        vectors: Unit vector of every reference and of the captions that the sentence encoder reads; empty without one.
            Similarity is left out where the caption has none.
        opinions: Results of the second instrument, or ``NO_OPINIONS``.
        language: Language of the captions, as ``hallucination.examine`` takes it.
    """
    verdicts, items, lengths = {}, {}, []
    for name in gold.ids:
        references = gold.references[name]
        verdicts[name] = hallucination.examine(
            captions[name], gold.truth[name], gold.transcript[name], references, finished.get(name, True), language
        )
        item: ItemScores = dict.fromkeys(ITEM_METRICS)
        item |= text.items.get(name, {}) | verdicts[name].values
        item |= opinions.values(captions[name], gold.truth[name].emotion)
        if references:
            if captions[name] in vectors:
                item["similarity"] = metrics.mean_similarity(captions[name], references, vectors)
            own = float(len(metrics.words(captions[name])))
            theirs = float(np.mean([len(metrics.words(text)) for text in references]))
            item["length_ratio"] = own / theirs if theirs else None
        else:
            own, theirs = 0.0, 0.0
        items[name] = item
        lengths.append((own, theirs))
    corpus = dict(text.corpus)
    spoken = list(captions.values())
    corpus["collapse"] = metrics.collapse(spoken)
    for n in (1, 2):
        if (variety := metrics.distinct(spoken, n)) is not None:
            corpus[f"distinct{n}"] = variety
    return ScoredSystem(captions, verdicts, items, corpus, text.bleu_counts, np.asarray(lengths))


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _average(runs: Sequence[ScoredSystem]) -> ScoredSystem:
    """Return the chance row: figures averaged over derangements, with captions and flags of the first one."""
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
    return ScoredSystem(first.captions, first.verdicts, items, corpus, counts, lengths)


def figures(scored: ScoredSystem, gold: Gold, weights: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    """Return metric -> value, ci_low, ci_high (None where no interval is defined) and number of utterances n."""
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
            found[metric] = bootstrap.moved(value, mean, bootstrap.weighted_mean(weights, values), n)
    if scored.bleu_counts is not None:
        rows = [row for row, name in enumerate(ids) if gold.references[name]]
        samples = metrics.bleu_from_counts(weights[:, rows] @ scored.bleu_counts)
        plain = metrics.bleu_from_counts(scored.bleu_counts.sum(axis=0))
        for order, metric in enumerate(metrics.BLEU):
            found[metric] = bootstrap.moved(scored.corpus[metric], float(plain[order]), samples[:, order], len(rows))
    classes = [canonical(gold.label[i]) for i in ids]
    ones = np.ones((1, len(ids)))
    for metric, (item, minimum) in MACRO.items():
        value = float(bootstrap.weighted_macro(ones, columns[item], classes, minimum)[0])
        if not np.isnan(value):
            samples = bootstrap.weighted_macro(weights, columns[item], classes, minimum)
            found[metric] = bootstrap.figure(value, samples, int((~np.isnan(columns[item])).sum()))
    own, theirs = scored.lengths.T
    if theirs.sum():
        samples = bootstrap.weighted_ratio(weights, own, theirs)
        found["length_ratio"] = bootstrap.figure(own.sum() / theirs.sum(), samples, len(gold.captioned))
    for metric in VARIETY:
        if metric in scored.corpus:
            found[metric] = bootstrap.figure(scored.corpus[metric], None, len(ids))
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


@dataclass(frozen=True)
class ScoringSettings:
    """The settings of scoring: the test corpus, METEOR and SPICE, resamples, derangements and seed."""

    corpus: str
    evaluation: Evaluation
    compute: Compute


@dataclass(frozen=True)
class ScoringInputs:
    """The input files of scoring, for one test corpus.

    Attributes:
        references: ``labels`` artifact with captions.
        prosody: Measured prosody.
        timbre: Measured timbre.
        transcripts: ASR transcripts.
        audio: ``audio`` artifact, for the sessions.
        captions: System -> ``captions`` artifact.
        encoder: Manifest of the sentence encoder.
        opinions: ``second_opinions`` artifact; None leaves the second instrument's metrics out.
    """

    references: Path
    prosody: Path
    timbre: Path
    transcripts: Path
    audio: Path
    captions: Annotated[Mapping[str, Path], By("captioned")]
    encoder: Path
    opinions: Path | None = None


class Evaluations(NamedTuple):
    """The output files: system -> ``evaluation`` artifact, where a system without captions is the chance row."""

    evaluations: Annotated[Mapping[str, Path], By("scored")]


def score_captions(settings: ScoringSettings, inputs: ScoringInputs, outputs: Evaluations) -> None:
    """Score all systems on one test corpus.

    Raises:
        ArtifactError: Captions and references have different utterances.
        MetricError: Chance without two reference captions, or SPICE is required and unavailable.
    """
    import torch

    from aligncap.models.sentence_encoder import SentenceEncoder
    from aligncap.models.sources import model_folder

    evaluation = settings.evaluation
    gold = read_gold(inputs.references, inputs.prosody, inputs.timbre, inputs.transcripts, inputs.audio)
    texts, finished = _read_captions(inputs.captions, gold)
    second = Opinions.read(inputs.opinions) if inputs.opinions else NO_OPINIONS
    by_chance = set(outputs.evaluations) - set(inputs.captions)
    shuffles = chance_captions(gold, evaluation.derangements, evaluation.seed) if by_chance else []
    text_scores, unavailable = _text_scores(evaluation, settings.corpus, gold, texts, shuffles)
    torch.set_num_threads(settings.compute.threads)
    encoder = SentenceEncoder(model_folder(inputs.encoder))
    everything = [t for own in texts.values() for t in own.values()] + [t for r in gold.references.values() for t in r]
    vectors = metrics.embed(everything, encoder) if gold.captioned else {}
    labels = [canonical(gold.label[i]) for i in gold.ids]
    clusters = [gold.cluster[i] for i in gold.ids]
    weights = bootstrap.resample_weights(clusters, labels, evaluation.bootstrap, evaluation.seed)
    nothing = metrics.TextScores()
    for system, out in outputs.evaluations.items():
        if system in by_chance:
            scored = _average(
                [
                    score_items(gold, own, {}, text_scores.get(f"#{number}", nothing), vectors, second)
                    for number, own in enumerate(shuffles)
                ]
            )
        else:
            text = text_scores.get(system, nothing)
            scored = score_items(gold, texts[system], finished[system], text, vectors, second)
        notes = {
            "corpus": settings.corpus,
            "about": ABOUT,
            "figures": figures(scored, gold, weights),
            "unavailable": unavailable | _second_unavailable(second),
        }
        artifacts.write(_rows(scored, gold), out, "evaluation", "score_captions", notes)
        logger.info("%s on %s: scored %d captions", system, settings.corpus, len(gold.ids))


def _text_scores(
    evaluation: Evaluation,
    corpus: str,
    gold: Gold,
    texts: Mapping[str, Mapping[str, str]],
    shuffles: Sequence[Mapping[str, str]],
) -> tuple[dict[str, metrics.TextScores], dict[str, str]]:
    """Return text metrics of every system and of some shuffles (``#0``, ``#1`` …), and reasons for absent metrics."""
    if not gold.captioned:
        reason = f"corpus {corpus} has no reference captions"
        return {}, dict.fromkeys((*metrics.TEXT_METRICS, "similarity", "length_ratio"), reason)
    runs = {f"#{number}": shuffle for number, shuffle in enumerate(shuffles[:TEXT_DERANGEMENTS])}
    asked = {s: {i: own[i] for i in gold.captioned} for s, own in (dict(texts) | runs).items()}
    return metrics.text_metrics(asked, gold.references, evaluation.meteor, evaluation.spice)


def _second_unavailable(opinions: Opinions) -> dict[str, str]:
    if opinions.labels:
        return {}
    reason = "no second instrument: it was not asked, or the training captions carry fewer than two emotion labels"
    return dict.fromkeys((*hallucination.SECOND, "emotion_agreement_macro_2"), reason)


def _rows(scored: ScoredSystem, gold: Gold) -> list[dict[str, Any]]:
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
            "assertions": [asdict(assertion) for assertion in scored.verdicts[name].assertions],
        }
        for name in gold.ids
    ]
