"""Whose speech a corpus is and what may be done with it: what model cards and reports have to say of it.

``docs/corpora.md`` has the same with the layouts that are read; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """Source and licence of a corpus.

    Attributes:
        source: who published what, in words.
        terms: the licence as its authors name it.
        identifier: of the Hugging Face hub's list of licences; None where none of them says it.
    """

    source: str
    terms: str
    identifier: str | None = None


UNKNOWN = Licence("a corpus of whoever trained this", "not known to AlignCap; ask whoever trained this")
LICENCES = {
    "synthetic": Licence("computer-made speech (espeak-ng); no recordings of people", "free", "apache-2.0"),
    "ravdess": Licence("RAVDESS, Livingstone and Russo, PLoS ONE 2018", "CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
    "nemo": Licence("nEMO, Christop, LREC-COLING 2024", "CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
    "emosec": Licence("published test set of SECap, Xu et al., AAAI 2024", "none given: research use only"),
}


def licence_of(adapter: str) -> Licence:
    """What is known of the corpus that an adapter reads; ``UNKNOWN`` for a table of one's own."""
    return LICENCES.get(adapter, UNKNOWN)
