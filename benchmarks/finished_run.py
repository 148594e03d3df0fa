"""What several benchmarks share: an experiment that has run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncap.captioner.checkpoint import CheckpointPaths
from aligncap.config import AlignCapConfig
from aligncap.models.sources import model_folder
from aligncap.systems import corpus_names, load, resolve_system
from aligncap.training.data import TrainingInputs

BY_CORPUS = {
    "features": "features/{}.parquet",
    "references": "corpora/{}/references.parquet",
    "gold": "clues/{}/gold.parquet",
    "predicted": "clues/{}/predicted.parquet",
}


@dataclass(frozen=True)
class Finished:
    """A system of an experiment that has run: its configuration and where its artifacts lie."""

    system: str
    config: AlignCapConfig
    results: Path
    llm: Path  # transformers folder
    inputs: TrainingInputs

    @property
    def checkpoint(self) -> CheckpointPaths:
        """The trained captioner."""
        return CheckpointPaths.of(self.results / "checkpoints" / self.system)

    @property
    def teacher_lora(self) -> Path | None:
        """The LoRA of the teacher's adaptation; None where the teacher is the base LLM."""
        path = self.results / "teacher" / "lora.safetensors"
        return path if path.is_file() else None


def finished(system: str, overlays: Sequence[str]) -> Finished:
    """Return a system of the experiment that config.yaml and the overlays describe, which has to have run."""
    config = load("config.yaml", *overlays)
    own, results = resolve_system(config, system), Path("results") / config.experiment
    files = {
        name: {corpus: results / path.format(corpus) for corpus in corpus_names(config, "train")}
        for name, path in BY_CORPUS.items()
    }
    manifest = Path("models") / config.models.llm.name / "manifest.json"
    inputs = TrainingInputs(plan=results / "plan.parquet", llm=manifest, **files)
    return Finished(system, own, results, model_folder(manifest), inputs)
