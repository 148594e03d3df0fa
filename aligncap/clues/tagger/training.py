"""Training of the clue tagger: targets, out-of-fold predictions by speaker and by corpus, and weights (ours).

An out-of-fold prediction of a clip comes from a model that was not trained on the clip's fold. Folds of speakers
measure the tagger on new speakers of a known corpus, folds of corpora on a new corpus.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.tagger.familiarity import fit_familiarity
from aligncap.clues.tagger.heads import (
    LABELS,
    Array,
    Head,
    OutOfFold,
    fit_heads,
    out_of_fold,
    standardised_rows,
    statistics,
)
from aligncap.clues.tagger.model import Tagger, normalisation_groups, read_corpus
from aligncap.config import TaggerSettings
from aligncap.errors import CorpusError
from aligncap.job import By, ByCorpus
from aligncap.vocabulary import SCALES, canonical

log = logging.getLogger(__name__)

Planned = Sequence[Mapping[str, Any]]
Files = Mapping[str, Path]  # file of each corpus
Unlabelled = Annotated[Mapping[str, Path], By("unlabelled")]


@dataclass(frozen=True)
class TaggerSources:
    """Input files of the tagger's training: artifacts of the training corpora and of the unlabelled corpora.

    Unlabelled corpora (role ``unlabelled``) show the tagger how further corpora sound; there may be none.

    Attributes:
        plan: Artifact ``plan``, with the fold of each utterance.
        features: Artifacts ``features`` of the training corpora.
        audio: Artifacts ``audio`` of the training corpora.
        references: Artifacts ``labels`` of the training corpora.
        prosody: Artifacts ``prosody`` of the training corpora.
        timbre: Artifacts ``timbre`` of the training corpora.
        heard_features: Artifacts ``features`` of the unlabelled corpora.
        heard_audio: Artifacts ``audio`` of the unlabelled corpora.
        heard_prosody: Artifacts ``prosody`` of the unlabelled corpora.
        heard_timbre: Artifacts ``timbre`` of the unlabelled corpora.
    """

    plan: Path
    features: ByCorpus
    audio: ByCorpus
    references: ByCorpus
    prosody: ByCorpus
    timbre: ByCorpus
    heard_features: Unlabelled
    heard_audio: Unlabelled
    heard_prosody: Unlabelled
    heard_timbre: Unlabelled


class TrainedTagger(NamedTuple):
    """Output files of the tagger's training.

    Attributes:
        weights: Weights as safetensors.
        predictions: Artifact ``tagger_predictions`` by the plan's folds.
        others: Artifact ``tagger_predictions`` by the other kind of fold (corpora where the plan has speakers, and the
            other way round). With a single corpus, folds of corpora give no predictions.
    """

    weights: Path
    predictions: Path
    others: Path


def train_tagger(tagger: TaggerSettings, seed: int, inputs: TaggerSources, outputs: TrainedTagger) -> None:
    """Train the tagger on all planned utterances, and write its weights and out-of-fold predictions.

    It is the rule ``train_tagger``. The heads are emotion (the seven classes of the labels), level, pitch and rate
    (prosody terciles), timbre, and intensity where a corpus labels it. A table of predictions has a row for each
    utterance and kind, without labels where no other fold could predict it. Its notes hold folds, accuracy and
    temperature by kind.

    Args:
        tagger: Section ``tagger``.
        seed: Seed of the PCA.
        inputs: Artifacts to learn from.
        outputs: Files to write.

    Raises:
        CorpusError: A planned utterance has no features, or no kind has two labels.
    """
    planned = artifacts.read_rows(inputs.plan, "plan")
    rows = _planned_rows(planned, _read_all(inputs.features, inputs.prosody, tagger))
    keys = [(row["corpus"], row["utterance_id"]) for row in planned]
    known = targets_of(inputs.references, inputs.prosody, inputs.timbre)
    targets = {kind: [known.get(key, {}).get(kind, "") for key in keys] for kind in LABELS}
    groups = _groups(planned, inputs.audio, tagger.normalise)
    heads = _fit(rows, targets, groups, inputs, tagger, seed)
    if not heads:
        raise CorpusError(
            f"{inputs.plan}: no clue kind has two different labels; give the tagger labelled training corpora"
        )
    by = {
        folds: out_of_fold(rows, targets, fold_numbers(planned, folds, tagger), groups, tagger, seed)
        for folds in ("speaker", "corpus")
    }
    # Folds that resemble new speech: new speakers or new corpora. With folds of corpora, a kind that only one corpus
    # labels has no predictions to calibrate on.
    new = tagger.folds if tagger.calibrate == "folds" else "corpus"
    scored = {kind for kind in heads if len(by[new].scored(kind, targets[kind]))}
    source = {kind: new if kind in scored else tagger.folds for kind in heads}
    # A kind that only unlabelled corpora know, such as a measured level, has no predictions and no temperature.
    heads = {
        kind: Head(head.labels, head.weight, head.bias, by[source[kind]].temperatures.get(kind, 1.0))
        for kind, head in heads.items()
    }
    # What "new speech" is to the familiarity: another corpus, or, with a single corpus, other speakers.
    kinds = "corpus" if len({row["corpus"] for row in planned}) > 1 else "speaker"
    sounds = fit_familiarity(rows, fold_numbers(planned, kinds, tagger), groups, tagger, seed)
    Tagger(*statistics(rows), heads, sounds, tagger.normalise, tagger.pooling, tagger.measured).save(outputs.weights)
    others = "corpus" if tagger.folds == "speaker" else "speaker"
    for folds, out in ((tagger.folds, outputs.predictions), (others, outputs.others)):
        _write(planned, targets, by[folds], folds, out)


def _fit(
    rows: Array,
    targets: Mapping[str, Sequence[str]],
    groups: Sequence[str],
    inputs: TaggerSources,
    tagger: TaggerSettings,
    seed: int,
) -> dict[str, Head]:
    everyone = np.arange(len(rows))
    heard = _read_all(inputs.heard_features, inputs.heard_prosody, tagger)
    if not heard:
        return fit_heads(standardised_rows(rows, groups, tagger.normalise, everyone), targets, tagger, seed)
    known = targets_of({}, inputs.heard_prosody, inputs.heard_timbre)
    measured = {kind: [known.get(key, {}).get(kind, "") for key in heard] for kind in LABELS}
    together = _all_groups(inputs.heard_audio, tagger.normalise)
    stacked, names = np.stack([*rows, *heard.values()]), [*groups, *(together[key] for key in heard)]
    standardised = standardised_rows(stacked, names, tagger.normalise, everyone)
    joined = {kind: [*labels, *measured[kind]] for kind, labels in targets.items()}
    return fit_heads(standardised, joined, tagger, seed)


def fold_numbers(planned: Planned, folds: str, tagger: TaggerSettings) -> NDArray[np.int64]:
    """Return the fold of each utterance: the plan's folds if of this kind, else corpora, or speakers dealt in turn."""
    if folds == tagger.folds:
        return np.array([row["fold"] for row in planned], dtype=np.int64)
    corpora = sorted({row["corpus"] for row in planned})
    if folds == "corpus":
        return np.array([corpora.index(row["corpus"]) for row in planned], dtype=np.int64)
    number: dict[str, int] = {}
    for corpus in corpora:
        speakers = sorted({row["speaker_key"] for row in planned if row["corpus"] == corpus})
        number |= {key: i % min(tagger.n_folds, len(speakers)) for i, key in enumerate(speakers)}
    return np.array([number[row["speaker_key"]] for row in planned], dtype=np.int64)


