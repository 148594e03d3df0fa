"""Test clips captioned again under other clues or other speech than their own, from a finished run. Ours.

How far a caption follows its prompt, and how far the sound, shows when one of the two is changed and the other is not
(compare Acoustic Cue Alignment in Audio Language Models, 2026, which does this to emotion recognition). Gold clues and
labels are read here as an oracle. This is a diagnostic outside the pipeline: no rule imports it, its captions become no
row of a table of zero-shot results, and nothing trains on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aligncap import artifacts
from aligncap.captioner.caption import Sentence, speak, speech_examples
from aligncap.captioner.checkpoint import CheckpointPaths, build_model, load_checkpoint, load_lora
from aligncap.captioner.example import Example
from aligncap.clues.hallucination_checks import OPPOSITE
from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.clues.prompts import acoustic_prompt
from aligncap.config import AlignCapConfig
from aligncap.errors import ArtifactError, MetricError
from aligncap.evaluation.gold import Gold, derangement, read_gold
from aligncap.evaluation.hallucination import examine
from aligncap.models.sources import model_folder
from aligncap.vocabulary import CLASSES, SCALES, Clue

Clues = tuple[Clue, ...]
TEACHER = "teacher"  # the name under which LLM_0 is asked
AS_PREDICTED, OTHER_BATCHES = "as predicted", "as predicted, other batches"
NEXT = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))  # never itself, and every class once


class Given(NamedTuple):
    """What a captioner reads in place of a clip's own: clues, and the clip whose speech is heard, None for none."""

    clues: Clues
    heard: str | None


@dataclass(frozen=True)
class Clips:
    """Test clips of a finished run; every mapping is keyed by utterance id.

    Attributes:
        gold: Labels, captions by people and measured prosody, for scoring.
        examples: What the captioner reads, in the order in which the run captioned them.
        predicted: Predicted clues.
        gold_clues: Clues of the captions by people.
    """

    gold: Gold
    examples: dict[str, Example]
    predicted: dict[str, Clues]
    gold_clues: dict[str, Clues]

    def only(self, ids: Sequence[str]) -> Clips:
        """Return the clips ``ids``, with every mapping in its former order."""
        kept = set(ids)

        def among(own: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in own.items() if name in kept}

        gold = Gold(**{field: among(own) for field, own in vars(self.gold).items()})
        return Clips(gold, among(self.examples), among(self.predicted), among(self.gold_clues))


def read_clips(results: Path, corpus: str) -> Clips:
    """Read the clips of a test corpus from a results folder.

    Raises:
        ArtifactError: An artifact is missing, or its acoustic prompts are not those that this code writes.
    """
    folder, predicted = results / "corpora" / corpus, results / f"clues/{corpus}/predicted.parquet"
    names = ("labels", "prosody", "timbre", "audio")
    labels, prosody, timbre, audio = (folder / f"{name}.parquet" for name in names)
    gold = read_gold(labels, prosody, timbre, results / f"transcripts/{corpus}.parquet", audio)
    rows = artifacts.read_rows(predicted, "clues")
    clues = {row["utterance_id"]: tuple(map(Clue.from_dict, row["clues"])) for row in rows}
    for row in rows:
        if acoustic_prompt(clues[row["utterance_id"]]) != row["p_act"]:
            raise ArtifactError(
                f"{predicted}: p_act of '{row['utterance_id']}' is {row['p_act']!r}, not what this code makes of its "
                "clues; use the code that made the run"
            )
    theirs = artifacts.read_rows(results / f"clues/{corpus}/gold.parquet", "clues")
    told = {row["utterance_id"]: tuple(map(Clue.from_dict, row["clues"])) for row in theirs}
    heard = {e.utterance_id: e for e in speech_examples(results / f"features/{corpus}.parquet", rows)}
    return Clips(gold, heard, clues, told)


