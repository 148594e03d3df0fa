"""The speech adapter ``A``: it maps frames of the frozen speech encoder to K embeddings in the LLM's input space.

The encoder layers are combined with learned weights. Then follows a Q-Former (queries that attend to themselves and to
the frames), strided convolutions, or continuous integrate-and-fire (one embedding for each text token, as in BLSP-KD,
arXiv 2405.19041). The details are ours: the paper names an alignment of speech with the LLM, not this architecture.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncap.config import AdapterSettings
from aligncap.errors import ModelError

# Prefixes of the adapter's parameters, as a stage names them, that only get a gradient through the LLM.
INTO_THE_LLM = ("adapter.project", "adapter.scale")


def pad_features(features: Sequence[NDArray[np.float16]]) -> tuple[Tensor, Tensor]:
    """Pad feature arrays ``[n_layers, n_frames, dim]`` to a batch.

    Returns:
        Features ``[B, n_layers, T, dim]`` in fp32, and a mask ``[B, T]`` that is True on real frames.
    """
    longest = max(item.shape[1] for item in features)
    n_layers, _, dim = features[0].shape
    batch = torch.zeros(len(features), n_layers, longest, dim)
    mask = torch.zeros(len(features), longest, dtype=torch.bool)
    for row, item in enumerate(features):
        batch[row, :, : item.shape[1]] = torch.from_numpy(item.astype(np.float32))
        mask[row, : item.shape[1]] = True
    return batch, mask


class States(NamedTuple):
    """The states of a batch of clips, at the adapter's width W."""

    states: Tensor  # [B, K, W]
    mask: Tensor  # [B, K], True where real: a prefix of every row
    quantity: Tensor | None  # [B], cif only: sum of the firing weights, the number of states before rounding


class Speech(NamedTuple):
    """The speech embeddings of a batch of clips, at the LLM's width H, and the states from which they are projected."""

    embeddings: Tensor  # [B, K, H]
    states: Tensor  # [B, K, W]
    mask: Tensor  # [B, K], True where real: a prefix of every row
    quantity: Tensor | None  # [B]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average ``values [B, K, W]`` where ``mask [B, K]`` is True, ``[B, W]``; rows without any True give 0."""
    weights = mask.to(values.dtype).unsqueeze(-1)
    return (values * weights).sum(1) / weights.sum(1).clamp_min(1)


