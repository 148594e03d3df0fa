"""The second instrument: a caption -> emotion classifier that no training step uses. Ours.

The training judge measures with the clue parser and with MiniLM, and a system that learned to please it may please
nobody else. This instrument shares neither. It gives each caption to the unchanged LLM (``models.llm`` before any
adaptation) with a prompt for one word (after PromptEOL, Jiang et al., arXiv 2307.16645; the wording is ours), and
applies logistic regression to the hidden state that predicts the word. It is fitted on the reference captions of the
training corpora and their labels. docs/judge.md compares it with its alternatives and reports its accuracy.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.clues.tagger.heads import fit_temperature, softmax
from aligncap.config import Compute
from aligncap.errors import ArtifactError
from aligncap.job import ByCorpus
from aligncap.models.device import pick_device
from aligncap.progress import batches
from aligncap.vocabulary import CLASSES, canonical

logger = logging.getLogger(__name__)

PROMPT = 'A voice is described so: "{}" In one word, the emotion is: "'
BATCH = 32
STRENGTH = 0.01  # scikit-learn's C on standardised states
ITERATIONS = 300
FOLDS = 5
THRESHOLD = 0.5  # an emotion is asserted where it is likelier than all others together
FORMAT = "aligncap.instrument/1"

Array = NDArray[np.float32]


def llm_states(texts: Sequence[str], folder: Path, compute: Compute) -> Array:
    """Return the LLM's last hidden state [n, D], float32, at the end of ``PROMPT`` with each text in it.

    Args:
        texts: Captions.
        folder: Transformers folder of the base LLM.
        compute: Device and threads.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = pick_device(compute)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    llm: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()
    rows = [_ids(tokenizer, PROMPT.format(text)) for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    states = np.zeros((len(rows), llm.config.hidden_size), np.float32)
    for chunk in batches(order, BATCH, "second instrument"):
        width = max(len(rows[i]) for i in chunk)
        ids = torch.zeros(len(chunk), width, dtype=torch.long)
        mask = torch.zeros(len(chunk), width, dtype=torch.long)
        for row, i in enumerate(chunk):
            ids[row, : len(rows[i])] = torch.tensor(rows[i])
            mask[row, : len(rows[i])] = 1
        with torch.no_grad():
            hidden = llm(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state
        states[chunk] = hidden[torch.arange(len(chunk)), mask.sum(dim=1) - 1].float().cpu().numpy()
    return states


def _ids(tokenizer: Any, text: str) -> list[int]:
    """Return token ids with the tokenizer's own beginning but without an end token, which some add."""
    ids = list(tokenizer(text)["input_ids"])
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


@dataclass(frozen=True)
class Instrument:
    """The classifier: logits ``weight [C, D] @ state + bias [C]`` over ``temperature``; unsure if without labels."""

    labels: tuple[str, ...]
    weight: Array
    bias: Array
    temperature: float = 1.0

    def logits(self, states: Array) -> NDArray[np.float64]:
        """Return the logits [n, C] of states [n, D]."""
        return (states @ self.weight.T + self.bias).astype(np.float64)

    def opinions(self, states: Array) -> list[tuple[str | None, float]]:
        """Return each state's asserted emotion (None below ``THRESHOLD``) and the probability of the likeliest one."""
        if not self.labels:
            return [(None, 0.0)] * len(states)
        probabilities = softmax(self.logits(states) / self.temperature)
        best = probabilities.argmax(axis=1)
        top = probabilities[np.arange(len(best)), best]
        return [(self.labels[b] if p >= THRESHOLD else None, float(p)) for b, p in zip(best, top, strict=True)]

    def save(self, path: Path) -> None:
        """Write safetensors whose ``meta`` is JSON as bytes; equal instruments give equal bytes."""
        from safetensors.numpy import save_file

        meta = {"format": FORMAT, "labels": list(self.labels), "temperature": self.temperature}
        tensors: dict[str, NDArray[Any]] = {
            "weight": np.ascontiguousarray(self.weight),
            "bias": np.ascontiguousarray(self.bias),
            "meta": np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8),
        }
        with artifacts.atomic_path(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: Path) -> Instrument:
        """Read a file that ``save`` wrote. Raises ArtifactError where it is something else."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            meta = json.loads(tensors["meta"].tobytes())
            if meta["format"] != FORMAT:
                raise ArtifactError(f"{path}: expected format '{FORMAT}', got {meta['format']!r}; train it again")
            return cls(tuple(meta["labels"]), tensors["weight"], tensors["bias"], meta["temperature"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ArtifactError(f"{path}: no second instrument ({error}); run the rule train_instrument") from error


def _classes(wanted: Sequence[str]) -> list[str]:
    present = set(wanted)
    return [label for label in CLASSES if label in present]


def fit(states: Array, wanted: Sequence[str]) -> Instrument:
    """Fit on states [n, D] and their classes, at least two; standardisation is folded into the weights."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = states.mean(axis=0), states.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    labels = tuple(_classes(wanted))
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=ITERATIONS)
    model.fit((states - mean) / scale, [labels.index(label) for label in wanted])
    coefficients, intercept = model.coef_, model.intercept_
    if len(labels) == 2:  # scikit-learn keeps one row: sigmoid(z) = softmax(0, z)
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    weight = coefficients / scale
    return Instrument(labels, weight.astype(np.float32), (intercept - weight @ mean).astype(np.float32))


