"""Checkpoints: a trained captioner is saved as four files, which are loaded together with the shared base models.

``adapter.safetensors`` holds the speech adapter and the clue tagger. ``lora.safetensors`` holds the student's LoRA and
the LoRA of the teacher's adaptation, which gives ``LLM_0``. ``system.json``, which is written last, holds all settings
and the SHA-256 of these two; ``training.parquet`` holds the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aligncap import artifacts
from aligncap.captioner.adapter import SpeechAdapter
from aligncap.captioner.model import CaptionModel, load_exactly, lora_tensors
from aligncap.config import AdapterSettings, Compute, Lora, Prompts
from aligncap.errors import ModelError, cause

FORMAT = 2
REMEDY = "delete it and run the same command again, or fetch the checkpoint again"
DIGESTS = "sha256"  # key of ``system.json``: name of a file -> its SHA-256, hexadecimal


class CheckpointPaths(NamedTuple):
    """The four files of a checkpoint."""

    adapter: Path
    lora: Path
    system: Path
    log: Path

    @classmethod
    def of(cls, folder: Path) -> CheckpointPaths:
        """Return the paths of the four files in a checkpoint folder."""
        names = ("adapter.safetensors", "lora.safetensors", "system.json", "training.parquet")
        return cls(*(folder / name for name in names))


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def build_model(folder: Path, prompts: Prompts, lora: Lora, compute: Compute, llm0: dict[str, Tensor]) -> CaptionModel:
    """Build ``LLM_0``: the base model in ``folder``, with the teacher's LoRA ``llm0`` merged in unless it is empty."""
    model = CaptionModel(folder, prompts, compute)
    if llm0:
        model.merge_lora(lora, llm0)
    return model


def save_checkpoint(
    paths: CheckpointPaths,
    model: CaptionModel,
    llm0: dict[str, Tensor],
    tagger: dict[str, Tensor],
    system: dict[str, Any],
) -> None:
    """Write the files of a checkpoint, except the log.

    Args:
        paths: Files to write.
        model: Model with the trained LoRA and, unless it has none, the trained adapter.
        llm0: Teacher's LoRA; empty where ``LLM_0`` is the base model.
        tagger: Tensors of the clue tagger.
        system: Settings, as values that JSON can hold.
    """
    adapter = {} if model.adapter is None else model.adapter.state_dict()
    for path, tensors in (
        (paths.adapter, _prefixed("adapter.", adapter) | _prefixed("tagger.", tagger)),
        (paths.lora, _prefixed("student.", lora_tensors(model.llm)) | _prefixed("llm0.", llm0)),
    ):
        with artifacts.atomic_path(path) as temporary:
            save_file(tensors, temporary)
    write_system(paths, {"format": FORMAT, **system})


def write_system(paths: CheckpointPaths, system: dict[str, Any]) -> None:
    """Write ``system.json`` of a checkpoint whose weights are there, with their digests."""
    digests = {path.name: artifacts.file_digest(path) for path in (paths.adapter, paths.lora)}
    artifacts.write_json({**system, DIGESTS: digests}, paths.system)


def read_system(paths: CheckpointPaths) -> dict[str, Any]:
    """Read the settings of a checkpoint, and check its weights against the digests among them.

    A checkpoint that was written before there were digests is not checked.

    Raises:
        ModelError: A file is missing or damaged, or the checkpoint has another format.
    """
    for path in paths[:3]:
        if not path.is_file():
            raise ModelError(f"{path}: missing; a checkpoint is adapter.safetensors, lora.safetensors and system.json")
    try:
        system: dict[str, Any] = dict(json.loads(paths.system.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{paths.system}: damaged ({error}); {REMEDY}") from None
    if system.get("format") != FORMAT:
        raise ModelError(
            f"{paths.system}: checkpoint format {system.get('format')}, this version reads {FORMAT}; train it again"
        )
    with settings_of(paths.system):
        digests = dict(system.get(DIGESTS, {}))
    for path in (paths.adapter, paths.lora):
        wanted = digests.get(path.name)
        if wanted is not None and (found := artifacts.file_digest(path)) != wanted:
            raise ModelError(f"{path}: damaged, its SHA-256 is {found}, {paths.system} says {wanted}; {REMEDY}")
    return system


@contextmanager
def settings_of(path: Path) -> Iterator[None]:
    """Turn what is wrong with a key or a value of a ``system.json`` into a ``ModelError`` that names the file."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:  # pydantic's own is a ValueError
        raise ModelError(f"{path}: damaged ({cause(error)}); {REMEDY}") from None


def load_weights(path: Path) -> dict[str, Tensor]:
    """Load a safetensors file.

    Raises:
        ModelError: It is missing, truncated or no safetensors file. The format has no checksum, so changed values are
            noticed in a checkpoint alone, by ``read_system``.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: no safetensors file, or damaged ({error}); {REMEDY}") from None


def load_llm0(paths: CheckpointPaths) -> dict[str, Tensor]:
    """Load the teacher's LoRA from a checkpoint; it is empty where ``LLM_0`` is the base model."""
    return _under("llm0.", load_weights(paths.lora))


def load_lora(path: Path | None) -> dict[str, Tensor]:
    """Load the teacher's LoRA that ``adapt_teacher`` wrote; without a path it is empty and ``LLM_0`` the base model."""
    return {} if path is None else load_weights(path)


def load_tagger(paths: CheckpointPaths) -> dict[str, Tensor]:
    """Load the tensors of the clue tagger from a checkpoint."""
    return _under("tagger.", load_weights(paths.adapter))


def load_checkpoint(paths: CheckpointPaths, folder: Path, compute: Compute) -> CaptionModel:
    """Load a trained captioner, to caption with it or to train it further.

    Args:
        paths: Files of the checkpoint.
        folder: transformers folder of the base LLM on which it was trained.
        compute: Device, threads and precision.

    Raises:
        ModelError: As for ``read_system``, or the tensors do not fit the model.
    """
    system = read_system(paths)
    with settings_of(paths.system):
        lora, prompts = Lora(**system["lora"]), Prompts(**system["prompts"])
        settings = AdapterSettings(**system["adapter"])
    model = build_model(folder, prompts, lora, compute, load_llm0(paths))
    model.add_lora(lora, _under("student.", load_weights(paths.lora)))
    if settings.type != "none":
        tensors = _under("adapter.", load_weights(paths.adapter))
        if "mean" not in tensors:
            raise ModelError(f"{paths.adapter}: holds no speech adapter; want one of adapter.type {settings.type}")
        n_layers, _, dim = tensors["mean"].shape
        restore_adapter(model.add_adapter(settings, n_layers, dim), tensors, str(paths.adapter))
    return model.requires_grad_(False).eval()


def restore_adapter(adapter: SpeechAdapter, tensors: dict[str, Tensor], where: str) -> None:
    """Copy weights and normalisation into an adapter; names and shapes must match."""
    load_exactly(dict(adapter.state_dict()), tensors, where)
