"""Captioning of a test corpus with a trained captioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aligncap import artifacts
from aligncap.artifacts import WHOLE, Shard
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.generate import Generated, generate
from aligncap.captioner.model import CaptionModel
from aligncap.clues.doubt import settle
from aligncap.config import Compute, Decoding, Doubt
from aligncap.models.sources import model_folder
from aligncap.progress import track
from aligncap.vocabulary import Clue


def speech_examples(features: Path, clues: Sequence[Mapping[str, Any]]) -> list[Example]:
    """Load utterances of a test corpus without captions and gold clues.

    Args:
        features: Artifact ``features`` of the corpus.
        clues: Rows of its predicted ``clues``, whose ``p_sem_ids`` encode the ASR transcript.
    """
    from aligncap.speech.features import load_features

    arrays = load_features(features, {row["utterance_id"] for row in clues})
    return [
        Example(r["utterance_id"], "", (), "", r["p_act"], tuple(r["p_sem_ids"]), arrays[r["utterance_id"]])
        for r in clues
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
    """Caption examples greedily, in batches of transcripts of like length within a block.

    Args:
        model: Trained captioner.
        examples: Utterances, whose predicted acoustic prompt is read.
        decoding: Maximum length and batch size.
        title: Name of the progress bar.
        heard: Whether prompts hold the speech embeddings; without them they are those of a cascade.

    Returns:
        The response to each example, in their order.
    """
    numbers = range(len(examples))
    blocks = [numbers[start : start + artifacts.BLOCK] for start in numbers[:: artifacts.BLOCK]]
    chunks = [
        chunk
        for block in blocks
        for chunk in artifacts.of_like_length(block, lambda i: len(examples[i].p_sem_ids), decoding.batch_size)
    ]
    said: dict[int, Generated] = {}
    for chunk in track(chunks, title):
        own = [examples[i] for i in chunk]
        with torch.no_grad():
            if heard:
                prompts = model.speech_prompts(own)
            else:
                prompts = [model.text_prompt(e.predicted_p_act, e.p_sem_ids) for e in own]
        for i, (response,) in zip(chunk, generate(model, prompts, decoding.max_new_tokens), strict=True):
            said[i] = response
    return [said[i] for i in numbers]


def caption_testset(
    decoding: Decoding, compute: Compute, inputs: CaptioningInputs, out: Path, shard: Shard = WHOLE
) -> None:
    """Caption every utterance of a test corpus from speech features, predicted clues and ASR transcript.

    Args:
        decoding: Maximum length, batch size, and what is done about doubt.
        compute: Device and threads.
        inputs: Captioner and corpus.
        out: Artifact ``captions`` to write, in the order of the predicted clues.
        shard: Which of the utterances; those of a block stay together.
    """
    model = load_checkpoint(inputs.checkpoint, model_folder(inputs.llm), compute)
    model.fold_lora()
    own = shard.of(artifacts.count_rows(inputs.predicted, "clues"), artifacts.BLOCK)
    clues = list(artifacts.stream_rows(inputs.predicted, "clues", own))
    examples = speech_examples(inputs.features, clues)
    responses = speak(model, examples, decoding, f"captions {inputs.checkpoint.system.parent.name}")
    rows = []
    for example, response, row in zip(examples, responses, clues, strict=True):
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
