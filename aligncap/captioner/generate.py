"""Decoding of captions: greedy, or K samples for each prompt.

The shared beginning of the prompts is encoded once (prefix cache). Rows whose response has ended leave the batch.
"""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt, embed_prompt
from aligncap.speech.parallel import in_shares

# Ended rows are removed when at most this share of rows continues, because removal copies the cache of the others.
SHRINK = 0.75
LIKELY = 256  # tokens that are looked at first for a nucleus


@dataclass(frozen=True)
class Generated:
    """A generated response."""

    token_ids: list[int]  # including the end token where there is one
    sum_logprob: float  # at temperature 1, nat
    finished: bool


@dataclass(frozen=True)
class Sampling:
    """Settings of nucleus sampling. Each prompt has a random generator, so that its samples depend on no other."""

    samples: int
    temperature: float
    top_p: float
    seeds: Sequence[int]  # one for each prompt


def _draw(sampling: Sampling, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw a number from [0, 1) for each row, ``[B * K, 1]``, ended ones too, so that rows do not affect each other."""
    return torch.cat([torch.rand(sampling.samples, 1, generator=g, dtype=torch.float64) for g in generators])


def _choose(logprobs: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Sample a token from the nucleus of each row of ``logprobs [R, V]`` by inverse transform of ``uniform [R, 1]``."""
    probabilities = (logprobs / sampling.temperature).softmax(-1)
    # To sort the whole vocabulary costs as much as the LLM; few of its tokens are in a nucleus.
    scaled, order = probabilities.topk(min(LIKELY, probabilities.shape[1]))
    if bool((scaled.sum(-1) < sampling.top_p).any()):
        scaled, order = probabilities.sort(descending=True)
    cumulative = scaled.cumsum(-1)
    inside = cumulative - scaled < sampling.top_p
    mass = (scaled * inside).sum(-1, keepdim=True)
    target = uniform.to(cumulative) * mass
    index = (cumulative < target).sum(-1, keepdim=True)
    return order.gather(1, torch.minimum(index, inside.sum(-1, keepdim=True) - 1)).squeeze(1)


class Decoder:
    """A stepwise decoder: the LLM with the cache of a batch of prompts and the hidden states of their last positions.

    The caller has to enter ``torch.no_grad()`` and ``model.arithmetic()``.

    Args:
        model: Captioner.
        prompts: B prompts, whose shared beginning is encoded once.
    """

    def __init__(self, model: CaptionModel, prompts: Sequence[Prompt]) -> None:
        from aligncap.captioner.cache import roomy_cache

        self._model = model
        self._cache: Any = roomy_cache()
        device, embed = model.device, model.llm.get_input_embeddings()
        shared = len(os.path.commonprefix([p.before for p in prompts]))
        if shared:
            head = torch.tensor([prompts[0].before[:shared]], device=device)
            model.llm.get_decoder()(input_ids=head, past_key_values=self._cache, use_cache=True)
            self._cache.batch_repeat_interleave(len(prompts))
        # The layout is [shared beginning | padding | rest of the prompt]; mask and positions skip the padding.
        rests = [embed_prompt(Prompt(p.before[shared:], p.speech, p.after), embed, device) for p in prompts]
        longest = max(map(len, rests))
        embeddings = torch.zeros(len(prompts), longest, rests[0].shape[1], device=device, dtype=rests[0].dtype)
        self._mask = torch.zeros(len(prompts), shared + longest, dtype=torch.long, device=device)
        self._mask[:, :shared] = 1
        for row, rest in enumerate(rests):
            embeddings[row, longest - len(rest) :] = rest
            self._mask[row, shared + longest - len(rest) :] = 1
        positions = (self._mask.cumsum(-1) - 1).clamp_min(0)
        self._position = positions[:, -1:]
        self._hidden = self._pass(inputs_embeds=embeddings, position_ids=positions[:, shared:])

    def _pass(self, **inputs: Tensor) -> Tensor:
        output = self._model.llm.get_decoder()(
            **inputs, attention_mask=self._mask, past_key_values=self._cache, use_cache=True
        )
        return output.last_hidden_state[:, -1]

    def repeat(self, copies: int) -> None:
        """Replace each row by ``copies`` adjacent copies of it."""
        self._cache.batch_repeat_interleave(copies)
        self._hidden, self._mask = (t.repeat_interleave(copies, 0) for t in (self._hidden, self._mask))
        self._position = self._position.repeat_interleave(copies, 0)

    def keep(self, rows: Tensor) -> None:
        """Keep only the rows with the given indices ``[R]``."""
        rows = rows.to(self._hidden.device)
        self._cache.batch_select_indices(rows)
        self._hidden, self._mask, self._position = (t[rows] for t in (self._hidden, self._mask, self._position))

    def logits(self) -> Tensor:
        """Compute the logits of each row's next token, ``[B, V]``, fp32."""
        return self._model.llm.get_output_embeddings()(self._hidden).float()

    def feed(self, tokens: Tensor) -> None:
        """Append one token ``[B]`` to each row."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        self._hidden = self._pass(input_ids=tokens[:, None].to(self._model.device), position_ids=self._position)


def generate(
    model: CaptionModel, prompts: Sequence[Prompt], max_new_tokens: int, sampling: Sampling | None = None
) -> list[list[Generated]]:
    """Generate responses to each prompt, one greedily or ``sampling.samples`` by sampling.

    Each core of a CPU decodes its share of the prompts.

    Returns:
        For each prompt, the list of its responses.

    Raises:
        ModelError: A prompt and ``max_new_tokens`` more are longer than the sliding window of the LLM.
    """
    model.require_window(max(map(len, prompts), default=0) + max_new_tokens)

    def decoded(numbers: Sequence[int]) -> list[list[Generated]]:
        own = None if sampling is None else replace(sampling, seeds=[sampling.seeds[n] for n in numbers])
        with torch.no_grad(), model.arithmetic():
            return _generate(model, [prompts[n] for n in numbers], max_new_tokens, own)

    return [one for part in in_shares(decoded, range(len(prompts)), model.threads) for one in part]


def _generate(
    model: CaptionModel, prompts: Sequence[Prompt], max_new_tokens: int, sampling: Sampling | None
) -> list[list[Generated]]:
    copies = sampling.samples if sampling else 1
    generators = [torch.Generator().manual_seed(seed) for seed in sampling.seeds] if sampling else []
    decoder = Decoder(model, prompts)
    if copies > 1:
        decoder.repeat(copies)
    rows = len(prompts) * copies
    tokens: list[list[int]] = [[] for _ in range(rows)]
    sums = torch.zeros(rows, dtype=torch.float64)
    # Indices of the rows in the decoder, in its order, and whether each of them continues.
    held, going = torch.arange(rows), torch.ones(rows, dtype=torch.bool)
    for _ in range(max_new_tokens):
        logprobs = decoder.logits().log_softmax(-1).cpu()
        chosen = _choose(logprobs, sampling, _draw(sampling, generators)[held]) if sampling else logprobs.argmax(-1)
        sums[held] += torch.where(going, logprobs.gather(1, chosen[:, None]).squeeze(1).double(), 0.0)
        for place in torch.nonzero(going).flatten().tolist():
            tokens[held[place]].append(int(chosen[place]))
        going = going & (chosen != model.end_id)
        if not bool(going.any()):
            break
        if int(going.sum()) <= SHRINK * len(held):
            decoder.keep(torch.nonzero(going).flatten())
            held, chosen, going = held[going], chosen[going], going[going]
        decoder.feed(chosen)
    results = [
        Generated(tokens[r], float(sums[r]), bool(tokens[r]) and tokens[r][-1] == model.end_id) for r in range(rows)
    ]
    return [results[i * copies : (i + 1) * copies] for i in range(len(prompts))]
