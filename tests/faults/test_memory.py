"""Memory that is refused: one line that says so and what helps, whoever asked for it."""

import logging
import sys
from collections.abc import Callable

import pytest

from aligncap import job
from aligncap.job import LESS_MEMORY

TOO_MUCH = 2**50  # bytes, more than any address space has


def python() -> None:
    bytearray(TOO_MUCH)


def numpy() -> None:
    import numpy as np

    np.ones(TOO_MUCH // 8)


def torch() -> None:
    import torch

    torch.ones(TOO_MUCH // 8, dtype=torch.float64)


def arrow() -> None:
    import pyarrow as pa

    pa.allocate_buffer(TOO_MUCH)


@pytest.mark.parametrize("asks", [python, numpy, torch, arrow])
def test_a_refusal_is_one_line(asks: Callable[[], None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "aligncap")
    try:
        asks()
    except Exception:
        kind, error, trace = sys.exc_info()
        assert kind is not None and error is not None
        job._report(kind, error, trace)
    (told,) = caplog.records
    assert told.getMessage().startswith("out of memory (") and told.getMessage().endswith(f"; {LESS_MEMORY}")
    assert told.exc_info is None and "\n" not in told.getMessage()


def test_another_error_is_still_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("shapes differ")
    job._report(RuntimeError, error, None)
    (told,) = caplog.records
    assert told.exc_info is not None and "bug" in told.getMessage()
