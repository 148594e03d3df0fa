"""Captioning of a test corpus with a trained captioner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.generate import Generated, generate
from aligncap.captioner.model import CaptionModel
from aligncap.clues.doubt import settle
from aligncap.config import Compute, Decoding, Doubt
from aligncap.models.sources import model_folder
from aligncap.progress import batches
from aligncap.vocabulary import Clue


def speech_examples(features: Path, predicted: Path) -> list[Example]:
    """Load the utterances of a test corpus without captions and gold clues, in the order of ``predicted``.

    Args:
        features: Artifact ``features`` of the corpus.
        predicted: Artifact ``clues`` of the corpus, predicted; its ``p_sem_ids`` encode the ASR transcript.
    """
    from aligncap.speech.features import load_features

    arrays = load_features(features)
    return [
        Example(r["utterance_id"], "", (), "", r["p_act"], tuple(r["p_sem_ids"]), arrays[r["utterance_id"]])
        for r in artifacts.read_rows(predicted, "clues")
    ]


@dataclass(frozen=True)
class Sentence:
    """A caption as it is written, once doubt is settled."""

    text: str
    n_tokens: int  # generated, end token included
    finished: bool


def settled(model: CaptionModel, response: Generated, clues: Sequence[Clue], doubt: Doubt) -> Sentence:
    """Decode a response, and settle what is in doubt.

    Args:
        model: Captioner.
        response: What it generated.
        clues: Predicted clues of the clip, with their calibrated probabilities.
        doubt: Section ``decoding.doubt``.
    """
    text, finished = settle(model.decode(response.token_ids), response.finished, clues, doubt)
    return Sentence(text, len(response.token_ids), finished)


@dataclass(frozen=True)
class CaptioningInputs:
    """Input files of captioning: a trained captioner, its base LLM, and features and predicted clues of the corpus."""

    checkpoint: CheckpointPaths
    llm: Path
    features: Path
    predicted: Path


def speak(
    model: CaptionModel, examples: Sequence[Example], decoding: Decoding, title: str, heard: bool = True
) -> list[Generated]:
    """Caption examples greedily, in batches of transcripts of like length.

    Args:
        model: Trained captioner.
        examples: Utterances, whose predicted acoustic prompt is read.
        decoding: Maximum length and batch size.
        title: Name of the progress bar.
        heard: Whether prompts hold the speech embeddings; without them they are those of a cascade.

    Returns:
        The response to each example, in their order.
    """
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].p_sem_ids))
    said: dict[int, Generated] = {}
    for chunk in batches(order, decoding.batch_size, title):
        own = [examples[i] for i in chunk]
        with torch.no_grad():
            if heard:
                prompts = model.speech_prompts(own)
            else:
                prompts = [model.text_prompt(e.predicted_p_act, e.p_sem_ids) for e in own]
        for i, (response,) in zip(chunk, generate(model, prompts, decoding.max_new_tokens), strict=True):
            said[i] = response
    return [said[i] for i in range(len(examples))]


def caption_testset(decoding: Decoding, compute: Compute, inputs: CaptioningInputs, out: Path) -> None:
    """Caption every utterance of a test corpus from speech features, predicted clues and ASR transcript.

    Args:
        decoding: Maximum length, batch size, and what is done about doubt.
        compute: Device and threads.
        inputs: Captioner and corpus.
        out: Artifact ``captions`` to write, in the order of the predicted clues.
    """
    model = load_checkpoint(inputs.checkpoint, model_folder(inputs.llm), compute)
    model.fold_lora()
    examples = speech_examples(inputs.features, inputs.predicted)
    rows_of_clues = artifacts.read_rows(inputs.predicted, "clues")
    responses = speak(model, examples, decoding, f"captions {inputs.checkpoint.system.parent.name}")
    rows = []
    for example, response, row in zip(examples, responses, rows_of_clues, strict=True):
        said = settled(model, response, [Clue.from_dict(clue) for clue in row["clues"]], decoding.doubt)
        rows.append(
            {
                "utterance_id": example.utterance_id,
                "caption": said.text,
                "n_tokens": said.n_tokens,
                "finished": said.finished,
            }
        )
    artifacts.write(rows, out, "captions", "caption_testset")
