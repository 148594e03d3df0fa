"""How much the fault tests try: a sample in `make test`, all of it in `make faults`."""

import os

LONG = os.environ.get("ALIGNCAP_FAULTS") == "long"


def amount(sample: int, everything: int) -> int:
    """The number of things to try."""
    return everything if LONG else sample


def seeds(sample: int, everything: int) -> range:
    """The seeds to try, of which ALIGNCAP_SEEDS=first:end takes a part, or more."""
    first, _, end = os.environ.get("ALIGNCAP_SEEDS", f"0:{amount(sample, everything)}").partition(":")
    return range(int(first), int(end))
