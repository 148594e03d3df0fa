"""Emotion tags of a chosen accuracy, from 0.3 to 1.0: when the claims of the paper hold. Ours; a diagnostic.

At accuracy ``a`` the tag of a clip is its gold emotion with probability ``a`` and else a wrong emotion, drawn from the
tagger's own mistakes on clips of that emotion. Draws are nested: a clip that is right at 0.3 is right at 0.4, with the
same caption, so that a curve is paired with itself and with those of the other systems. Within each emotion the share
of right tags is ``a`` up to one clip, so that accuracy and macro recall of the tags are both ``a``.

Every tag of this experiment claims the probability 1, whether it is right or wrong: a prompt that shows how sure the
tagger is must not tell which of them are right. Since a caption depends on the tag of its own clip alone, a curve is a
straight line between its two ends but for the draw and, at equal coverage, for which clips are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.evaluation import bootstrap
from aligncap.evaluation.interventions import Clips, Given, with_emotion
from aligncap.evaluation.tables.seeds import CorpusScores
from aligncap.vocabulary import CLASSES

LEVELS = tuple(round(0.1 * step, 1) for step in range(3, 11))
AGREEMENT, HALLUCINATION = "emotion_agreement_macro", "factuality_hallucination_covered"
TAG = "the tag itself"


class OracleTags(NamedTuple):
    """What clips are given, by utterance id.

    Attributes:
        right: With the gold emotion.
        wrong: With another emotion.
        until: Number from 0 to 1; at every accuracy above it the tag is right.
    """

    right: dict[str, Given]
    wrong: dict[str, Given]
    until: dict[str, float]

    def at(self, accuracy: float) -> dict[str, Given]:
        """Return what is given where tags have this accuracy."""
        return {name: (self.right if self.is_right(name, accuracy) else self.wrong)[name] for name in self.until}

    def is_right(self, name: str, accuracy: float) -> bool:
        """Return whether the tag of a clip is right at this accuracy."""
        return self.until[name] < accuracy


def rights(classes: Mapping[str, str], generator: np.random.Generator) -> dict[str, float]:
    """Draw ``OracleTags.until`` of clips, given their classes: systematic within a class, so uniform for each clip."""
    until: dict[str, float] = {}
    for own in sorted(set(classes.values())):
        names = [name for name, label in classes.items() if label == own]
        places = (generator.permutation(len(names)) + generator.random()) / len(names)
        until |= dict(zip(names, places.tolist(), strict=True))
    return until


def mistakes(
    tags: Mapping[str, str | None], classes: Mapping[str, str], generator: np.random.Generator
) -> dict[str, str]:
    """Draw a wrong emotion for each clip, as often as the tagger says it for clips of the same class.

    Where the tagger makes no mistake in a class, each of the other emotions is as likely.

    Args:
        tags: Utterance id -> predicted emotion, None where none was sure enough.
        classes: Utterance id -> class of the label.
        generator: Random generator.
    """
    confused = Counter((label, tags[name]) for name, label in classes.items())
    drawn = {}
    for name, label in classes.items():
        others = [emotion for emotion in CLASSES if emotion != label]
        counts = np.array([confused[label, emotion] for emotion in others], dtype=np.float64)
        if not counts.any():
            counts[:] = 1
        drawn[name] = others[generator.choice(len(others), p=counts / counts.sum())]
    return drawn


def oracle_tags(clips: Clips, seed: int) -> OracleTags:
    """Draw the tags of all clips; each must have a label of one of ``CLASSES``. Other clues stay as predicted."""
    classes = {name: str(clips.gold.truth[name].emotion) for name in clips.examples}
    tags = {name: dominant_emotion(clues) for name, clues in clips.predicted.items()}
    generator = np.random.default_rng(seed)
    until, wrong = rights(classes, generator), mistakes(tags, classes, generator)

    def given(emotions: Mapping[str, str]) -> dict[str, Given]:
        return {name: Given(with_emotion(clips.predicted[name], own, 1.0), name) for name, own in emotions.items()}

    return OracleTags(given(classes), given(wrong), until)


def member(system: str, accuracy: float) -> str:
    """Return the name of a system at one accuracy, as ``curves`` wants it."""
    return f"{system} {accuracy:.1f}"


def curves(scores: CorpusScores, systems: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows of the curves: system, or difference ``kd - sft``, at each of ``LEVELS``, with 95 % intervals.

    Agreement is macro, over all clips, also of the tag itself. Hallucination of a system is over the clips where all
    systems assert an emotion at that accuracy, that of a difference over those where both do. Intervals are of each
    point alone and uncorrected.

    Args:
        scores: Scores of ``member(system, accuracy)`` for every system and ``TAG``, at each of ``LEVELS``.
        systems: Systems in the order in which each is compared with the one before it.
    """
    rows = []
    for level in LEVELS:

        def add(system: str, metric: str, figure: Mapping[str, Any], accuracy: float = level) -> None:
            bounds = {key: figure[key] for key in ("value", "ci_low", "ci_high", "n")}
            rows.append({"tag_accuracy": accuracy, "system": system, "metric": metric, **bounds})

        everywhere = np.sum([scores.values(member(s, level), HALLUCINATION) for s in systems], axis=0) * 0
        for system in (*systems, TAG):
            values = scores.values(member(system, level), AGREEMENT)
            add(system, AGREEMENT, _figure(scores, values, AGREEMENT))
            if system != TAG:
                values = scores.values(member(system, level), HALLUCINATION) + everywhere
                add(system, HALLUCINATION, _figure(scores, values, HALLUCINATION))
        for against, system in zip(systems, systems[1:], strict=False):
            for metric in (AGREEMENT, HALLUCINATION):
                found = scores.difference(member(system, level), member(against, level), metric)
                if found is not None:
                    add(f"{system} - {against}", metric, vars(found))
    return rows


def _figure(scores: CorpusScores, values: bootstrap.Array, metric: str) -> bootstrap.Figure:
    value, samples = scores.statistic(values, metric)
    n = int((~np.isnan(values)).sum())
    return bootstrap.figure(value if n else None, samples, n)
