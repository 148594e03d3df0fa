"""Packing: several prompts and all their responses share one sequence, so that common parts are computed once (ours).

The layout of a row is ``[head | prompt 1 | response 1 | response 2 | … | prompt 2 | …]``. The head is the common
beginning of the row's prompts (the instruction). A mask hides prompts and responses from each other, and positions
start again after the head and after each prompt. There is little padding. The same layout serves one response (NLL,
KD), two (preference pairs) and K (scoring of candidates). Only hidden states that predict a response token are
projected to the vocabulary.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TOGETHER = 4  # prompts in a row: more of them share a head, but attention grows with the square of the row's length


@dataclass(frozen=True)
class Prompt:
    """An LLM input before embedding: token ids, then speech embeddings, then token ids."""

    before: tuple[int, ...]
    speech: Tensor | None  # [K, H]
    after: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.before) + (0 if self.speech is None else len(self.speech)) + len(self.after)


@dataclass(frozen=True)
class Packed:
    """A batch of packed rows. N is the number of response tokens of the batch, ordered by prompt and response."""

    embeddings: Tensor  # [R, T, H], R rows
    mask: Tensor  # [R, 1, T, T] bool, True where a position may attend to another
    positions: Tensor  # [R, T]
    rows: Tensor  # [N] row of the hidden state that predicts each response token
    columns: Tensor  # [N] column of this hidden state
    labels: Tensor  # [N] the response tokens
    owners: Tensor  # [N] index of the response, counted over the batch
    n_responses: int


def embed_prompt(prompt: Prompt, embed: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """Embed a prompt, ``[len(prompt), H]``."""
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
    """Pack prompts and their responses into rows of ``TOGETHER`` prompts, padded on the right.

    Args:
        prompts: B prompts, none of them empty.
        responses: Responses of each prompt as token ids, with at least one token each.
        embed: Input embedding of the LLM.
        device: Device of the batch.
    """
    rows, owner_of_prompt, owner_of_response, positions = [], [], [], []
    row_index: list[int] = []
    column_index: list[int] = []
    labels: list[int] = []
    owners: list[int] = []
    n_responses = 0
    for row, start in enumerate(range(0, len(prompts), TOGETHER)):
        group = prompts[start : start + TOGETHER]
        head = os.path.commonprefix([prompt.before for prompt in group])
        shared = min(len(head), min(map(len, group)) - 1)  # the last token predicts the response, so it is not shared
        parts = [embed(torch.tensor(head[:shared], device=device, dtype=torch.long))]
        # Prompt and response of each column, counted from 1 in this row: prompt 0 is the head, response 0 the prompt.
        of_prompt, of_response, position = [0] * shared, [0] * shared, list(range(shared))
        for number, (prompt, answers) in enumerate(zip(group, responses[start:], strict=False), start=1):
            length = len(prompt)
            parts.append(embed_prompt(Prompt(prompt.before[shared:], prompt.speech, prompt.after), embed, device))
            of_prompt += [number] * (length - shared)
            of_response += [0] * (length - shared)
            position += range(shared, length)
            last = len(position) - 1
            for which, answer in enumerate(answers, start=1):
                # The last token predicts nothing, so it is a label but not an input.
                inputs = torch.tensor(answer[:-1], device=device, dtype=torch.long)
                parts.append(embed(inputs))
                row_index += [row] * len(answer)
                column_index += [last, *range(len(position), len(position) + len(inputs))]
                labels += answer
                owners += [n_responses] * len(answer)
                of_prompt += [number] * len(inputs)
                of_response += [which] * len(inputs)
                position += range(length, length + len(inputs))
                n_responses += 1
        rows.append(torch.cat(parts))
        owner_of_prompt.append(torch.tensor(of_prompt))
        owner_of_response.append(torch.tensor(of_response))
        positions.append(torch.tensor(position))
    # Padding has prompt number -1: it attends to the head and to padding, so that its softmax is finite.
    prompt_ids, response_ids, places = (
        torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=padding).to(device)
        for ids, padding in ((owner_of_prompt, -1), (owner_of_response, 0), (positions, 0))
    )
    total = prompt_ids.shape[1]
    mask = torch.ones(total, total, dtype=torch.bool, device=device).tril()
    for ids in (prompt_ids, response_ids):
        mask = mask & ((ids[:, :, None] == ids[:, None, :]) | (ids[:, None, :] == 0))
    return Packed(
        torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        mask[:, None],
        places,
        torch.tensor(row_index, device=device),
        torch.tensor(column_index, device=device),
        torch.tensor(labels, device=device),
        torch.tensor(owners, device=device),
        n_responses,
    )
