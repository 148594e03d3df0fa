"""Preference losses: pure functions of log-probabilities, each from its paper. docs/method.md has the equations.

``chosen`` and ``rejected`` are summed log-probabilities ``[B]`` of whole responses under the policy, ``reference_*``
those under the reference policy, and ``n_*`` the numbers of response tokens. Every function returns one value for each
pair (``kto_loss``: for each response), in nat, fp32; the training loop takes the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def implicit_margin(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    n_chosen: Tensor | None = None,
    n_rejected: Tensor | None = None,
) -> Tensor:
    """Compute the implicit margin ``Delta_w - Delta_l``, ``[B]``, with ``Delta = log pi(y|x) - log pi_ref(y|x)``.

    It is 0 where the policy is the reference. If token numbers are given, each ``Delta`` is divided by the number of
    tokens of its response: length-normalised DPO (Lambert et al. 2024, arXiv 2411.15124), in which a longer caption has
    no larger reward for its length.
    """
    gain_chosen, gain_rejected = chosen - reference_chosen, rejected - reference_rejected
    if n_chosen is not None and n_rejected is not None:
        return gain_chosen / n_chosen - gain_rejected / n_rejected
    return gain_chosen - gain_rejected


def dpo_loss(margin: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """Compute the DPO loss ``-(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h)``, ``[B]``, of implicit margins h.

    Source: Rafailov et al. 2023 (arXiv 2305.18290, equation 7). With ``e > 0`` it is the conservative DPO of Mitchell
    2023, which assumes that a share ``e`` of the preferences is flipped. It is ``log 2`` where the policy is the
    reference.
    """
    right, flipped = logsigmoid(beta * margin), logsigmoid(-beta * margin)
    return -(1 - label_smoothing) * right - label_smoothing * flipped


def ipo_loss(margin: Tensor, beta: float) -> Tensor:
    """Compute the IPO loss ``(h - 1 / (2 beta))^2``, ``[B]``, of implicit margins h.

    The margin has a target value, at which a pair stops changing the policy. Source: Azar et al. 2023 (arXiv
    2310.12036, equation 17), whose ``tau`` is ``beta``.
    """
    return (margin - 1 / (2 * beta)) ** 2


def simpo_loss(
    chosen: Tensor, rejected: Tensor, n_chosen: Tensor, n_rejected: Tensor, beta: float, gamma: float
) -> Tensor:
    """Compute the SimPO loss, ``[B]``, which needs no reference policy.

    It is ``-log sigmoid(beta log pi(y_w) / |y_w| - beta log pi(y_l) / |y_l| - gamma)``. Source: Meng et al. 2024
    (arXiv 2405.14734, equation 6).
    """
    return -logsigmoid(beta * (chosen / n_chosen - rejected / n_rejected) - gamma)


def _log_odds(mean_logp: Tensor) -> Tensor:
    """Compute the log odds ``log(p / (1 - p))`` of ``p = exp(mean_logp)``; p is kept below 1, so they are finite."""
    mean_logp = mean_logp.clamp(max=-1e-6)
    return mean_logp - torch.log(-torch.expm1(mean_logp))


def orpo_loss(chosen: Tensor, rejected: Tensor, n_chosen: Tensor, n_rejected: Tensor, beta: float) -> Tensor:
    """Compute the ORPO loss, ``[B]``, which needs no reference policy.

    It is ``-log pi(y_w) / |y_w| - beta log sigmoid(log odds(y_w) - log odds(y_l))`` with ``odds(y) = P / (1 - P)`` of
    the length-normalised ``P = exp(log pi(y) / |y|)``. Source: Hong et al. 2024 (arXiv 2403.07691, equations 6 and 7),
    whose ``lambda`` is ``beta``.
    """
    odds_ratio = _log_odds(chosen / n_chosen) - _log_odds(rejected / n_rejected)
    return nll_loss(chosen, n_chosen) - beta * logsigmoid(odds_ratio)


def kl_baseline(unrelated: Tensor, reference_unrelated: Tensor) -> Tensor:
    """Compute KTO's baseline ``z0``, an estimate of ``KL(pi || pi_ref)``: a scalar without gradient.

    It is ``max(0, mean_i [log pi(y_i'|x_i) - log pi_ref(y_i'|x_i)])``. Ethayarajh et al. 2024 (arXiv 2402.01306)
    estimate it from the microbatch by pairing every input with an output ``y'`` of another input.

    Args:
        unrelated: Log-probabilities ``[B]`` of captions of other utterances under the policy.
        reference_unrelated: Log-probabilities ``[B]`` of these captions under the reference policy.
    """
    return (unrelated - reference_unrelated).mean().clamp(min=0).detach()


def kto_loss(gain: Tensor, desirable: Tensor, baseline: Tensor, beta: float, weights: tuple[float, float]) -> Tensor:
    """Compute the KTO loss ``lambda_y - v(x, y)`` of each response, ``[N]``: Ethayarajh et al. 2024 (arXiv 2402.01306).

    The value ``v`` is ``lambda_D sigmoid(beta (r - z0))`` for a desirable response and
    ``lambda_U sigmoid(beta (z0 - r))`` for an undesirable one. The responses need not come in pairs.

    Args:
        gain: Implicit rewards ``r = log pi(y|x) - log pi_ref(y|x)``, ``[N]``.
        desirable: Whether each response is desirable, ``[N]`` bool.
        baseline: Scalar ``z0`` of ``kl_baseline``.
        beta: Factor that sets how fast the value saturates.
        weights: ``lambda_D`` and ``lambda_U``.
    """
    sign = torch.where(desirable, 1.0, -1.0)
    weight = torch.where(desirable, weights[0], weights[1])
    return weight * (1 - torch.sigmoid(beta * sign * (gain - baseline)))


def nll_loss(chosen: Tensor, n_chosen: Tensor) -> Tensor:
    """Compute the negative log-likelihood of the chosen captions for each token, ``-log pi(y_w) / |y_w|``, ``[B]``.

    It is the loss of the control that only fine-tunes on these captions, and the RPO term of other losses
    (Pang et al. 2024, arXiv 2404.19733).
    """
    return -chosen / n_chosen
