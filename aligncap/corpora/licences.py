"""Under which licence the recordings of a corpus are published: whoever shows or passes on a recording must know it."""

from __future__ import annotations

LICENCES = {
    "synthetic": "made at run time by espeak-ng; nobody's voice, free to pass on",
    "ravdess": "CC BY-NC-SA 4.0 (Livingstone and Russo, RAVDESS, PLoS ONE 2018)",
    "nemo": "CC BY-NC-SA 4.0 (Christop, nEMO, LREC-COLING 2024)",
    "emosec": "none given by its authors: research use only, do not pass on (Xu et al., SECap, AAAI 2024)",
}
UNKNOWN = "not stated: do not pass its recordings on before you know (name it as corpora.{corpus}.licence)"


def licence_of(corpus: str, adapter: str, stated: str | None = None) -> str:
    """The licence of a corpus's recordings, in words.

    Args:
        corpus: its name in the configuration.
        adapter: what reads it.
        stated: ``licence`` of the configuration, which goes before what the adapter's corpus is known for.
    """
    return stated or LICENCES.get(adapter) or UNKNOWN.format(corpus=corpus)
