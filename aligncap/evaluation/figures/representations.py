"""Representations of speech and of paired text in the LLM: its input, hidden states and response distributions.

The text side is ``LLM_0`` reading ``x_T`` (gold clues, transcript), the speech side the trained system reading ``x_S``,
both as in training. There are three stages, with one vector per utterance and side (ours):

- ``before`` LLM decoding: mean of ``A(f(s))``, and mean of the embeddings of the tokens of ``[P_act; P_sem]``, which
  the rival methods that align before decoding pull together;
- ``after``: mean of the last hidden states at response positions. Both sides read the same probe response, which is
  the same for every utterance. Behind the utterance's own reference caption the states would be near each other because
  of the last words read, and nearest-pair retrieval would be solved by the caption;
- ``response``: square root of the distribution of the token that follows the probe, over the likeliest tokens and one
  bucket for the rest, so that Euclidean distance is (up to a factor) the Hellinger distance.

The KL is that of KD-Regularization: mean over the tokens of the reference caption of ``KL(p_T || p_S)``, whole
vocabulary, temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from aligncap import artifacts
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt
from aligncap.config import Compute, Representations
from aligncap.errors import ArtifactError, ConfigError, ModelError
from aligncap.models.sources import model_folder
from aligncap.progress import batches
from aligncap.training.data import TrainingInputs, load_examples

RULE = "representations"
BATCH = 8
TOKENS = 255  # of a response distribution; the rest is one bucket


@dataclass(frozen=True)
class RepresentationInputs(TrainingInputs):
    """The input files of figure 3: a trained system, on training corpora.

    Test corpora are left out on purpose, because their text side could only hold what the speech side reads too.
    """

    checkpoint: CheckpointPaths


def collect_representations(
    settings: Representations, compute: Compute, inputs: RepresentationInputs, out: Path
) -> None:
    """Collect the vectors of one system on dev utterances of the training corpora.

    Args:
        settings: Number of utterances, and the probe.
        compute: Device and threads.
        inputs: System and corpora.
        out: ``representations`` artifact.

    Raises:
        ArtifactError: There are fewer than two dev clips.
        ConfigError: The probe has no token.
        ModelError: The system reads no speech embeddings.
    """
    model = load_checkpoint(inputs.checkpoint, model_folder(inputs.llm), compute)
    examples = [e for e in load_examples(inputs, ["dev"]) if e.captions][: settings.utterances]
    if len(examples) < 2:
        raise ArtifactError(
            f"{inputs.plan}: figure 3 compares dev clips, and of those with a caption there are {len(examples)}; raise "
            "splits.dev, or set figures.representations.systems to []"
        )
    probe = model.encode(settings.probe)
    if not probe:
        raise ConfigError(f"figures.representations.probe: {settings.probe!r} has no token; write some words")
    rows: list[dict] = []
    sides: dict[str, list[Tensor]] = {"text": [], "speech": []}
    divergences: list[float] = []
    for chunk in batches(examples, BATCH, f"representations {inputs.checkpoint.system.parent.name}"):
        with torch.no_grad():
            speech, text = model.speech_prompts(chunk), [model.text_prompt(e.gold_p_act, e.p_sem_ids) for e in chunk]
            own = _read(model, speech, [p.speech for p in speech], chunk, probe)
            with model.without_lora():
                theirs = _read(model, text, [_context_embeddings(model, p) for p in text], chunk, probe)
        for side, found in (("text", theirs), ("speech", own)):
            for number, example in enumerate(chunk):
                for stage, vectors in (("before", found.before), ("after", found.after)):
                    rows.append(_row(example, side, stage, vectors[number]))
            sides[side].append(found.response)
        for left, right in zip(theirs.logprobs, own.logprobs, strict=True):
            divergences.append(float((left.exp() * (left - right)).sum(-1).mean()))
    text_side, speech_side = _bucketed(torch.cat(sides["text"]), torch.cat(sides["speech"]))
    for number, example in enumerate(examples):
        rows.append(_row(example, "text", "response", text_side[number]))
        rows.append(_row(example, "speech", "response", speech_side[number], divergences[number]))
    artifacts.write(rows, out, "representations", RULE, {"probe": settings.probe})


class _Found(NamedTuple):
    """The vectors of a batch, [B, H], [B, H], [B, V], and per utterance [N, V] log-probabilities over its reference."""

    before: Tensor
    after: Tensor
    response: Tensor
    logprobs: list[Tensor]


def _read(
    model: CaptionModel,
    prompts: Sequence[Prompt],
    embeddings: Sequence[Tensor | None],
    examples: Sequence[Example],
    probe: Sequence[int],
) -> _Found:
    """Run the model on each prompt with the probe and with the reference caption, as responses of one row."""
    before = []
    for own in embeddings:
        if own is None:
            raise ModelError("this system has no speech embeddings; drop it from figures.representations.systems")
        before.append(own.float().mean(0))
    probed = [*probe, model.end_id]  # the label of the last position is not looked at
    references = [model.response_ids(example.captions[0]) for example in examples]
    hidden: list[Tensor] = []
    head = model.llm.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0].detach()))
    try:
        packed = model.pack(prompts, [[probed, reference] for reference in references])
        logits = model.response_logits(packed)
    finally:
        handle.remove()
    after, response, logprobs = [], [], []
    for number in range(len(examples)):
        at = packed.owners == 2 * number
        after.append(hidden[0][at].float().mean(0))
        response.append(logits[at][-1].softmax(-1))
        logprobs.append(logits[packed.owners == 2 * number + 1].log_softmax(-1))
    return _Found(torch.stack(before), torch.stack(after), torch.stack(response).cpu(), logprobs)


def _context_embeddings(model: CaptionModel, prompt: Prompt) -> Tensor:
    """Return embeddings [n, H] of ``[P_act; P_sem]`` in a text prompt, or of all before it where both are empty."""
    opening = model.text_prompt("", ()).before
    ids = prompt.before[len(opening) :] or prompt.before
    return model.llm.get_input_embeddings()(torch.tensor(ids, device=model.device))


def _bucketed(text: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
    """Return square roots of two sets of distributions [n, V], over the overall likeliest tokens and the rest."""
    kept = (text.sum(0) + speech.sum(0)).topk(min(TOKENS, text.shape[1])).indices
    both = []
    for own in (text, speech):
        rest = (1 - own[:, kept].sum(1, keepdim=True)).clamp_min(0)
        both.append(torch.cat([own[:, kept], rest], dim=1).sqrt())
    return both[0], both[1]


def _row(example: Example, modality: str, stage: str, vector: Tensor, kl: float | None = None) -> dict:
    return {
        "utterance_id": example.utterance_id,
        "corpus": example.corpus,
        "modality": modality,
        "stage": stage,
        "vector": vector.float().cpu().tolist(),
        "kl": kl,
    }
