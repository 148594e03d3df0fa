"""Under which licence the recordings of a corpus are published: whoever shows or passes on a recording must know it."""

from __future__ import annotations

LICENCES = {
    "synthetic": "made at run time by espeak-ng; nobody's voice, free to pass on",
    "ravdess": "CC BY-NC-SA 4.0 (Livingstone and Russo, RAVDESS, PLoS ONE 2018)",
    "nemo": "CC BY-NC-SA 4.0 (Christop, nEMO, LREC-COLING 2024)",
    "emosec": "none given by its authors: research use only, do not pass on (Xu et al., SECap, AAAI 2024)",
    "crema_d": "ODbL 1.0, contents DbCL 1.0 (Cao et al., CREMA-D, IEEE TAC 2014)",
    "emodb": "none found: ask, and do not pass on (Burkhardt et al., Berlin EmoDB, Interspeech 2005)",
    "tess": "CC BY-NC-ND 4.0 (Pichora-Fuller and Dupuis, TESS, 2010)",
    "savee": "research only, on request; do not pass on (Haq and Jackson, SAVEE, 2009)",
    "urdu": "none found: ask, and do not pass on (Latif et al., URDU, FIT 2018)",
    "esd": "research only, by agreement; do not pass on (Zhou et al., ESD, ICASSP 2021)",
    "iemocap": "by agreement with USC; do not pass on (Busso et al., IEMOCAP, LREV 2008)",
    "meld": "GPL-3.0 for the labels; the television series is not free: do not pass on (Poria et al., MELD, ACL 2019)",
    "emns": "see openslr.org/136 (Noriy et al., EMNS, 2023)",
    "textrolspeech": "none found: ask, and do not pass on (Ji et al., TextrolSpeech, ICASSP 2024)",
    "promptspeech": "none given; its recordings are LibriTTS, CC BY 4.0 (Guo et al., PromptTTS, ICASSP 2023)",
    "nnime": "by agreement with BIIC; do not pass on (Chou et al., NNIME, ACII 2017)",
    "mer2023": "by agreement, academic use; do not pass on (Lian et al., MER 2023, ACM MM 2023)",
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
