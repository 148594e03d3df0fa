"""A trained captioner on disk: four files, all that ``load`` needs beside the shared base models.

``adapter.safetensors`` holds the speech adapter and the clue tagger, ``lora.safetensors`` the student's LoRA and the
teacher's text-side LoRA that made ``LLM_0``, ``system.json`` every setting, ``training.parquet`` the log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from aligncap import artifacts
from aligncap.captioner.adapter import SpeechAdapter
from aligncap.captioner.model import CaptionModel, load_exactly, lora_tensors
from aligncap.config import Adapter, Compute, Lora, Prompts
from aligncap.errors import ModelError

FORMAT = 1


class CheckpointPaths(NamedTuple):
    """The four files of a checkpoint."""

    adapter: Path
    lora: Path
    system: Path
    log: Path

    @classmethod
    def of(cls, folder: Path) -> CheckpointPaths:
        """The files of a checkpoint folder."""
        names = ("adapter.safetensors", "lora.safetensors", "system.json", "training.parquet")
        return cls(*(folder / name for name in names))


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def build_model(folder: Path, prompts: Prompts, lora: Lora, compute: Compute, llm0: dict[str, Tensor]) -> CaptionModel:
    """``LLM_0``: the base model of ``folder`` with the teacher's LoRA ``llm0`` merged in, where there is one."""
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
    """Write the three files that are not the log.

    Args:
        paths: where.
        model: adapter (unless it has none) and LoRA as trained.
        llm0: the teacher's LoRA; empty where ``LLM_0`` is the base model.
        tagger: the clue tagger's tensors.
        system: everything that is not a tensor, JSON-able.
    """
    adapter = {} if model.adapter is None else model.adapter.state_dict()
    for path, tensors in (
        (paths.adapter, _prefixed("adapter.", adapter) | _prefixed("tagger.", tagger)),
        (paths.lora, _prefixed("student.", lora_tensors(model.llm)) | _prefixed("llm0.", llm0)),
    ):
        with artifacts.atomic_path(path) as temporary:
            save_file(tensors, temporary)
    artifacts.write_json({"format": FORMAT, **system}, paths.system)


def read_system(paths: CheckpointPaths) -> dict[str, Any]:
    """The settings of a checkpoint.

    Raises:
        ModelError: a file is missing, or the format is another.
    """
    for path in paths[:3]:
        if not path.is_file():
            raise ModelError(f"{path}: missing; a checkpoint is adapter.safetensors, lora.safetensors and system.json")
    system: dict[str, Any] = json.loads(paths.system.read_text(encoding="utf-8"))
    if system.get("format") != FORMAT:
        raise ModelError(f"{paths.system}: checkpoint format {system.get('format')}, this version reads {FORMAT}")
    return system


def load_llm0(paths: CheckpointPaths) -> dict[str, Tensor]:
    """The teacher's LoRA of a checkpoint; empty where ``LLM_0`` is the base model."""
    return _under("llm0.", load_file(paths.lora))


def load_lora(path: Path | None) -> dict[str, Tensor]:
    """The teacher's LoRA as ``adapt_teacher`` wrote it; nothing where ``LLM_0`` is the base model."""
    return {} if path is None else load_file(path)


def load_tagger(paths: CheckpointPaths) -> dict[str, Tensor]:
    """The clue tagger's tensors of a checkpoint."""
    return _under("tagger.", load_file(paths.adapter))


def load_checkpoint(paths: CheckpointPaths, folder: Path, compute: Compute) -> CaptionModel:
    """The trained captioner, ready to caption or to train on.

    Args:
        paths: the checkpoint.
        folder: transformers folder of the base LLM that it was trained on.
        compute: device, threads and precision.

    Raises:
        ModelError: as ``read_system``; or tensors that do not fit.
    """
    system = read_system(paths)
    lora = Lora(**system["lora"])
    model = build_model(folder, Prompts(**system["prompts"]), lora, compute, load_llm0(paths))
    model.add_lora(lora, _under("student.", load_file(paths.lora)))
    settings = Adapter(**system["adapter"])
    if settings.type != "none":
        tensors = _under("adapter.", load_file(paths.adapter))
        if "mean" not in tensors:
            raise ModelError(f"{paths.adapter}: holds no speech adapter; want one of adapter.type {settings.type}")
        n_layers, _, dim = tensors["mean"].shape
        restore_adapter(model.add_adapter(settings, n_layers, dim), tensors, str(paths.adapter))
    return model.requires_grad_(False).eval()


def restore_adapter(adapter: SpeechAdapter, tensors: dict[str, Tensor], where: str) -> None:
    """Copy weights and normalisation into an adapter; every name must match."""
    load_exactly(dict(adapter.state_dict()), tensors, where)
