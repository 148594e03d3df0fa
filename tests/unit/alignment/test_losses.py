"""KD loss: zero for equal distributions, hand-worked values, convergence to the full KL."""

import math

import pytest
import torch

from aligncap.alignment.losses import (
    TopK,
    full_divergence,
    quantity_loss,
    token_kl,
    token_nll,
    top_k_and_tail,
)


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


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "js"])
def test_a_divergence_of_equal_distributions_is_zero_and_of_others_is_not(kind):
    torch.manual_seed(0)
    logits, other = torch.randn(7, 50), torch.randn(7, 50)
    assert float(full_divergence(logits, logits, kind)) == pytest.approx(0, abs=1e-5)
    assert float(full_divergence(logits, other, kind)) > 0.1


def test_divergences_of_a_hand_worked_pair():
    teacher, student = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    reverse = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    middle = (0.7, 0.3)
    js = 0.5 * (0.5 * math.log(0.5 / middle[0]) + 0.5 * math.log(0.5 / middle[1]))
    js += 0.5 * (0.9 * math.log(0.9 / middle[0]) + 0.1 * math.log(0.1 / middle[1]))
    for kind, want in (("forward_kl", forward), ("reverse_kl", reverse), ("js", js)):
        assert float(full_divergence(student, teacher, kind)) == pytest.approx(want, abs=1e-6)
    swapped = full_divergence(teacher, student, "js")
    assert float(swapped) == pytest.approx(js, abs=1e-6), "symmetric"


def test_jensen_shannon_is_at_most_log_2_even_for_disjoint_distributions():
    one, other = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 200.0, 0.0]])
    assert float(full_divergence(one, other, "js")) == pytest.approx(math.log(2), abs=1e-6)


def test_the_whole_vocabulary_gives_the_forward_kl_of_the_top_k_form():
    torch.manual_seed(0)
    teacher, student = torch.randn(5, 40), torch.randn(5, 40)
    want = full_divergence(student, teacher, "forward_kl", 2.0)
    assert float(token_kl(student, top_k_and_tail(teacher, 40, 2.0), 2.0)) == pytest.approx(float(want), rel=1e-5)


def test_each_divergence_leads_to_the_teacher():
    torch.manual_seed(0)
    teacher = torch.randn(4, 20)
    for kind in ("forward_kl", "reverse_kl", "js"):
        student = torch.zeros(4, 20, requires_grad=True)
        full_divergence(student, teacher, kind).backward()
        moved = student.detach() - 0.5 * student.grad
        assert float(full_divergence(moved, teacher, kind)) < float(full_divergence(student, teacher, kind))


def test_the_quantity_loss_is_relative_and_off_without_a_transcript():
    got = quantity_loss(torch.tensor([6.0, 3.0, 9.0]), torch.tensor([4, 4, 0]))
    torch.testing.assert_close(got, torch.tensor([0.5, 0.25, 0.0]))
