"""Clips in several threads come in order, a few ahead, and leave torch's number of threads as it was."""

import time

import pytest
import torch

from aligncap.speech.parallel import AHEAD, each_in_a_thread, in_shares, shares


def test_results_come_in_order_and_one_thread_computes_each():
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def work(number: int) -> tuple[int, int]:
        time.sleep(0.01 * (number % 3))
        return number, torch.get_num_threads()

    try:
        found = each_in_a_thread(work, range(9), 3)
        assert list(found) == [(number, 1) for number in range(9)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_items_are_taken_only_a_few_ahead():
    taken: list[int] = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    found = each_in_a_thread(lambda number: number, items(), 2)
    assert next(found) == 0 and len(taken) <= 2 * AHEAD
    found.close()
    assert len(taken) <= 2 * AHEAD


def test_what_the_work_raises_is_raised_at_its_place():
    def work(number: int) -> int:
        if number == 2:
            raise KeyError(number)
        return number

    found = each_in_a_thread(work, range(50), 2)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(KeyError):
        next(found)
    assert list(found) == []


@pytest.mark.parametrize(("count", "threads", "sizes"), [(5, 2, [2, 3]), (8, 3, [2, 3, 3]), (2, 4, [1, 1]), (0, 2, [])])
def test_shares_are_neighbours_of_nearly_one_size(count: int, threads: int, sizes: list[int]):
    found = shares(range(count), threads)
    assert [len(own) for own in found] == sizes
    assert [item for own in found for item in own] == list(range(count))


@pytest.mark.parametrize(("count", "threads", "inside"), [(1, 2, 2), (6, 1, 2), (6, 2, 1)])
def test_a_single_share_keeps_torchs_threads(count: int, threads: int, inside: int):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = in_shares(lambda own: [(item, torch.get_num_threads()) for item in own], range(count), threads)
        assert [one for part in found for one in part] == [(item, inside) for item in range(count)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
