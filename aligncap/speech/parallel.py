"""Clips in several threads, each of which computes its own clips with one thread.

Two threads on one clip of a few seconds mostly wait for each other, and another number of them rounds sums in another
way. One thread a clip takes all cores and gives the same numbers on any number of them (ours).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # items a thread that are begun before the first result is taken


@contextmanager
def _alone() -> Iterator[None]:
    """Let torch take one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def shares(items: Sequence[Item], threads: int) -> list[Sequence[Item]]:
    """Split items into one run of neighbours a thread, whose lengths differ by one at most; there are no empty ones."""
    count = min(threads, len(items))
    return [items[part * len(items) // count : (part + 1) * len(items) // count] for part in range(count)]


def in_shares(work: Callable[[Sequence[Item]], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Return the results of ``work`` for the share of each thread, in order; a single one has all threads of torch."""
    if min(len(items), threads) < 2:
        return [work(items)]
    return list(each_in_a_thread(work, shares(items, threads), threads))


def each_in_a_thread(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the result of each item in order, while ``threads`` threads work on those that follow.

    Args:
        work: What is done with an item; it may be called by several threads at once.
        items: The items; they are taken when a thread is soon free, so that not all are held at once.
        threads: Number of threads.

    Raises:
        Exception: What ``work`` raises for the first item for which it does.
    """
    # Torch's number of threads is one that each thread has for itself, but for MKL's, which all share.
    with _alone(), ThreadPoolExecutor(threads, "clip", torch.set_num_threads, (1,)) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                if len(begun) >= AHEAD * threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
