"""Preference losses: pure functions of log-probabilities, each from its paper. docs/method.md has the equations.

``chosen`` and ``rejected`` are summed log-probabilities ``[B]`` of whole responses under the policy, ``reference_*``
the same under the reference policy, ``n_*`` the numbers of response tokens. Every function returns one value a pair
(``kto_loss``: one a response), in nat, fp32; means are taken once, by the training loop.
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
    """``Delta_w - Delta_l`` with ``Delta = log pi(y|x) - log pi_ref(y|x)``, ``[B]``; 0 where policy is reference.

    With token numbers each ``Delta`` is divided by its own: length-normalised DPO (Lambert et al. 2024,
    arXiv 2411.15124), in which a longer caption has no larger reward for its length.
    """
    gain_chosen, gain_rejected = chosen - reference_chosen, rejected - reference_rejected
    if n_chosen is not None and n_rejected is not None:
        return gain_chosen / n_chosen - gain_rejected / n_rejected
    return gain_chosen - gain_rejected


def dpo_loss(margin: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """``-(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h)`` of implicit margins ``h``, ``[B]``.

    Rafailov et al. 2023 (arXiv 2305.18290, equation 7); with ``e > 0`` the conservative DPO of Mitchell 2023, which
    takes a share ``e`` of the preferences for flipped. ``log 2`` where the policy is the reference.
    """
    right, flipped = logsigmoid(beta * margin), logsigmoid(-beta * margin)
    return -(1 - label_smoothing) * right - label_smoothing * flipped


def ipo_loss(margin: Tensor, beta: float) -> Tensor:
    """``(h - 1 / (2 beta))^2``, ``[B]``: Azar et al. 2023 (arXiv 2310.12036, equation 17), their ``tau`` is ``beta``.

    The margin has a target, so that a pair that is already told apart pulls no further.
    """
    return (margin - 1 / (2 * beta)) ** 2


def simpo_loss(
    chosen: Tensor, rejected: Tensor, n_chosen: Tensor, n_rejected: Tensor, beta: float, gamma: float
) -> Tensor:
    """``-log sigmoid(beta log pi(y_w) / |y_w| - beta log pi(y_l) / |y_l| - gamma)``, ``[B]``; no reference policy.

    Meng et al. 2024 (arXiv 2405.14734, equation 6).
    """
    return -logsigmoid(beta * (chosen / n_chosen - rejected / n_rejected) - gamma)


def _log_odds(mean_logp: Tensor) -> Tensor:
    """``log(p / (1 - p))`` of ``p = exp(mean_logp)``; p = 1 is taken as just below, where the odds are finite."""
    mean_logp = mean_logp.clamp(max=-1e-6)
    return mean_logp - torch.log(-torch.expm1(mean_logp))


def orpo_loss(chosen: Tensor, rejected: Tensor, n_chosen: Tensor, n_rejected: Tensor, beta: float) -> Tensor:
    """``-log pi(y_w) / |y_w| - beta log sigmoid(log odds(y_w) - log odds(y_l))``, ``[B]``; no reference policy.

    Hong et al. 2024 (arXiv 2403.07691, equations 6 and 7), their ``lambda`` is ``beta``; ``odds(y) = P / (1 - P)`` of
    the length-normalised ``P = exp(log pi(y) / |y|)``.
    """
    odds_ratio = _log_odds(chosen / n_chosen) - _log_odds(rejected / n_rejected)
    return nll_loss(chosen, n_chosen) - beta * logsigmoid(odds_ratio)


def kl_baseline(unrelated: Tensor, reference_unrelated: Tensor) -> Tensor:
    """KTO's ``z0``: ``max(0, mean_i [log pi(y_i'|x_i) - log pi_ref(y_i'|x_i)])``, a scalar without gradient.

    Ethayarajh et al. 2024 (arXiv 2402.01306) estimate ``KL(pi || pi_ref)`` from the microbatch by pairing
    every input with an output ``y'`` of another one.

    Args:
        unrelated: log-probabilities ``[B]`` of a caption of another utterance under the policy.
        reference_unrelated: the same under the reference policy.
    """
    return (unrelated - reference_unrelated).mean().clamp(min=0).detach()


def kto_loss(gain: Tensor, desirable: Tensor, baseline: Tensor, beta: float, weights: tuple[float, float]) -> Tensor:
    """``lambda_y - v(x, y)``, one value a response, ``[N]``: Ethayarajh et al. 2024 (arXiv 2402.01306).

    ``v = lambda_D sigmoid(beta (r - z0))`` of a desirable response, ``lambda_U sigmoid(beta (z0 - r))`` of an
    undesirable one. Responses need no partner.

    Args:
        gain: ``r = log pi(y|x) - log pi_ref(y|x)``, ``[N]``.
        desirable: ``[N]`` bool.
        baseline: ``z0``, a scalar (``kl_baseline``).
        beta: how fast the value saturates.
        weights: ``lambda_D`` and ``lambda_U``.
    """
    sign = torch.where(desirable, 1.0, -1.0)
    weight = torch.where(desirable, weights[0], weights[1])
    return weight * (1 - torch.sigmoid(beta * sign * (gain - baseline)))


def nll_loss(chosen: Tensor, n_chosen: Tensor) -> Tensor:
    """``-log pi(y_w) / |y_w|``, ``[B]``: fine-tuning on the chosen captions, and the RPO term of the other losses.

    RPO: Pang et al. 2024 (arXiv 2404.19733).
    """
    return -chosen / n_chosen
