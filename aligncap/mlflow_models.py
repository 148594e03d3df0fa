"""A trained checkpoint as a logged model of MLflow, which `mlflow models serve` runs.

It holds copies of adapter and LoRA and of ``system.json``, a few megabytes; the base models stay where they are and are
named in its metadata. Everything here may raise; ``aligncap.tracking`` catches.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

TRAINED_FILES = ("adapter.safetensors", "lora.safetensors", "system.json")  # what a captioner is loaded from
LOADER = "aligncap.serving.mlflow_model"
INPUTS = ("audio", "path", "language")


def checkpoint_digest(folder: Path) -> str:
    """Of all that was trained: sha256 over the files' digests, 8 hexadecimal digits; empty where a file is missing."""
    digest = hashlib.sha256()
    for path in (folder / name for name in TRAINED_FILES):
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:8]


def save_served(checkpoint: Path, folder: Path, model_id: str, run_id: str) -> None:
    """Write a checkpoint in the layout that `mlflow models serve` reads.

    Args:
        checkpoint: folder with adapter, LoRA and ``system.json``.
        folder: where to; must not be there.
        model_id: of the logged model that the files are of.
        run_id: of the run that it comes from.

    Raises:
        OSError: a file is missing, or the folder cannot be written.
    """
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    system = json.loads((checkpoint / "system.json").read_text(encoding="utf-8"))
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string, name, required=False) for name in INPUTS]),
        params=ParamSchema([ParamSpec("max_new_tokens", DataType.long, 40)]),
    )
    with tempfile.TemporaryDirectory(prefix="aligncap-") as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example")  # it would be a recording, and load the model
        data = Path(scratch) / "checkpoint"
        data.mkdir()
        for name in TRAINED_FILES:
            shutil.copyfile(checkpoint / name, data / name)
        pyfunc.save_model(
            folder,
            loader_module=LOADER,
            data_path=str(data),
            mlflow_model=Model(model_id=model_id, run_id=run_id),
            signature=signature,
            pip_requirements=[f"aligncap=={version('aligncap')}"],  # without it MLflow would load the model to find out
            metadata={
                "system": system["system"],
                "experiment": system.get("experiment", ""),
                "checkpoint": checkpoint_digest(checkpoint),
                "base_models": system["models"],
            },
        )
