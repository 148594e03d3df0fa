"""One sequence for a prompt and all its responses.

``[prompt | response 1 | response 2 | …]``: a mask hides the responses from each other and positions start again after
the prompt, so the prompt is computed once. The same layout serves one response (NLL, KD), two (preference pairs) and K
(scoring candidates). Only hidden states that predict a response token go on to the vocabulary projection. Ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prompt:
    """An LLM input before embedding: token ids, speech embeddings, token ids."""

    before: tuple[int, ...]
    speech: Tensor | None  # [K, H]
    after: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.before) + (0 if self.speech is None else len(self.speech)) + len(self.after)


@dataclass(frozen=True)
class Packed:
    """A batch of packed rows. N counts response tokens over the whole batch, row by row, response by response."""

    embeddings: Tensor  # [B, T, H]
    mask: Tensor  # [B, 1, T, T] bool, True where the row's position may look
    positions: Tensor  # [B, T]
    rows: Tensor  # [N] row of the hidden state that predicts each response token
    columns: Tensor  # [N] its position
    labels: Tensor  # [N] the response tokens
    owners: Tensor  # [N] index of the response, counted over the batch
    n_responses: int


def embed_prompt(prompt: Prompt, embed: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """Embeddings of a prompt, ``[len(prompt), H]``."""
    parts = [embed(torch.tensor(prompt.before, device=device, dtype=torch.long))]
    if prompt.speech is not None:
        parts.append(prompt.speech.to(parts[0].dtype))
    parts.append(embed(torch.tensor(prompt.after, device=device, dtype=torch.long)))
    return torch.cat(parts)


def pack(
    prompts: Sequence[Prompt],
    responses: Sequence[Sequence[Sequence[int]]],
    embed: Callable[[Tensor], Tensor],
    device: torch.device,
) -> Packed:
    """Lay each prompt and its responses into one row, rows padded on the right.

    Args:
        prompts: B prompts.
        responses: for each prompt, its responses as token ids (at least one token each).
        embed: the LLM's input embedding.
        device: where the batch goes.
    """
    rows, segments, positions = [], [], []
    row_index: list[int] = []
    column_index: list[int] = []
    labels: list[int] = []
    owners: list[int] = []
    n_responses = 0
    for row, (prompt, answers) in enumerate(zip(prompts, responses, strict=True)):
        length = len(prompt)
        parts = [embed_prompt(prompt, embed, device)]
        segment, position, column = [0] * length, list(range(length)), length
        for number, answer in enumerate(answers, start=1):
            # The last token predicts nothing, so it is a label but not an input.
            inputs = torch.tensor(answer[:-1], device=device, dtype=torch.long)
            parts.append(embed(inputs))
            columns = [length - 1, *range(column, column + len(inputs))]
            row_index += [row] * len(answer)
            column_index += columns
            labels += answer
            owners += [n_responses] * len(answer)
            segment += [number] * len(inputs)
            position += range(length, length + len(inputs))
            column += len(inputs)
            n_responses += 1
        rows.append(torch.cat(parts))
        segments.append(torch.tensor(segment))
        positions.append(torch.tensor(position))
    segment_ids = torch.nn.utils.rnn.pad_sequence(segments, batch_first=True, padding_value=-1).to(device)
    total = segment_ids.shape[1]
    causal = torch.ones(total, total, dtype=torch.bool, device=device).tril()
    own = (segment_ids[:, :, None] == segment_ids[:, None, :]) | (segment_ids[:, None, :] == 0)
    # A padded position looks at padded ones (itself at least), which keeps its softmax finite; nothing looks at it.
    mask = causal & own & ((segment_ids >= 0)[:, None, :] | (segment_ids < 0)[:, :, None])
    return Packed(
        torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        mask[:, None],
        torch.nn.utils.rnn.pad_sequence(positions, batch_first=True).to(device),
        torch.tensor(row_index, device=device),
        torch.tensor(column_index, device=device),
        torch.tensor(labels, device=device),
        torch.tensor(owners, device=device),
        n_responses,
    )
