"""Preference losses against hand-worked values and limits; the constants are worked out from the papers' formulas."""

import math

import pytest
import torch

from aligncap.config import PreferenceTraining
from aligncap.preference import losses
from aligncap.preference.train import PairLogps, preference_loss


def t(*values):
    return torch.tensor(values)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# Delta_w = 2 over 4 tokens, Delta_l = -1 over 2 tokens
BATCH = PairLogps(t(-1.0), t(-5.0), t(-3.0), t(-4.0), t(4.0), t(2.0))
SAME = PairLogps(t(-3.0, -9.0), t(-4.0, -2.0), t(-3.0, -9.0), t(-4.0, -2.0), t(4.0, 8.0), t(2.0, 2.0))


def loss(batch=BATCH, baseline=None, **settings):
    return preference_loss(PreferenceTraining(**settings), batch, baseline)


@pytest.mark.parametrize("extra", [{}, {"label_smoothing": 0.2}, {"length_normalised": True}])
def test_dpo_is_log_two_where_the_policy_is_the_reference(extra):
    torch.testing.assert_close(loss(SAME, **extra), torch.full((2,), math.log(2)))


def test_dpo_by_hand():
    # h = 3, beta 0.5: -log sigmoid(1.5)
    assert float(loss(beta=0.5)) == pytest.approx(math.log(1 + math.exp(-1.5)), abs=1e-6)


def test_conservative_dpo_by_hand_and_its_least_value():
    smooth = 0.9 * math.log(1 + math.exp(-1.5)) + 0.1 * math.log(1 + math.exp(1.5))
    assert float(loss(beta=0.5, label_smoothing=0.1)) == pytest.approx(smooth, abs=1e-6)
    # The gradient vanishes where sigmoid(beta h) = 1 - e: a pair that may be flipped is not pushed without end.
    h = torch.tensor(math.log(0.9 / 0.1) / 0.5, requires_grad=True)
    losses.dpo_loss(h, 0.5, 0.1).backward()
    assert float(h.grad) == pytest.approx(0, abs=1e-6)


def test_length_normalised_margin_by_hand():
    # 2 / 4 + 1 / 2 = 1
    assert float(loss(beta=2.0, length_normalised=True)) == pytest.approx(-math.log(sigmoid(2.0)), abs=1e-6)
    assert float(loss(loss="ipo", beta=2.0, length_normalised=True)) == pytest.approx((1 - 0.25) ** 2, abs=1e-6)


def test_ipo_has_a_target():
    assert float(loss(loss="ipo", beta=0.25)) == pytest.approx((3 - 2) ** 2)
    assert float(loss(loss="ipo", beta=1 / 6)) == pytest.approx(0, abs=1e-5), "h = 3 is 1 / (2 tau)"
    torch.testing.assert_close(loss(SAME, loss="ipo", beta=0.1), torch.full((2,), 25.0))


def test_simpo_by_hand_without_a_reference():
    # means -0.25 and -2.5: -log sigmoid(2 * 2.25 - 1)
    want = -math.log(sigmoid(3.5))
    assert float(loss(loss="simpo", simpo_beta=2.0, simpo_gamma=1.0)) == pytest.approx(want, abs=1e-6)
    other = PairLogps(BATCH.chosen, BATCH.rejected, t(-30.0), t(-1.0), BATCH.n_chosen, BATCH.n_rejected)
    assert float(loss(other, loss="simpo", simpo_beta=2.0, simpo_gamma=1.0)) == pytest.approx(want, abs=1e-6)
    # A caption twice as long and as probable a token is worth the same.
    twice = PairLogps(2 * BATCH.chosen, BATCH.rejected, t(0.0), t(0.0), 2 * BATCH.n_chosen, BATCH.n_rejected)
    assert float(loss(twice, loss="simpo", simpo_beta=2.0, simpo_gamma=1.0)) == pytest.approx(want, abs=1e-6)


def test_orpo_by_hand_and_in_the_limit_of_certainty():
    p, q = math.exp(-0.25), math.exp(-2.5)
    ratio = math.log(p / (1 - p)) - math.log(q / (1 - q))
    assert float(loss(loss="orpo", beta=0.5)) == pytest.approx(0.25 - 0.5 * math.log(sigmoid(ratio)), abs=1e-5)
    certain = torch.zeros(1, requires_grad=True)
    value = losses.orpo_loss(certain, t(-5.0), t(4.0), t(2.0), 0.5)
    value.backward()
    assert float(value) == pytest.approx(0, abs=1e-4) and torch.isfinite(certain.grad).all()


def test_kto_by_hand_and_unpaired():
    # r = 2 desirable, r = -1 undesirable, z0 = 0.5, beta 0.5, weights 1 and 2
    values = losses.kto_loss(t(2.0, -1.0), torch.tensor([True, False]), torch.tensor(0.5), 0.5, (1.0, 2.0))
    desirable, undesirable = 1 - sigmoid(0.5 * 1.5), 2 * (1 - sigmoid(0.5 * 1.5))
    torch.testing.assert_close(values, t(desirable, undesirable))
    alone = losses.kto_loss(t(-1.0), torch.tensor([False]), torch.tensor(0.5), 0.5, (1.0, 2.0))
    torch.testing.assert_close(alone, t(undesirable))
    paired = loss(loss="kto", beta=0.5, kto_weights=(1.0, 2.0), baseline=torch.tensor(0.5))
    assert float(paired) == pytest.approx((desirable + undesirable) / 2, abs=1e-6)


def test_kto_at_the_reference_and_its_baseline():
    torch.testing.assert_close(loss(SAME, loss="kto", baseline=torch.tensor(0.0)), torch.full((2,), 0.5))
    unrelated = torch.tensor([-3.0, -5.0], requires_grad=True)
    baseline = losses.kl_baseline(unrelated, t(-4.0, -7.0))
    assert float(baseline) == pytest.approx(1.5) and not baseline.requires_grad
    assert float(losses.kl_baseline(t(-9.0), t(-4.0))) == 0, "a KL is never negative"


def test_nll_sees_the_chosen_caption_only():
    assert float(loss(loss="nll")) == pytest.approx(0.25)
    other = PairLogps(BATCH.chosen, t(-99.0), t(0.0), t(0.0), BATCH.n_chosen, t(9.0))
    assert float(loss(other, loss="nll")) == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["dpo", "ipo", "simpo", "orpo", "kto"])
def test_every_loss_raises_the_chosen_and_lowers_the_rejected(name):
    chosen, rejected = torch.tensor([-6.0], requires_grad=True), torch.tensor([-6.0], requires_grad=True)
    batch = PairLogps(chosen, rejected, t(-6.0), t(-6.0), t(4.0), t(4.0))
    loss(batch, loss=name, baseline=torch.tensor(0.0)).sum().backward()
    assert chosen.grad < 0 < rejected.grad
