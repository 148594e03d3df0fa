"""Regularisation of the adapter against the domain gap: masking, mix-up, gradient reversal. All off by default (ours).

An adapter whose outputs predict the label almost perfectly in training teaches the LLM to lean on them (our
early trials); these make it less sure of what only the training corpora tell it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def mask_features(features: Tensor, mask: Tensor, time: float, dimensions: float) -> Tensor:
    """Set one span of frames and some dimensions of each clip to the mean (after SpecAugment, Park et al. 2019).

    Args:
        features: ``[B, L, T, D]``, normalised, so that the mean is 0.
        mask: ``[B, T]``, True on real frames.
        time: longest span, as a share of the clip; its length is uniform from 0 to that.
        dimensions: share of the dimensions, drawn one by one; an encoder's have no order, so no span is taken.
    """
    batch, device = len(features), features.device
    if time > 0:
        length = mask.sum(1)
        span = torch.rand(batch, device=device) * time * length
        begin = torch.rand(batch, device=device) * (length - span)
        frame = torch.arange(mask.shape[1], device=device)
        # The middle of a frame decides, so that the expected number of masked frames is the span's.
        hidden = (frame + 0.5 >= begin[:, None]) & (frame + 0.5 < (begin + span)[:, None])
        features = features.masked_fill(hidden[:, None, :, None], 0.0)
    if dimensions > 0:
        dropped = torch.rand(batch, features.shape[-1], device=device) < dimensions
        features = features.masked_fill(dropped[:, None, None, :], 0.0)
    return features


def mix(own: Tensor, others: Tensor, concentration: float) -> Tensor:
    """``l own + (1 - l) others``, one ``l ~ Beta(a, a)`` a clip, at least a half (after mixup, Zhang et al. 2018).

    Args:
        own: ``[B, K, H]``.
        others: ``[B, K, H]``, of utterances that have the same label as the own ones.
        concentration: ``a``; above 0.
    """
    share = torch.distributions.Beta(concentration, concentration).sample((len(own), 1, 1)).to(own)
    share = torch.maximum(share, 1 - share)
    return share * own + (1 - share) * others


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


def reverse_gradient(values: Tensor, factor: float) -> Tensor:
    """``values`` themselves, with a gradient of ``-factor`` times what arrives (Ganin and Lempitsky 2015)."""
    reversed_: Tensor = _Reverse.apply(values, factor)
    return reversed_
