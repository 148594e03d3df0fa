"""Greedy decoding token by token, for whoever shows a caption while it is being said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from aligncap.captioner.generate import Decoder
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt


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
        decoder = Decoder(model, prompts)
        chosen = decoder.logits().argmax(-1)
    speaking = set(range(len(prompts)))
    for _ in range(max_new_tokens):
        tokens = chosen.tolist()
        yield {row: tokens[row] for row in sorted(speaking)}
        speaking -= {row for row in speaking if tokens[row] == model.end_id}
        if not speaking:
            return
        with torch.no_grad(), model.arithmetic():
            decoder.feed(chosen)
            chosen = decoder.logits().argmax(-1)
