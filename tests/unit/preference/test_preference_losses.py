"""Preference losses against hand-worked values."""

import math

import pytest
import torch

from aligncap.preference.losses import dpo_loss


def test_loss_is_log_two_where_the_policy_is_the_reference():
    chosen, rejected = torch.tensor([-3.0, -9.0]), torch.tensor([-4.0, -2.0])
    torch.testing.assert_close(dpo_loss(chosen, rejected, chosen, rejected, 0.1), torch.full((2,), math.log(2)))


def test_a_hand_worked_value():
    # Delta_w = 2, Delta_l = -1, beta 0.5: -log sigmoid(1.5)
    got = dpo_loss(torch.tensor([-1.0]), torch.tensor([-5.0]), torch.tensor([-3.0]), torch.tensor([-4.0]), 0.5)
    assert float(got) == pytest.approx(math.log(1 + math.exp(-1.5)), abs=1e-6)
