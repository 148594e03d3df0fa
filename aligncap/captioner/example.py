"""Examples: utterances as the captioner reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Example:
    """An utterance as the captioner reads it: captions, clue prompts, transcript tokens and speech features."""

    utterance_id: str
    corpus: str
    captions: tuple[str, ...]
    gold_p_act: str
    predicted_p_act: str
    p_sem_ids: tuple[int, ...]
    features: NDArray[np.float16]  # [n_layers, n_frames, dim]

    @property
    def key(self) -> str:
        """Key ``corpus/utterance_id``, which is unique over all corpora."""
        return f"{self.corpus}/{self.utterance_id}"
