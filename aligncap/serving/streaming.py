"""Greedy decoding token by token, to show a caption while it is generated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from aligncap.captioner.generate import Decoder
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt


def stream(model: CaptionModel, prompts: Sequence[Prompt], max_new_tokens: int) -> Iterator[dict[int, int]]:
    """Continue each prompt greedily, as ``generate`` without sampling does, and yield every token at once.

    Args:
        model: Captioner.
        prompts: Prompts, B of them.
        max_new_tokens: Maximum length of a response in tokens.

    Yields:
        Row -> token id at each step, for the rows that are not finished. A row's last token is ``model.end_id`` unless
        the length ended it. There are at most ``max_new_tokens`` steps.
    """
    # The contexts are entered at each step, because across a yield they would also apply to the caller's code.
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
