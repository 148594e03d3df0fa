"""Captioning of a test corpus with a trained captioner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.generate import generate
from aligncap.config import Compute, Decoding
from aligncap.models.sources import model_folder
from aligncap.progress import batches


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
class CaptioningInputs:
    """Input files of captioning: a trained captioner, its base LLM, and features and predicted clues of the corpus."""

    checkpoint: CheckpointPaths
    llm: Path
    features: Path
    predicted: Path


def caption_testset(decoding: Decoding, compute: Compute, inputs: CaptioningInputs, out: Path) -> None:
    """Caption every utterance of a test corpus from speech features, predicted clues and ASR transcript.

    Args:
        decoding: Maximum length and batch size.
        compute: Device and threads.
        inputs: Captioner and corpus.
        out: Artifact ``captions`` to write, in the order of the predicted clues.
    """
    model = load_checkpoint(inputs.checkpoint, model_folder(inputs.llm), compute)
    model.fold_lora()
    examples = speech_examples(inputs.features, inputs.predicted)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].p_sem_ids))
    rows: dict[int, dict] = {}
    for chunk in batches(order, decoding.batch_size, f"captions {inputs.checkpoint.system.parent.name}"):
        with torch.no_grad():
            prompts = model.speech_prompts([examples[i] for i in chunk])
        for i, (response,) in zip(chunk, generate(model, prompts, decoding.max_new_tokens), strict=True):
            rows[i] = {
                "utterance_id": examples[i].utterance_id,
                "caption": model.decode(response.token_ids),
                "n_tokens": len(response.token_ids),
                "finished": response.finished,
            }
    artifacts.write([rows[i] for i in range(len(examples))], out, "captions", "caption_testset")