def _write(
    planned: Planned,
    targets: Mapping[str, Sequence[str]],
    found: OutOfFold,
    folds: str,
    out: str | Path,
) -> None:
    notes = {}
    probabilities = {kind: found.probabilities(kind) for kind in found.labels}
    for kind, names in found.labels.items():
        p, scored = probabilities[kind], found.scored(kind, targets[kind])
        hits = [names[int(p[i].argmax())] == targets[kind][i] for i in scored]
        accuracy = float(np.mean(hits)) if hits else None
        notes[kind] = {"accuracy": accuracy, "n": len(hits), "temperature": found.temperatures[kind]}
        log.info("tagger: %s right out of fold by %s: %d of %d", kind, folds, sum(hits), len(hits))

    def predictions() -> Iterator[dict[str, Any]]:
        for kind, names in found.labels.items():
            p = probabilities[kind]
            predicted = ~np.isnan(p[:, 0])
            for i, row in enumerate(planned):
                yield {
                    "utterance_id": row["utterance_id"],
                    "corpus": row["corpus"],
                    "kind": kind,
                    "target": targets[kind][i],
                    "labels": list(names) if predicted[i] else [],
                    "probabilities": [float(x) for x in p[i]] if predicted[i] else [],
                }

    facts = {"folds": folds, "out_of_fold": notes}
    artifacts.write_rows(predictions(), out, "tagger_predictions", "train_tagger", facts)


def _read_all(features: Files, prosody: Files, tagger: TaggerSettings) -> dict[tuple[str, str], Array]:
    return {
        (corpus, key): row
        for corpus, path in features.items()
        for key, row in read_corpus(path, prosody[corpus], tagger.pooling, tagger.measured).items()
    }


def _planned_rows(planned: Planned, found: Mapping[tuple[str, str], Array]) -> Array:
    for row in planned:
        if (row["corpus"], row["utterance_id"]) not in found:
            raise CorpusError(
                f"tagger: {row['corpus']}/{row['utterance_id']} has no features; run speech_features again"
            )
    return np.stack([found[row["corpus"], row["utterance_id"]] for row in planned])


def _all_groups(audio: Files, normalise: str) -> dict[tuple[str, str], str]:
    return {
        (corpus, key): group
        for corpus, path in audio.items()
        for key, group in normalisation_groups(normalise, artifacts.read_rows(path, "audio"), corpus).items()
    }


def _groups(planned: Planned, audio: Files, normalise: str) -> list[str]:
    together = _all_groups(audio, normalise)
    return [together[row["corpus"], row["utterance_id"]] for row in planned]


def targets_of(references: Files, prosody: Files, timbre: Files) -> dict[tuple[str, str], dict[str, str]]:
    """Read the targets of the tagger: the label of each kind by (corpus, utterance id), "" where unknown.

    Args:
        references: Artifact ``labels`` of each corpus.
        prosody: Artifact ``prosody`` of each corpus.
        timbre: Artifact ``timbre`` of each corpus.
    """
    known: dict[tuple[str, str], dict[str, str]] = {}
    for corpus, path in references.items():
        for row in artifacts.stream_rows(path, "labels", columns=["utterance_id", "emotion", "intensity"]):
            labels = {"emotion": canonical(row["emotion"]) or "", "intensity": row["intensity"] or ""}
            known[corpus, row["utterance_id"]] = labels
    for corpus, path in prosody.items():
        for row in artifacts.stream_rows(path, "prosody"):
            known.setdefault((corpus, row["utterance_id"]), {}).update({kind: row[kind] or "" for kind in SCALES})
    for corpus, path in timbre.items():
        for row in artifacts.stream_rows(path, "timbre", columns=["utterance_id", "timbre"]):
            known.setdefault((corpus, row["utterance_id"]), {})["timbre"] = row["timbre"]
    return known
