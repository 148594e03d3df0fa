"""Greedy decoding token by token, for whoever shows a caption while it is being said.

The model calls are those of ``aligncap.captioner.generate`` (shared head of the prompts first, rests padded on the
left, one token a step), which returns whole responses only; a test holds both to the same captions.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt, embed_prompt


class _Decoder:
    """The LLM with the cache of a batch of prompts: hidden state of the last position, then of each token fed to it."""

    def __init__(self, model: CaptionModel, prompts: Sequence[Prompt]) -> None:
        from transformers import DynamicCache

        self._model = model
        self._cache: Any = DynamicCache()
        device, embed = model.device, model.llm.get_input_embeddings()
        shared = len(os.path.commonprefix([p.before for p in prompts]))
        if shared:
            head = torch.tensor([prompts[0].before[:shared]], device=device)
            model.llm.get_decoder()(input_ids=head, past_key_values=self._cache, use_cache=True)
            self._cache.batch_repeat_interleave(len(prompts))
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
        self.hidden = self._pass(inputs_embeds=embeddings, position_ids=positions[:, shared:])  # [B, H]

    def _pass(self, **inputs: Tensor) -> Tensor:
        output = self._model.llm.get_decoder()(
            **inputs, attention_mask=self._mask, past_key_values=self._cache, use_cache=True
        )
        return output.last_hidden_state[:, -1]

    def best(self) -> Tensor:
        """The likeliest next token of each row, ``[B]``."""
        return self._model.llm.get_output_embeddings()(self.hidden).float().argmax(-1)

    def feed(self, tokens: Tensor) -> None:
        """Read one further token a row, ``[B]``."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._position = self._position + 1
        self.hidden = self._pass(input_ids=tokens[:, None], position_ids=self._position)


def stream(model: CaptionModel, prompts: Sequence[Prompt], max_new_tokens: int) -> Iterator[dict[int, int]]:
    """Continue each prompt greedily, as ``generate`` without sampling does, and tell every token as it comes.

    Args:
        model: the captioner.
        prompts: B prompts.
        max_new_tokens: longest response, in tokens.

    Yields:
        at each step, row -> token id for the rows that still speak; a row's last token is ``model.end_id`` unless the
        length ended it. At most ``max_new_tokens`` steps.
    """
    # The contexts are entered at each step: left open over a yield they would hold for the caller's code, too.
    with torch.no_grad(), model.arithmetic():
        decoder = _Decoder(model, prompts)
        chosen = decoder.best()
    speaking = set(range(len(prompts)))
    for _ in range(max_new_tokens):
        tokens = chosen.tolist()
        yield {row: tokens[row] for row in sorted(speaking)}
        speaking -= {row for row in speaking if tokens[row] == model.end_id}
        if not speaking:
            return
        with torch.no_grad(), model.arithmetic():
            decoder.feed(chosen)
            chosen = decoder.best()
