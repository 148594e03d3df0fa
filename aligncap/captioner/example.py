"""One utterance as the captioner reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """One utterance as the model reads it."""

    utterance_id: str
    corpus: str
    captions: tuple[str, ...]
    gold_p_act: str
    predicted_p_act: str
    p_sem_ids: tuple[int, ...]
    features: NDArray[np.float16]  # [n_layers, n_frames, dim]

    @property
    def key(self) -> str:
        """Unique over corpora."""
        return f"{self.corpus}/{self.utterance_id}"
