"""The sentence encoder, which embeds texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 64


class SentenceEncoder:
    """A sentence-transformers model, which always runs on the CPU because its texts are short.

    Args:
        folder: sentence-transformers folder with safetensors weights.
    """

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer

        self._model: Any = SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, ``[n, dim]`` with L2 norm 1, so that a dot product is the cosine similarity.

        A text of spaces alone is all zeros: a tokenizer that adds no marks of its own finds no token in it.
        """
        read = [number for number, text in enumerate(texts) if text.strip()]
        if not read:
            return np.zeros((len(texts), self._model.get_embedding_dimension()), np.float32)
        found = self._model.encode(
            [texts[number] for number in read],
            batch_size=BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        vectors = np.zeros((len(texts), found.shape[1]), np.float32)
        vectors[read] = found
        return vectors

    def unknown(self, texts: Sequence[str]) -> float:
        """Return the share of the tokens of all texts, 0-1, that are none of its vocabulary, so that it cannot read."""
        tokenizer = self._model.tokenizer
        tokens = [t for own in tokenizer(list(texts), add_special_tokens=False)["input_ids"] for t in own]
        return tokens.count(tokenizer.unk_token_id) / len(tokens) if tokens else 0.0
