"""KD loss: zero for equal distributions, hand-worked values, convergence to the full KL."""

import math

import pytest
import torch

from aligncap.alignment.losses import TopK, token_kl, token_nll, top_k_and_tail


def full_kl(teacher: torch.Tensor, student: torch.Tensor) -> float:
    p, q = teacher.log_softmax(-1), student.log_softmax(-1)
    return float((p.exp() * (p - q)).sum())


@pytest.mark.parametrize("k", [1, 5, 50])
def test_kl_of_equal_distributions_is_zero(k):
    logits = torch.randn(7, 50)
    assert float(token_kl(logits, top_k_and_tail(logits, k))) == pytest.approx(0, abs=1e-5)


def test_half_precision_log_probs_are_renormalised():
    logits = torch.randn(7, 50)
    exact = top_k_and_tail(logits, 50)
    stored = TopK(exact.ids, exact.logprobs.half(), exact.tail)
    assert abs(float(token_kl(logits, stored))) < 1e-4


def test_top_k_and_tail_converges_to_the_full_kl_from_below():
    teacher, student = torch.randn(6, 200) * 2, torch.randn(6, 200) * 2
    want = full_kl(teacher, student)
    got = [float(token_kl(student, top_k_and_tail(teacher, k))) for k in (1, 4, 16, 64, 150, 200)]
    assert got == sorted(got)
    assert got[0] < want and got[-1] == pytest.approx(want, rel=1e-5)


def test_a_hand_worked_value():
    # Teacher (1/2, 1/4, 1/4), student (1/4, 1/2, 1/4); k = 1 leaves a tail of 1/2 against 3/4:
    # 1/2 log 2 + 1/2 log(2/3)
    teacher, student = torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([[0.25, 0.5, 0.25]]).log()
    got = float(token_kl(student, top_k_and_tail(teacher, 1)))
    assert got == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-6)


def test_temperature_is_applied_to_both_sides():
    teacher, student = torch.randn(4, 30), torch.randn(4, 30)
    got = float(token_kl(student, top_k_and_tail(teacher, 30, 2.0), 2.0))
    assert got == pytest.approx(full_kl(teacher / 2, student / 2), rel=1e-5)


def test_no_response_token_costs_nothing_and_still_has_a_gradient():
    logits = torch.randn(0, 9, requires_grad=True)
    loss = token_kl(logits, top_k_and_tail(torch.randn(0, 9), 3)) + token_nll(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert float(loss) == 0 and logits.grad is not None


def test_the_gradient_points_to_the_teacher():
    teacher = torch.randn(3, 20)
    student = torch.zeros(3, 20, requires_grad=True)
    before = token_kl(student, top_k_and_tail(teacher, 20))
    before.backward()
    after = token_kl(student - 0.1 * student.grad, top_k_and_tail(teacher, 20))
    assert float(after) < float(before)
