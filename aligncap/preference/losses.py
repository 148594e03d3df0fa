"""Preference losses. They take summed log-probabilities ``[B]`` of whole responses and return one value a pair."""

from __future__ import annotations

import torch
from torch import Tensor


def dpo_loss(
    chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """``-log sigmoid(beta [Delta_w - Delta_l])`` with ``Delta = log pi - log pi_ref`` (Rafailov et al. 2023), ``[B]``.

    ``log 2`` where the policy is the reference.
    """
    margin = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -torch.nn.functional.logsigmoid(beta * margin)