class SpeechAdapter(nn.Module):
    """Base class of the adapters, with normalisation, layer weights and the projection to the LLM's width.

    Args:
        config: Section ``adapter``.
        n_layers: Number of encoder layers in the features.
        dim: Width of the encoder.
        llm_width: Width of the LLM's embeddings.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: AdapterSettings, n_layers: int, dim: int, llm_width: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(n_layers, 1, dim))
        self.register_buffer("std", torch.ones(n_layers, 1, dim))
        self.layer_logits = nn.Parameter(torch.zeros(n_layers))
        self.reduce = nn.Linear(dim, config.width)
        self.frame_norm = nn.LayerNorm(config.width)
        self.state_norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, llm_width)
        # ``match_scale`` sets it, so that the initial embeddings have the scale of the LLM's token embeddings.
        self.scale = nn.Parameter(torch.ones(()))

    def fit_normalisation(self, features: Sequence[NDArray[np.float16]]) -> None:
        """Store mean and standard deviation over all frames, for each layer and dimension, as part of the weights."""
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

    @abstractmethod
    def encode(self, frames: Tensor, mask: Tensor, counts: Tensor) -> States:
        """Compute the states of ``frames [B, T, W]`` before the final normalisation; other arguments as ``states``."""

    def states(self, features: Tensor, mask: Tensor, counts: Tensor) -> States:
        """Compute the states of a batch of clips.

        Args:
            features: Padded encoder features, ``[B, L, T, D]``.
            mask: True on real frames, ``[B, T]``; padded frames do not change the result.
            counts: Numbers of tokens of the transcripts, ``[B]``, 0 without transcript. In training ``cif`` makes as
                many embeddings; in evaluation no adapter uses them.
        """
        normed = (features - self.mean) / self.std
        mixed = torch.einsum("l,bltd->btd", self.layer_logits.softmax(0), normed)
        encoded = self.encode(self.frame_norm(self.reduce(mixed)), mask, counts)
        return encoded._replace(states=self.state_norm(encoded.states))

    def forward(self, features: Tensor, mask: Tensor, counts: Tensor) -> Speech:
        """Compute the embeddings for the LLM; arguments as ``states``."""
        states, real, quantity = self.states(features, mask, counts)
        projected = nn.functional.layer_norm(self.project(states), (self.project.out_features,))
        if self.training and self.config.noise > 0:
            # After the layer norm the RMS is 1, so ``noise`` is relative to it.
            projected = projected + self.config.noise * torch.randn_like(projected)
        return Speech(projected * self.scale, states, real, quantity)


class QFormerLayer(nn.Module):
    """A Q-Former layer: self-attention, cross-attention to frames, feed-forward; each pre-normalised and residual."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_norm, self.cross_norm, self.ffn_norm = (nn.LayerNorm(width) for _ in range(3))
        self.self_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, frames: Tensor, padding: Tensor) -> Tensor:
        """Update ``queries [B, K, W]`` from ``frames [B, T, W]``; ``padding [B, T]`` is True on padded frames."""
        normed = self.self_norm(queries)
        queries = queries + self.dropout(self.self_attention(normed, normed, normed, need_weights=False)[0])
        crossed = self.cross_attention(
            self.cross_norm(queries), frames, frames, key_padding_mask=padding, need_weights=False
        )[0]
        queries = queries + self.dropout(crossed)
        return queries + self.dropout(self.ffn(self.ffn_norm(queries)))


