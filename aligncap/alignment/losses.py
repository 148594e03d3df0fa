"""Losses of speech-text alignment. All take ``[N, V]`` logits of the N response tokens of a batch and return sums.

KD-Regularization: ``L = (1/N) sum_n [ -log p_S(y_n) + lambda KL(p_T || p_S) ]``. The paper minimises the divergence
between the LLM's response prediction distributions for speech and for text input; forward KL over the teacher's top k
tokens and one bucket for the rest is ours (DESIGN section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TopK:
    """A teacher's distributions over N positions: the k likeliest tokens and the mass of all others."""

    ids: Tensor  # [N, k]
    logprobs: Tensor  # [N, k], nat
    tail: Tensor  # [N], nat; -inf where k is the whole vocabulary


def top_k_and_tail(logits: Tensor, k: int, temperature: float = 1.0) -> TopK:
    """Distributions of ``logits [N, V]`` divided by ``temperature``: the top ``k`` and the log mass of the rest."""
    logprobs = (logits.float() / temperature).log_softmax(-1)
    k = min(k, logits.shape[-1])
    top, ids = logprobs.topk(k, dim=-1)
    rest = logprobs.scatter(-1, ids, -torch.inf)
    return TopK(ids, top, rest.logsumexp(-1))


def token_kl(student_logits: Tensor, teacher: TopK, temperature: float = 1.0) -> Tensor:
    """``sum_n KL(p_T || p_S)`` over the top k tokens and the tail bucket; a lower bound of the full KL, exact at k = V.

    Args:
        student_logits: ``[N, V]``.
        teacher: renormalised here, because stored log-probabilities are rounded to half precision.
        temperature: the student's, equal to the one that the teacher's were made with.

    Returns:
        a scalar that has a graph even where N is 0.
    """
    scaled = student_logits.float() / temperature
    norm = scaled.logsumexp(-1, keepdim=True)
    student_top = scaled.gather(-1, teacher.ids) - norm
    student_tail = scaled.scatter(-1, teacher.ids, -torch.inf).logsumexp(-1, keepdim=True) - norm
    student = torch.cat([student_top, student_tail], dim=-1)
    whole = torch.cat([teacher.logprobs.float(), teacher.tail.float().unsqueeze(-1)], dim=-1).log_softmax(-1)
    mass = whole.exp()
    # 0 * log 0 is 0: an empty tail (k = V) has no mass on either side.
    terms = torch.where(mass > 0, mass * (whole.clamp_min(-1e4) - student.clamp_min(-1e4)), 0.0)
    return terms.sum()


def token_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """``-sum_n log p(y_n)``: ``logits [N, V]``, ``labels [N]``; a scalar."""
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
