"""Captioning of a test corpus with a trained captioner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.generate import generate
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
class Said:
    """A caption."""

    text: str
    n_tokens: int  # generated, end token included
    finished: bool


def caption_batch(
    model: CaptionModel,
    examples: Sequence[Example],
    clues: Sequence[Sequence[Clue]],
    max_new_tokens: int,
    doubt: Doubt,
) -> list[Said]:
    """Caption B utterances greedily, and settle what is in doubt.

    Args:
        model: Captioner.
        examples: Utterances, B of them.
        clues: Predicted clues of each, with their calibrated probabilities.
        max_new_tokens: Maximum length of a caption in tokens.
        doubt: Section ``decoding.doubt``.
    """
    with torch.no_grad():
        prompts = model.speech_prompts(list(examples))
    found = []
    for (response,), own in zip(generate(model, prompts, max_new_tokens), clues, strict=True):
        text, finished = settle(model.decode(response.token_ids), response.finished, own, doubt)
        found.append(Said(text, len(response.token_ids), finished))
    return found


@dataclass(frozen=True)
class CaptioningInputs:
    """Input files of captioning: a trained captioner, its base LLM, and features and predicted clues of the corpus."""

    checkpoint: CheckpointPaths
    llm: Path
    features: Path
    predicted: Path


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
    clues = [[Clue.from_dict(clue) for clue in row["clues"]] for row in rows_of_clues]
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].p_sem_ids))
    rows: dict[int, dict] = {}
    for chunk in batches(order, decoding.batch_size, f"captions {inputs.checkpoint.system.parent.name}"):
        batch, heard = [examples[i] for i in chunk], [clues[i] for i in chunk]
        for i, said in zip(
            chunk, caption_batch(model, batch, heard, decoding.max_new_tokens, decoding.doubt), strict=True
        ):
            rows[i] = {
                "utterance_id": examples[i].utterance_id,
                "caption": said.text,
                "n_tokens": said.n_tokens,
                "finished": said.finished,
            }
    artifacts.write([rows[i] for i in range(len(examples))], out, "captions", "caption_testset")
