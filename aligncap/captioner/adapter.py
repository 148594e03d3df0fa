"""The speech adapter ``A``: frames of a frozen encoder to K embeddings in the LLM's input space.

Learned layer weights, then a Q-Former (queries that attend to themselves and to the frames). Ours in detail: the paper
names an alignment of speech with the LLM, not this architecture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncap.config import Adapter


def pad_features(features: Sequence[NDArray[np.float16]]) -> tuple[Tensor, Tensor]:
    """Pad feature arrays ``[n_layers, n_frames, dim]`` to one batch.

    Returns:
        fp32 ``[B, n_layers, T, dim]`` and a mask ``[B, T]`` that is True on real frames.
    """
    longest = max(item.shape[1] for item in features)
    n_layers, _, dim = features[0].shape
    batch = torch.zeros(len(features), n_layers, longest, dim)
    mask = torch.zeros(len(features), longest, dtype=torch.bool)
    for row, item in enumerate(features):
        batch[row, :, : item.shape[1]] = torch.from_numpy(item.astype(np.float32))
        mask[row, : item.shape[1]] = True
    return batch, mask


class QFormerLayer(nn.Module):
    """Self-attention over queries, cross-attention to frames, feed-forward; each pre-normalised and residual."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_norm, self.cross_norm, self.ffn_norm = (nn.LayerNorm(width) for _ in range(3))
        self.self_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, frames: Tensor, padding: Tensor) -> Tensor:
        """``queries [B, K, W]``, ``frames [B, T, W]``, ``padding [B, T]`` True where padded; returns ``[B, K, W]``."""
        normed = self.self_norm(queries)
        queries = queries + self.dropout(self.self_attention(normed, normed, normed, need_weights=False)[0])
        crossed = self.cross_attention(
            self.cross_norm(queries), frames, frames, key_padding_mask=padding, need_weights=False
        )[0]
        queries = queries + self.dropout(crossed)
        return queries + self.dropout(self.ffn(self.ffn_norm(queries)))


class SpeechAdapter(nn.Module):
    """Frames of several encoder layers to ``queries`` embeddings of the LLM's width.

    Args:
        config: the ``adapter`` section.
        n_layers: encoder layers in the features.
        dim: width of the encoder.
        llm_width: width of the LLM's embeddings.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Adapter, n_layers: int, dim: int, llm_width: int) -> None:
        super().__init__()
        self.noise = config.noise
        self.register_buffer("mean", torch.zeros(n_layers, 1, dim))
        self.register_buffer("std", torch.ones(n_layers, 1, dim))
        self.layer_logits = nn.Parameter(torch.zeros(n_layers))
        self.reduce = nn.Linear(dim, config.width)
        self.frame_norm = nn.LayerNorm(config.width)
        self.queries = nn.Parameter(torch.randn(config.queries, config.width) * 0.02)
        self.layers = nn.ModuleList(
            QFormerLayer(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.state_norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, llm_width)
        # The embeddings start as loud as the LLM's own tokens; set by ``match_scale``.
        self.scale = nn.Parameter(torch.ones(()))

    def fit_normalisation(self, features: Sequence[NDArray[np.float16]]) -> None:
        """Store mean and standard deviation over all frames, per layer and dimension; kept with the checkpoint."""
        count = 0
        total = square = torch.zeros(())
        for item in features:
            frames = torch.from_numpy(item.astype(np.float64))
            count += frames.shape[1]
            total = total + frames.sum(dim=1, keepdim=True)
            square = square + (frames**2).sum(dim=1, keepdim=True)
        mean = torch.as_tensor(total / count)
        self.mean.copy_(mean)
        self.std.copy_((torch.as_tensor(square / count) - mean**2).clamp_min(1e-8).sqrt())

    def match_scale(self, embeddings: Tensor) -> None:
        """Scale the output to the root mean square of the LLM's token embeddings ``[V, H]``."""
        with torch.no_grad():
            self.scale.copy_(embeddings.float().pow(2).mean().sqrt())

    def states(self, features: Tensor, mask: Tensor) -> Tensor:
        """Query states ``[B, K, W]`` of ``features [B, L, T, D]``, whose ``mask [B, T]`` is True on frames."""
        normed = (features - self.mean) / self.std
        mixed = torch.einsum("l,bltd->btd", self.layer_logits.softmax(0), normed)
        frames = self.frame_norm(self.reduce(mixed))
        queries = self.queries.expand(len(features), -1, -1)
        for layer in self.layers:
            queries = layer(queries, frames, ~mask)
        return self.state_norm(queries)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embeddings for the LLM, ``[B, K, H]``; arguments as ``states``."""
        projected = nn.functional.layer_norm(self.project(self.states(features, mask)), (self.project.out_features,))
        if self.training and self.noise > 0:
            # After the layer norm the RMS is 1, so ``noise`` is relative to it.
            projected = projected + self.noise * torch.randn_like(projected)
        return projected * self.scale
