"""How much the fault tests try: a sample in `make test`, all of it in `make faults`."""

import os

LONG = os.environ.get("ALIGNCAP_FAULTS") == "long"


def amount(sample: int, everything: int) -> int:
    """The number of things to try."""
    return everything if LONG else sample
