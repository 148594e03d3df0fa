"""A cache of keys and values with room for the tokens that follow (ours).

The cache of transformers copies all that it holds for each new token, which takes longer than the attention to it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 48  # tokens; most captions need no second copy


class RoomyLayer(DynamicLayer):
    """The cache of a layer; ``keys`` and ``values`` ``[B, G, T, D]`` are the beginnings of larger tensors."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._rooms: list[Tensor] = []  # of the keys and of the values, [B, G, T + room, D]

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append keys and values ``[B, G, Q, D]`` and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        given, held = (key_states, value_states), (self.keys, self.values)
        begin = self.get_seq_length()
        end = begin + key_states.shape[2]
        if not self._rooms or self._rooms[0].shape[2] < end:
            self._rooms = [new.new_empty((*new.shape[:2], end + ROOM, new.shape[3])) for new in given]
            if begin:
                for room, old in zip(self._rooms, held, strict=True):
                    assert old is not None
                    room[:, :, :begin] = old
        for room, new in zip(self._rooms, given, strict=True):
            room[:, :, begin:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._rooms)
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Replace each row by ``repeats`` adjacent copies of it."""
        super().batch_repeat_interleave(repeats)
        self._rooms = []

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only the rows with the given indices ``[R]``."""
        super().batch_select_indices(indices)
        self._rooms = []


def roomy_cache() -> Cache:
    """Return an empty cache for all layers of an LLM."""
    return Cache(layer_class_to_replicate=RoomyLayer)
