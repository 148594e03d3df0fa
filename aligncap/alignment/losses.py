"""Losses of speech-text alignment, computed from the logits ``[N, V]`` of the N response tokens of a batch.

KD-Regularization: ``L = (1/N) sum_n [ -log p_S(y_n) + lambda KL(p_T || p_S) ]``. The paper minimises the divergence
between the LLM's response prediction distributions for speech and for text input; forward KL over the teacher's top k
tokens and one bucket for the rest, and the other two divergences, are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

LOG_2 = math.log(2)


@dataclass(frozen=True)
class TopK:
    """A teacher's distributions at N positions: the k likeliest tokens, and the mass of all other tokens (the tail)."""

    ids: Tensor  # [N, k]
    logprobs: Tensor  # [N, k], nat
    tail: Tensor  # [N], nat; -inf where k is the whole vocabulary


def top_k_and_tail(logits: Tensor, k: int, temperature: float = 1.0) -> TopK:
    """Reduce the distributions of ``logits [N, V]`` divided by ``temperature`` to the top ``k`` tokens and the tail."""
    logprobs = (logits.float() / temperature).log_softmax(-1)
    k = min(k, logits.shape[-1])
    top, ids = logprobs.topk(k, dim=-1)
    rest = logprobs.scatter(-1, ids, -torch.inf)
    return TopK(ids, top, rest.logsumexp(-1))


def token_kl(student_logits: Tensor, teacher: TopK, temperature: float = 1.0) -> Tensor:
    """Return the sum of ``token_kls`` over the tokens, a scalar that has a gradient graph even where N is 0."""
    return token_kls(student_logits, teacher, temperature).sum()


def token_kls(student_logits: Tensor, teacher: TopK, temperature: float = 1.0) -> Tensor:
    """Compute ``KL(p_T || p_S)`` over the top k tokens and the tail bucket, a lower bound of the full KL.

    The bound is exact at k = V.

    Args:
        student_logits: Student's logits ``[N, V]``.
        teacher: Teacher's distributions. They are renormalised, because stored values are rounded to half precision.
        temperature: Student's temperature, equal to that of the teacher's distributions.

    Returns:
        Divergence of each token, ``[N]``, in nat.
    """
    scaled = student_logits.float() / temperature
    norm = scaled.logsumexp(-1, keepdim=True)
    student_top = scaled.gather(-1, teacher.ids) - norm
    student_tail = scaled.scatter(-1, teacher.ids, -torch.inf).logsumexp(-1, keepdim=True) - norm
    student = torch.cat([student_top, student_tail], dim=-1)
    whole = torch.cat([teacher.logprobs.float(), teacher.tail.float().unsqueeze(-1)], dim=-1).log_softmax(-1)
    mass = whole.exp()
    # 0 * log 0 counts as 0, because an empty tail (k = V) has no mass on either side.
    terms = torch.where(mass > 0, mass * (whole.clamp_min(-1e4) - student.clamp_min(-1e4)), 0.0)
    return terms.sum(-1)


def full_divergence(student_logits: Tensor, teacher_logits: Tensor, kind: str, temperature: float = 1.0) -> Tensor:
    """Return the sum of ``full_divergences`` over the tokens, a scalar."""
    return full_divergences(student_logits, teacher_logits, kind, temperature).sum()


def full_divergences(student_logits: Tensor, teacher_logits: Tensor, kind: str, temperature: float = 1.0) -> Tensor:
    """Compute ``D(p_T, p_S)`` over the whole vocabulary.

    Args:
        student_logits: Student's logits ``[N, V]``.
        teacher_logits: Teacher's logits ``[N, V]``. The caller has to switch off their gradient.
        kind: ``forward_kl`` for ``KL(p_T || p_S)``, ``reverse_kl`` for ``KL(p_S || p_T)``, ``js`` for
            ``1/2 KL(p_T || m) + 1/2 KL(p_S || m)`` with ``m = (p_T + p_S) / 2`` (at most log 2 a token), or the name
            of a module of ``aligncap.extensions.divergences``.
        temperature: Temperature of both distributions. The divergence is not multiplied by its square;
            ``alignment.kd_weight`` sets the balance.

    Returns:
        Divergence of each token, ``[N]``, in nat.
    """
    student = (student_logits.float() / temperature).log_softmax(-1)
    teacher = (teacher_logits.float() / temperature).log_softmax(-1)
    if kind == "forward_kl":
        return _kl(teacher, student)
    if kind == "reverse_kl":
        return _kl(student, teacher)
    if kind == "js":
        middle = torch.logaddexp(teacher, student) - LOG_2
        return 0.5 * _kl(teacher, middle) + 0.5 * _kl(student, middle)
    own: Tensor = import_module(f"aligncap.extensions.divergences.{kind}").divergence(teacher, student)
    return own


def _kl(of: Tensor, to: Tensor) -> Tensor:
    return torch.nn.functional.kl_div(to, of, reduction="none", log_target=True).sum(-1)


def quantity_loss(quantity: Tensor, counts: Tensor) -> Tensor:
    """Compute the quantity loss of continuous integrate-and-fire, ``|quantity - count| / count``, ``[B]``.

    It is 0 where the adapter makes one embedding for each token. BLSP-KD (arXiv 2405.19041) has a quantity loss on the
    difference; dividing it by the count is ours.

    Args:
        quantity: Sums of the firing weights, ``[B]``.
        counts: Numbers of tokens of the transcripts, ``[B]``. Without tokens the loss is 0.
    """
    return torch.where(counts > 0, (quantity - counts).abs() / counts.clamp_min(1), 0.0)


def token_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the negative log-likelihood ``-sum_n log p(y_n)`` of ``labels [N]`` under ``logits [N, V]``, a scalar."""
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
