"""A checkpoint of random tiny models, and sounds to caption."""

from pathlib import Path

import numpy as np
import torch

from aligncap.captioner.checkpoint import CheckpointPaths, save_checkpoint
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.clues.tagger.familiarity import Familiarity
from aligncap.clues.tagger.heads import Head
from aligncap.clues.tagger.model import Tagger
from aligncap.config import (
    AdapterSettings,
    Compute,
    Features,
    Lora,
    ModelSource,
    Prompts,
    SpeechSettings,
    TaggerSettings,
    Transcripts,
)
from aligncap.models.sources import fetch_model, model_folder

WIDTH, LAYERS = 32, (1, 2, 3)  # of the random Whisper
COMPUTE = Compute(precision="fp32", device="cpu", threads=1)


def write_checkpoint(project: Path) -> Path:
    """``project/models`` and a checkpoint of the system ``kd`` of the experiment ``tiny``."""
    sources = {"llm": "llama", "speech_encoder": "whisper", "asr": "whisper"}
    models = {role: ModelSource(name=f"tiny-{name}", files=(f"random:{name}",)) for role, name in sources.items()}
    for source in {source.name: source for source in models.values()}.values():
        fetch_model(source, project / "models" / source.name / "manifest.json")
    torch.manual_seed(0)
    adapter, lora = AdapterSettings(width=16, heads=2, queries=2, layers=1), Lora(rank=2, alpha=4)
    model = CaptionModel(model_folder(project / "models/tiny-llama/manifest.json"), Prompts(), COMPUTE)
    model.add_lora(lora)
    with torch.no_grad():
        for tensor in lora_tensors(model.llm).values():
            tensor.copy_(torch.randn_like(tensor) * 0.5)  # strong, so that captions differ between clips
    model.add_adapter(adapter, len(LAYERS), WIDTH)
    size = len(LAYERS) * WIDTH
    weight = np.random.default_rng(0).normal(size=(2, size)).astype(np.float32)
    head = Head(("angry", "sad"), weight, np.zeros(2, np.float32))
    known = Familiarity(np.zeros(size, np.float32), np.zeros((1, size), np.float32), np.array([0, 99], np.float32))
    tagger = Tagger(np.zeros(size, np.float32), np.ones(size, np.float32), {"emotion": head}, known, "train", "mean")
    system = {
        "system": "kd",
        "experiment": "tiny",
        "corpora": ["ravdess"],
        "models": {role: source.model_dump(mode="json") for role, source in models.items()},
        "speech": SpeechSettings(detector="off").model_dump(),
        "features": Features(layers=LAYERS).model_dump(mode="json"),
        "transcripts": Transcripts().model_dump(),
        "prompts": Prompts().model_dump(),
        "tagger": TaggerSettings(measured=[], threshold=0.0).model_dump(),
        "adapter": adapter.model_dump(),
        "lora": lora.model_dump(mode="json"),
        "alignment": {"steps": 7, "batch_size": 4, "kd_weight": 1.0},
    }
    folder = project / "results/tiny/checkpoints/kd"
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in tagger.to_tensors().items()}
    save_checkpoint(CheckpointPaths.of(folder), model, {}, tensors, system)
    return folder


def noise(seconds: float, seed: int) -> np.ndarray:
    """Float samples at 16 kHz that differ by seed."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(16000 * seconds)) / 16000
    tone = np.sin(2 * np.pi * (100 + 90 * seed) * time)
    return (0.3 * tone + 0.1 * generator.standard_normal(len(time))).astype(np.float32).clip(-1, 1)
