"""Speech features of a corpus: the hidden states of the speech encoder, pooled over frames and stored in a file."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncap import artifacts
from aligncap.artifacts import WHOLE, Shard
from aligncap.config import Compute, Features
from aligncap.errors import ArtifactError, ModelError
from aligncap.models.sources import model_folder
from aligncap.progress import track
from aligncap.speech.alone import at_one_level, load_speech
from aligncap.speech.encoder import load_encoder
from aligncap.speech.parallel import each_in_a_thread

FLOAT16_MAX = float(np.finfo(np.float16).max)


def extract_features(
    cfg: Features, compute: Compute, audio: Path, encoder_manifest: Path, out: Path, shard: Shard = WHOLE
) -> None:
    """Encode the clips of an ``audio`` artifact and write the ``features`` artifact, clip by clip.

    Args:
        cfg: Layers to keep and number of frames to pool.
        compute: Device and threads.
        audio: Artifact ``audio``; its paths are relative to the working directory.
        encoder_manifest: Manifest of the speech encoder.
        out: Artifact ``features`` to write.
        shard: Which of the clips. Features of a clip do not depend on others.

    Raises:
        AudioError: A clip has changed since ``prepare_corpus`` checked it.
        ModelError: The encoder is missing or lacks a layer, or a value is out of the range of fp16.
    """
    from aligncap.models.device import clip_threads, pick_device

    rows = shard.of(artifacts.count_rows(audio, "audio"))
    clips = artifacts.stream_rows(audio, "audio", rows)
    device = pick_device(compute)
    encoder = load_encoder(model_folder(encoder_manifest), device, max(cfg.layers))

    def encoded(clip: dict[str, Any]) -> dict[str, Any]:
        return _row(clip["utterance_id"], pool_layers(encoder.encode(at_one_level(load_speech(clip))), cfg))

    encoding = each_in_a_thread(encoded, clips, clip_threads(compute, device))
    found = track(encoding, "speech features", len(rows))
    artifacts.write_rows(found, out, "features", "speech_features", {"features": cfg.model_dump(mode="json")})


def _row(utterance_id: str, features: NDArray[np.float16]) -> dict[str, Any]:
    n_layers, n_frames, dim = features.shape
    return {
        "utterance_id": utterance_id,
        "n_layers": n_layers,
        "n_frames": n_frames,
        "dim": dim,
        "dtype": "float16",
        "data": features.tobytes(),
    }


def pool_layers(states: Tensor | NDArray[np.float32], cfg: Features) -> NDArray[np.float16]:
    """Select layers and average groups of frames; the last group may have fewer frames.

    Args:
        states: Hidden states ``[n_layers + 1, n_frames, dim]`` from ``SpeechEncoder.encode``.
        cfg: Layers to keep and number of frames in a group.

    Returns:
        Features ``[len(cfg.layers), ceil(n_frames / cfg.pool), dim]``.

    Raises:
        ModelError: The encoder lacks a layer, or a value is NaN or out of the range of fp16.
    """
    if wrong := [layer for layer in cfg.layers if not 0 <= layer < len(states)]:
        raise ModelError(
            f"features.layers: the speech encoder has hidden states 0 to {len(states) - 1}, got {wrong[0]}"
        )
    kept = torch.as_tensor(states)[list(cfg.layers)]
    pooled = torch.stack([group.mean(dim=1) for group in kept.split(cfg.pool, dim=1)], dim=1)
    if not bool((pooled.abs() <= FLOAT16_MAX).all()):
        raise ModelError(
            f"speech encoder: a feature of layers {list(cfg.layers)} is NaN or beyond fp16; keep other features.layers"
        )
    return pooled.numpy().astype(np.float16)


def stream_features(path: Path, of: Container[str] | None = None) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Yield utterance id and features ``[n_layers, n_frames, dim]``, one utterance at a time, in file order.

    Args:
        path: Artifact ``features``.
        of: Utterances that are read; None for all.

    Raises:
        ArtifactError: The file is missing or has another schema, or the data of a row do not fit its shape.
    """
    for table in artifacts.read_groups(path, "features", of=of):
        names = table.column("utterance_id").to_pylist()
        shapes = zip(*(table.column(name).to_pylist() for name in ("n_layers", "n_frames", "dim")), strict=True)
        for utterance, shape, data in zip(names, shapes, table.column("data"), strict=True):
            values = np.frombuffer(data.as_buffer(), np.float16)
            if len(values) != math.prod(shape):
                raise ArtifactError(
                    f"{path}: utterance {utterance}: {len(values)} values for shape {list(shape)}; delete it and run "
                    "again"
                )
            yield utterance, values.reshape(shape)


def load_features(path: Path, of: Container[str] | None = None) -> dict[str, NDArray[np.float16]]:
    """Load features by utterance id, as read-only arrays that stay on the disk. As ``stream_features``."""
    names: list[str] = []

    def arrays() -> Iterator[NDArray[np.float16]]:
        for name, values in stream_features(path, of):
            names.append(name)
            yield values

    kept = artifacts.OnDisk(arrays())
    return {name: kept[number] for number, name in enumerate(names)}