class Recaptioner:
    """Captions of one system under whatever is given; the same clip with the same prompts is captioned once.

    Args:
        examples: Utterance id -> what the captioner reads of the clip.
        caption: Function that captions examples; its second argument says whether speech embeddings are read.
    """

    def __init__(
        self, examples: Mapping[str, Example], caption: Callable[[Sequence[Example], bool], Sequence[Sentence]]
    ) -> None:
        self._examples, self._caption = examples, caption
        self._made: dict[tuple[str, str, str | None], Sentence] = {}

    def captions(self, given: Mapping[str, Given]) -> dict[str, Sentence]:
        """Caption clips: utterance id -> what its captioner reads."""
        keys = {name: (name, acoustic_prompt(given[name].clues), given[name].heard) for name in self._examples}
        for hears in (True, False):
            missing = [key for key in keys.values() if key not in self._made and (key[2] is not None) is hears]
            examples = [
                replace(self._examples[name], predicted_p_act=p_act, features=self._examples[heard or name].features)
                for name, p_act, heard in missing
            ]
            if examples:
                self._made.update(zip(missing, self._caption(examples, hears), strict=True))
        return {name: self._made[key] for name, key in keys.items()}

    def in_other_batches(self) -> dict[str, Sentence]:
        """Caption every clip with its own clues and speech, but every other one first: what rounding alone changes."""
        said: dict[str, Sentence] = {}
        for first in range(2):
            examples = list(self._examples.values())[first::2]
            said |= zip((e.utterance_id for e in examples), self._caption(examples, True), strict=True)
        return said


def load_recaptioner(
    results: Path, system: str, llm: Path, config: AlignCapConfig, examples: Mapping[str, Example]
) -> Recaptioner:
    """Load a system of a finished run, which captions with the decoding and the arithmetic of the run.

    An emotion that is in doubt is said as if it were sure, whatever ``decoding.doubt`` is.

    Args:
        results: Results folder.
        system: Name of a trained system, or ``TEACHER`` for ``LLM_0`` on text input, which hears no speech.
        llm: Manifest of the base LLM.
        config: Configuration of the run.
        examples: Utterance id -> what the captioner reads of the clip.
    """
    folder, teacher = model_folder(llm), system == TEACHER
    if teacher:
        llm0 = load_lora(results / "teacher/lora.safetensors" if config.teacher.adapt else None)
        model = build_model(folder, config.prompts, config.lora, config.compute, llm0)
    else:
        model = load_checkpoint(CheckpointPaths.of(results / "checkpoints" / system), folder, config.compute)
        model.fold_lora()

    def caption(asked: Sequence[Example], hears: bool) -> list[Sentence]:
        found = speak(model, asked, config.decoding, f"captions {system}", hears and not teacher)
        return [Sentence(model.decode(r.token_ids), len(r.token_ids), r.finished) for r in found]

    return Recaptioner(examples, caption)


def with_emotion(clues: Sequence[Clue], emotion: str, probability: float) -> Clues:
    """Return clues whose tagged emotion is another one; as the tagger does, "neutral" leaves out the intensity.

    Args:
        clues: Predicted clues, with or without an emotion.
        emotion: One of ``CLASSES``.
        probability: Probability that the new tag claims.
    """
    dropped = ("emotion", "intensity") if emotion == "neutral" else ("emotion",)
    degree = next((clue.lemma for clue in clues if clue.kind == "intensity"), "normal")
    degree = "normal" if emotion == "neutral" else degree
    tag = Clue("emotion", emotion, emotion, degree, probability=probability)
    return (tag, *(clue for clue in clues if clue.kind not in dropped))


def contradicted(clues: Sequence[Clue]) -> Clues:
    """Return predicted clues turned round, each as probable as the one in whose place it stands.

    The emotion becomes the next one of ``CLASSES``, the last one the first; level, pitch and rate become their
    opposite. What was not predicted stays unsaid, and intensity and timbre stay as they are.
    """
    turned = [
        replace(clue, word=OPPOSITE[clue.lemma], lemma=OPPOSITE[clue.lemma]) if clue.kind in SCALES else clue
        for clue in clues
    ]
    tag = next((clue for clue in clues if clue.kind == "emotion"), None)
    return tuple(turned) if tag is None else with_emotion(turned, NEXT[tag.lemma], tag.probability)