class QFormerAdapter(SpeechAdapter):
    """The Q-Former adapter: ``queries`` learned vectors attend to themselves and to the frames."""

    def __init__(self, config: AdapterSettings, n_layers: int, dim: int, llm_width: int) -> None:
        super().__init__(config, n_layers, dim, llm_width)
        self.queries = nn.Parameter(torch.randn(config.queries, config.width) * 0.02)
        self.layers = nn.ModuleList(
            QFormerLayer(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )

    def encode(self, frames: Tensor, mask: Tensor, counts: Tensor) -> States:
        """Return ``queries`` states for each clip."""
        queries = self.queries.expand(len(frames), -1, -1)
        for layer in self.layers:
            queries = layer(queries, frames, ~mask)
        return States(queries, mask.new_ones(queries.shape[:2]), None)


def pool_evenly(values: Tensor, mask: Tensor, size: int) -> Tensor:
    """Average each clip over ``size`` spans of equal length, ``[B, size, W]``: adaptive pooling of padded rows.

    Args:
        values: Frames, ``[B, T, W]``.
        mask: True on real frames, ``[B, T]``: a prefix of each row with at least one frame.
        size: Number of spans; they overlap where a clip has fewer frames.
    """
    lengths = mask.sum(1)[:, None, None]
    span = torch.arange(size, device=values.device)[None, :, None]
    time = torch.arange(values.shape[1], device=values.device)
    inside = (time >= span * lengths // size) & (time < -(-(span + 1) * lengths // size))
    weights = inside.to(values.dtype)
    return weights @ values / weights.sum(-1, keepdim=True)


class ConvAdapter(SpeechAdapter):
    """The conv adapter: convolutions of width 3 and stride 2 over the frames, pooled to ``queries`` states."""

    def __init__(self, config: AdapterSettings, n_layers: int, dim: int, llm_width: int) -> None:
        super().__init__(config, n_layers, dim, llm_width)
        width = config.width
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, 3, 2, 1) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)

    def encode(self, frames: Tensor, mask: Tensor, counts: Tensor) -> States:
        """Return ``queries`` states for each clip."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            # Padded frames are set to zero, so that the result is that of the convolution's padding of a single clip.
            frames = convolution((frames * mask.unsqueeze(-1)).transpose(1, 2)).transpose(1, 2)
            frames, mask = self.dropout(nn.functional.gelu(norm(frames))), mask[:, ::2]
        pooled = pool_evenly(frames, mask, self.config.queries)
        return States(pooled, mask.new_ones(pooled.shape[:2]), None)


def integrate_and_fire(frames: Tensor, weights: Tensor, fired: Tensor) -> Tensor:
    """Compute continuous integrate-and-fire for all states at once, ``[B, max(fired), W]``.

    The weights are scaled to sum to ``fired``. With their running sum ``c_t``, state k is
    ``sum_t |[c_{t-1}, c_t] ∩ [k, k+1]| frame_t``, so that each state has a total weight of one.

    Args:
        frames: Frames, ``[B, T, W]``.
        weights: Weights of the frames, ``[B, T]``: positive on real frames and 0 on padded ones.
        fired: Number of states of each clip, ``[B]``, at least 1.
    """
    scaled = weights * (fired / weights.sum(1)).unsqueeze(1)
    ends = scaled.cumsum(1).unsqueeze(1)
    begins = ends - scaled.unsqueeze(1)
    slot = torch.arange(int(fired.max()), device=frames.device, dtype=frames.dtype)[None, :, None]
    share = (torch.minimum(ends, slot + 1) - torch.maximum(begins, slot)).clamp_min(0)
    return share @ frames


class CifAdapter(SpeechAdapter):
    """The cif adapter (continuous integrate-and-fire): frames have weights, and a state is made for each sum of one.

    As published (Dong and Xu, arXiv 1905.11235; used for speech LLMs by BLSP-KD, arXiv 2405.19041), the weights are
    scaled to the transcript's number of tokens in training, and a quantity loss teaches them to sum to it. In our
    variant, they are scaled to their rounded sum at inference, and in training for a clip without transcript, so that
    every state has a weight of one there too. The self-attention layers behind are ours as well.
    """

    def __init__(self, config: AdapterSettings, n_layers: int, dim: int, llm_width: int) -> None:
        super().__init__(config, n_layers, dim, llm_width)
        width = config.width
        self.context = nn.Conv1d(width, width, 3, padding=1)
        self.weigh = nn.Linear(width, 1)
        nn.init.constant_(self.weigh.bias, -1.0)  # weights of a quarter: about three states a second, like tokens
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, config.heads, 4 * width, config.dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )

    def encode(self, frames: Tensor, mask: Tensor, counts: Tensor) -> States:
        """Return as many states as the transcript has tokens; in evaluation, as many as the rounded sum of weights."""
        context = self.context((frames * mask.unsqueeze(-1)).transpose(1, 2)).transpose(1, 2)
        weights = self.weigh(nn.functional.gelu(context)).squeeze(-1).sigmoid() * mask
        quantity = weights.sum(1)
        fired = quantity.detach().round().clamp_min(1)
        if self.training:
            fired = torch.where(counts > 0, counts.to(fired.dtype), fired)
        states = integrate_and_fire(frames, weights, fired)
        real = torch.arange(states.shape[1], device=frames.device) < fired.unsqueeze(1)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=~real)
        return States(states, real, quantity)


KINDS: dict[str, type[SpeechAdapter]] = {"qformer": QFormerAdapter, "conv": ConvAdapter, "cif": CifAdapter}


def build_adapter(config: AdapterSettings, n_layers: int, dim: int, llm_width: int) -> SpeechAdapter:
    """Build a new adapter of ``config.type``; the arguments are those of ``SpeechAdapter``.

    Raises:
        ModelError: The type is ``none``, which has no adapter.
    """
    if config.type not in KINDS:
        raise ModelError(f"adapter.type: {config.type} makes no speech embeddings, so there is no adapter to build")
    return KINDS[config.type](config, n_layers, dim, llm_width)
