"""The formulas of the plan: FLOPs, bytes and seconds from the shapes of models and of batches.

A multiplication with an addition counts as two FLOPs, and only matrix products count. Bytes are what autograd keeps for
the backward pass and what a file holds. ``benchmarks/plan_check.py`` measures what these formulas give.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil

from aligncap.captioner.packing import TOGETHER
from aligncap.config import AdapterSettings
from aligncap.planning.shapes import EncoderShape, LlmShape, LoraShape, Shapes, numbers

FP32 = 4  # bytes
FRAMES = 50  # hidden states that a speech encoder has of a second
# How often the loss reads or writes the logits forward: the likelihood, and the divergence from cached distributions.
LIKELIHOOD, DIVERGENCE = 3, 15
STATES = 16  # bytes of a trained weight: itself, its gradient and two moments of AdamW, all fp32


@dataclass(frozen=True)
class Batch:
    """Prompts with equally long responses, as ``captioner.packing`` lays them into rows."""

    prompts: int
    shared: int  # tokens at the beginning of every prompt, which a row has once
    own: float  # further tokens of a prompt, its speech embeddings included
    responses: int  # of each prompt
    tokens: float  # of a response, its end token included
    padding: float = 1.0  # columns of a row for each that a prompt or a response fills
    scored: int | None = None  # tokens of a response that are predicted; None: all

    @property
    def rows(self) -> int:
        """Rows of ``TOGETHER`` prompts."""
        return ceil(self.prompts / TOGETHER)

    @property
    def length(self) -> float:
        """Columns of a row; the last token of a response is only a label."""
        of_prompt = self.own + self.responses * (self.tokens - 1)
        return self.padding * (self.shared + min(self.prompts, TOGETHER) * of_prompt)

    @property
    def positions(self) -> float:
        """Positions that the LLM computes."""
        return self.rows * self.length

    @property
    def labels(self) -> float:
        """Response tokens that are predicted; only they are projected to the vocabulary."""
        return self.prompts * self.responses * (self.tokens if self.scored is None else self.scored)


def forward_flops(llm: LlmShape, lora: int, batch: Batch) -> float:
    """Return the FLOPs of a forward pass through an LLM with a LoRA of so many weights, 0 without one."""
    attention = 2 * batch.rows * batch.length**2 * llm.queries * llm.layers  # queries x keys, weights x values
    return 2.0 * (batch.positions * (llm.weights + lora) + attention + batch.labels * llm.head)


def backward_flops(llm: LlmShape, lora: LoraShape, batch: Batch, input_gradient: bool) -> float:
    """Return the FLOPs of the backward pass: through the frozen weights, into and through the LoRA.

    Args:
        llm: LLM, whose weights are frozen.
        lora: LoRA, which trains.
        batch: Its batch.
        input_gradient: Whether the input embeddings have a gradient, which is so where a speech adapter trains.
    """
    attention = 4 * batch.rows * batch.length**2 * llm.queries * llm.layers
    through = batch.positions * (llm.weights + 2 * lora.parameters)
    if not input_gradient:
        through -= batch.positions * (llm.first + lora.first)
    return 2.0 * (through + attention + batch.labels * llm.head)


def adapter_flops(settings: AdapterSettings, inputs: tuple[int, int, int], states: int, output: int) -> float:
    """Return the FLOPs of a forward pass of the speech adapter for one clip; a backward pass takes twice as many.

    Args:
        settings: Section ``adapter``.
        inputs: Feature layers L, frames T and width D of a clip.
        states: Number of embeddings K that the clip becomes.
        output: Width of the LLM, or 0 for the states alone.
    """
    if settings.type == "none":
        return 0.0
    layers, frames, dim = inputs
    width = settings.width
    total = frames * dim * (layers + width) + states * width * output
    if settings.type == "qformer":
        own = 4 * width**2 + 2 * width**2 + 8 * width**2  # self-attention, cross-attention, feed-forward
        of_layer = states * own + 2 * frames * width**2 + 2 * states * (states + frames) * width
        total += settings.layers * of_layer
    elif settings.type == "conv":
        total += sum(3 * width**2 * ceil(frames / 2**number) for number in range(1, settings.layers + 1))
    else:  # cif
        total += frames * (3 * width**2 + width) + states * frames * width
        total += settings.layers * (states * 12 * width**2 + 2 * states**2 * width)
    return 2.0 * total


def encoder_flops(encoder: EncoderShape, seconds: float, last: int) -> float:
    """Return the FLOPs of a speech encoder for a clip of so many seconds, up to the hidden state ``last``."""
    frames = FRAMES * seconds
    depth = min(last, encoder.layers)
    of_layer = frames * encoder.layer_weights + 2 * frames**2 * encoder.width
    return 2.0 * (seconds * encoder.convolutions + depth * of_layer)


def moved_bytes(llm: LlmShape, batch: Batch, size: int, fused: bool, copies: int = 0) -> float:
    """Return the bytes that a forward pass moves between memory and arithmetic beside its products.

    Each operation on single numbers reads and writes whole activations. A backward pass moves about twice as many.

    Args:
        llm: LLM with a LoRA.
        batch: Its batch.
        size: Bytes of a number.
        fused: As for ``activation_bytes``.
        copies: How often the loss reads or writes the logits, which are fp32.
    """
    width, queries, keys, ffn = llm.width, llm.queries, llm.keys, llm.ffn
    numbers_moved = 7 * llm.norms  # square, mean, two products
    numbers_moved += 5 * (queries + 2 * keys + 2 * width + 2 * ffn)  # the LoRA's part is scaled and added
    numbers_moved += 10 * (queries + keys)  # rotation by position
    numbers_moved += 6 * width + 5 * ffn  # residual sums; activation and product of the MLP
    # Fused: copies of keys and values for every head. Else: scale, mask and softmax of the weights, and two copies.
    attention: float = 6 * queries if fused else 4 * queries + 7 * llm.heads * batch.length
    layers = size * batch.positions * llm.layers * (numbers_moved + attention)
    return layers + float(copies * FP32 * batch.labels * llm.vocabulary)


def activation_bytes(llm: LlmShape, lora: LoraShape, batch: Batch, size: int, fused: bool) -> float:
    """Return the bytes that autograd keeps of the LLM's layers for the backward pass.

    Args:
        llm: LLM, whose weights are frozen, so that their inputs are not kept.
        lora: LoRA, whose inputs are kept.
        batch: Its batch.
        size: Bytes of a number in the LLM's arithmetic, 4 or 2.
        fused: Whether attention is a fused kernel (GPU), which keeps queries, keys and values, the latter two copied
            for every head; else queries, keys, values and the weights of attention are kept.
    """
    inputs = llm.width + llm.queries + llm.width + llm.ffn  # of the layers with a LoRA: attention's, MLP's
    gates = 3 * llm.ffn  # of the MLP: what its activation reads, and both factors behind it
    kept: float = size * (inputs + gates + lora.rank * lora.pairs) + FP32 * llm.norms
    if fused:
        kept += size * 3 * llm.queries + FP32 * llm.heads
    else:
        kept += size * (llm.queries + 2 * llm.keys)
        kept += (FP32 + (size if size != FP32 else 0)) * llm.heads * batch.length
    return float(batch.positions * (llm.layers * kept + FP32 * llm.width))


def logit_bytes(llm: LlmShape, batch: Batch, distilled: bool, made: int = 3) -> float:
    """Return the bytes of the logits at the beginning of the backward pass.

    Args:
        llm: LLM.
        batch: Its batch.
        distilled: Whether cached distributions are learnt, for which two tensors are kept beside log-probabilities.
        made: Tensors of their size that the backward pass makes beside what is kept.
    """
    return float((made + (3 if distilled else 1)) * FP32 * batch.labels * llm.vocabulary)


def safetensors_bytes(tensors: Shapes, kind: str = "F32") -> int:
    """Return the size of a safetensors file of tensors of one kind: length, header, values."""
    header, place = {}, 0
    for name, shape in sorted(tensors.items()):
        end = place + FP32 * numbers({name: shape})
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [place, end]}
        place = end
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + length + -length % 8 + place


def distribution_bytes(kept: int) -> int:
    """Return the bytes of a response token's distribution: ids of 4, log-probabilities of 2, tail and token of 4."""
    return kept * (4 + 2) + 4 + 4


def feature_bytes(layers: int, pool: int, width: int, seconds: float) -> int:
    """Return the bytes of a clip's features, fp16."""
    return layers * ceil(FRAMES * seconds / pool) * width * 2