def interventions(clips: Clips, seed: int) -> dict[str, dict[str, Given]]:
    """Return intervention -> utterance id -> what is given. Shuffles give each clip that of another one.

    ``OTHER_BATCHES`` gives the same as ``AS_PREDICTED``; ``Recaptioner.in_other_batches`` makes its captions. Clues
    keep the probability that they have where they come from: a clue that was parsed from a caption is sure (1.0).

    Args:
        clips: At least two clips.
        seed: Seed of both shuffles, which differ.

    Raises:
        MetricError: There is one clip alone.
    """
    ids = list(clips.examples)
    if len(ids) < 2:
        raise MetricError(f"interventions: {len(ids)} clips; shuffling between clips needs two")
    clues_of, speech_of = (
        {name: ids[other] for name, other in zip(ids, order, strict=True)}
        for order in (derangement(len(ids), np.random.default_rng([seed, number])) for number in range(2))
    )
    own = clips.predicted
    return {
        AS_PREDICTED: {name: Given(own[name], name) for name in ids},
        OTHER_BATCHES: {name: Given(own[name], name) for name in ids},
        "gold clues": {name: Given(clips.gold_clues[name], name) for name in ids},
        "clues of another clip": {name: Given(own[clues_of[name]], name) for name in ids},
        "contradicted clues": {name: Given(contradicted(own[name]), name) for name in ids},
        "no clues": {name: Given((), name) for name in ids},
        "speech of another clip": {name: Given(own[name], speech_of[name]) for name in ids},
        "no speech embeddings": {name: Given(own[name], None) for name in ids},
    }


def followed(said: Sentence, before: str, given: Sequence[Clue], predicted: Sequence[Clue], label: str | None) -> dict:
    """Return metric -> 0 or 1 of a caption under an intervention, None where it does not apply.

    ``same`` says that it is the caption as predicted. ``repeats_given`` and ``repeats_predicted`` say that its dominant
    emotion is that of the clues given and that of the clues predicted, where these have one. The same with ``_apart``
    is over the clips where the two differ, because elsewhere a caption cannot follow one without the other.
    ``given_right`` says that the emotion given is that of the label.

    Args:
        said: Caption.
        before: The clip's caption as predicted.
        given: Clues that were given.
        predicted: Clues that the run gave.
        label: Class of the label; None where unknown.
    """
    emotion, tag, first = dominant_emotion(said.text), dominant_emotion(given), dominant_emotion(predicted)
    apart = tag is not None and first is not None and tag != first
    follows_given = None if tag is None else float(emotion == tag)
    follows_first = None if first is None else float(emotion == first)
    return {
        "same": float(said.text == before),
        "repeats_given": follows_given,
        "repeats_predicted": follows_first,
        "repeats_given_apart": follows_given if apart else None,
        "repeats_predicted_apart": follows_first if apart else None,
        "given_right": None if tag is None or label is None else float(tag == label),
    }


def item_row(name: str, gold: Gold, values: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the columns of ``evaluation`` that figures and differences are made of, for one clip."""
    found = {"metric_names": list(values), "metric_values": list(values.values())}
    return {"utterance_id": name, "cluster": gold.cluster[name], "label": gold.label[name], **found}


def scored(gold: Gold, said: Mapping[str, Sentence], further: Mapping[str, Mapping[str, float | None]]) -> list[dict]:
    """Return rows of ``item_row`` of captions: agreement, coverage and hallucination, and further metrics by clip."""
    rows = []
    for name in gold.ids:
        own = said[name]
        verdict = examine(own.text, gold.truth[name], gold.transcript[name], gold.references[name], own.finished)
        rows.append(item_row(name, gold, verdict.values | dict(further.get(name, {}))))
    return rows