def telling_words(texts: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return each caption's telling word, among whose captions the caption's class has the highest share.

    No lexicon is used. Captions with the same telling word are held out together, so that a fold is tested on words for
    an emotion on which it was not fitted, as a system's captions will contain them.
    """
    bags = [sorted(set(re.findall(r"[^\W\d_]+", text.lower()))) for text in texts]
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for bag, label in zip(bags, wanted, strict=True):
        for word in bag:
            seen[word][label] += 1
    size = Counter(wanted)

    def lift(word: str, label: str) -> float:
        return seen[word][label] / (seen[word].total() + 1) / size[label]

    return [max(bag, key=lambda word: lift(word, label), default="") for bag, label in zip(bags, wanted, strict=True)]


def held_out(states: Array, wanted: Sequence[str], groups: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return logits [n, C] by fits without the row's group, classes in the order of CLASSES; NaN without a fit."""
    labels = _classes(wanted)
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {names[place]: number % FOLDS for number, place in enumerate(order)}
    folds = np.array([fold_of[group] for group in groups])
    logits = np.full((len(wanted), len(labels)), np.nan)
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        known = [wanted[i] for i in outside.tolist()]
        if len(set(known)) < 2:
            continue
        fitted = fit(states[outside], known)
        logits[inside] = -1e4  # a class that the fold's training captions lack
        columns = np.array([labels.index(label) for label in fitted.labels])
        logits[np.ix_(inside, columns)] = fitted.logits(states[inside])
    return logits


def _recall(logits: NDArray[np.float64], wanted: Sequence[str]) -> dict[str, Any]:
    from sklearn.metrics import accuracy_score, recall_score

    labels = _classes(wanted)
    judged = np.flatnonzero(~np.isnan(logits[:, 0]))
    if not len(judged):
        return {"accuracy": None, "macro_recall": None, "recall": {}, "n": 0}
    true = [wanted[i] for i in judged.tolist()]
    found = [labels[i] for i in logits[judged].argmax(axis=1).tolist()]
    present = _classes(true)
    recalls = {
        name: round(float(value), 4)
        for name, value in zip(present, recall_score(true, found, labels=present, average=None), strict=True)
    }
    macro = round(float(np.mean(list(recalls.values()))), 4)
    return {"accuracy": round(accuracy_score(true, found), 4), "macro_recall": macro, "recall": recalls, "n": len(true)}


def training_captions(plan: Path, references: Mapping[str, Path]) -> dict[str, str]:
    """Return each distinct reference caption of the planned utterances with its class, the commonest of several."""
    planned = {(row["corpus"], row["utterance_id"]) for row in artifacts.read_rows(plan, "plan")}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for corpus, path in references.items():
        for row in artifacts.read_rows(path, "labels"):
            label = canonical(row["emotion"])
            if label is not None and (corpus, row["utterance_id"]) in planned:
                for caption in row["captions"]:
                    found[caption][label] += 1
    return {text: counts.most_common(1)[0][0] for text, counts in sorted(found.items())}


@dataclass(frozen=True)
class InstrumentInputs:
    """The training data of the second instrument: planned utterances, captions, and the LLM before any adaptation."""

    plan: Path
    references: ByCorpus
    llm: Path


class InstrumentFiles(NamedTuple):
    """The output files.

    Attributes:
        weights: Safetensors of the instrument.
        description: JSON file: labels, temperature, threshold, and accuracy and recall by held-out caption and by
            held-out telling word.
    """

    weights: Path
    description: Path


def train_instrument(compute: Compute, seed: int, inputs: InstrumentInputs, outputs: InstrumentFiles) -> None:
    """Fit the second instrument and measure it on held-out captions (rule ``train_instrument``).

    Training captions with fewer than two classes give an instrument without labels, whose metrics will be absent.

    Args:
        compute: Device and threads of the LLM.
        seed: Seed of the folds.
        inputs: Training data.
        outputs: Instrument and its description.
    """
    from aligncap.models.sources import model_folder

    captions = training_captions(inputs.plan, inputs.references)
    texts, wanted = list(captions), list(captions.values())
    description: dict[str, Any] = {"format": FORMAT, "prompt": PROMPT, "threshold": THRESHOLD, "captions": len(texts)}
    if len(set(wanted)) < 2:
        logger.warning("second instrument: the training captions carry fewer than two emotion labels; it says nothing")
        instrument = Instrument((), np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
    else:
        states = llm_states(texts, model_folder(inputs.llm), compute)
        by_caption = held_out(states, wanted, texts, seed)
        by_word = held_out(states, wanted, telling_words(texts, wanted), seed)
        instrument = fit(states, wanted)
        judged = np.flatnonzero(~np.isnan(by_word[:, 0]))
        places = np.array([instrument.labels.index(wanted[i]) for i in judged], dtype=np.int64)
        if len(judged):
            instrument = replace(instrument, temperature=fit_temperature(by_word[judged], places))
        description["held_out"] = {"caption": _recall(by_caption, wanted), "word": _recall(by_word, wanted)}
        logger.info("second instrument: %s", description["held_out"])
    instrument.save(outputs.weights)
    description |= {"labels": list(instrument.labels), "temperature": instrument.temperature}
    artifacts.write_json(description, outputs.description)


def second_opinion(
    compute: Compute,
    captions: Sequence[Path],
    references: Path,
    weights: Path,
    llm_manifest: Path,
    out: Path,
) -> None:
    """Find the emotion of each distinct caption with the second instrument (rule ``second_opinion``).

    Args:
        compute: Device and threads of the LLM.
        captions: Captions of every system on one test corpus.
        references: Labels of that corpus, whose captions the chance row uses in shuffled order.
        weights: Instrument from ``train_instrument``.
        llm_manifest: Manifest of the base LLM.
        out: ``second_opinions`` artifact; its notes hold the instrument's labels.
    """
    from aligncap.models.sources import model_folder

    spoken = {row["caption"] for path in captions for row in artifacts.read_rows(path, "captions")}
    spoken |= {caption for row in artifacts.read_rows(references, "labels") for caption in row["captions"]}
    texts = sorted(spoken)
    instrument = Instrument.load(weights)
    if instrument.labels and texts:
        opinions = instrument.opinions(llm_states(texts, model_folder(llm_manifest), compute))
    else:
        opinions = [(None, 0.0)] * len(texts)
    found = [
        {"caption": text, "dominant": dominant, "probability": probability}
        for text, (dominant, probability) in zip(texts, opinions, strict=True)
    ]
    artifacts.write(found, out, "second_opinions", "second_opinion", {"labels": list(instrument.labels)})
