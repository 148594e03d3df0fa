"""A captioner small enough for tests that listens to how loud a recording is, and a server around it to kill."""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel
from aligncap.clues.prompts import acoustic_prompt
from aligncap.config import Compute, Doubt, ModelSource, Prompts
from aligncap.errors import AudioError
from aligncap.models.sources import fetch_model, model_folder
from aligncap.serving.captioner import PreparedClip
from aligncap.vocabulary import Clue

SAYS = {"high": "A loud, angry voice.", "low": "A soft voice, calm & slow."}
OTHER = {"high": "Somebody shouts.", "low": "Somebody murmurs."}


class TinyCaptioner:
    """A random Llama of two layers that learned one caption a level; the transcript is the recording's length."""

    hearing = "tiny"
    doubt = Doubt()
    threads = 2

    def __init__(self, folder: Path, says: dict[str, str] = SAYS, seconds: float = 0.0, steps: int = 150) -> None:
        self.seconds = seconds
        torch.manual_seed(0)
        self.model = CaptionModel(folder, Prompts(instruction="Say:"), Compute(precision="fp32", device="cpu"))
        self.model.llm.requires_grad_(True)
        optimizer = torch.optim.Adam(self.model.llm.parameters(), lr=1e-2)
        prompts = [self.model.text_prompt(acoustic_prompt(self.clues(level)), (104, 105)) for level in says]
        wanted = [[self.model.response_ids(text)] for text in says.values()]
        for _ in range(steps):
            loss = -self.model.response_logps(self.model.pack(prompts, wanted)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.model.requires_grad_(False)

    @staticmethod
    def clues(level: str) -> list[Clue]:
        return [
            Clue("emotion", "angry" if level == "high" else "calm", "angry" if level == "high" else "calm",
                 probability=0.62),
            Clue("level", level, level, probability=0.91),
        ]  # fmt: skip

    def prepare_clip(self, samples: np.ndarray, language: str | None = None) -> PreparedClip:
        if language == "la":
            raise RuntimeError("broken on purpose")
        if language == "mi":
            raise AudioError("no speech was found in 1.0 s of sound; give a clip of a voice")
        time.sleep(self.seconds)
        clues = self.clues("high" if float(np.abs(samples).max()) > 0.3 else "low")
        example = Example("", "", (), "", acoustic_prompt(clues), (104, 105), np.zeros((1, 1, 1), np.float16))
        return PreparedClip(example, clues, f"{len(samples)} samples")


def tiny_llm(folder: Path) -> Path:
    """Folder of a random Llama."""
    manifest = folder / "tiny-llama" / "manifest.json"
    fetch_model(ModelSource(name="tiny-llama", files=("random:llama",)), manifest)
    return model_folder(manifest)


if __name__ == "__main__":
    from aligncap.serving.web.captions import Limits, caption_app
    from aligncap.serving.web.server import run

    slow = TinyCaptioner(tiny_llm(Path(sys.argv[1])), seconds=float(sys.argv[2]), steps=0)  # what it says is not asked
    limits = Limits(batch=2, max_new_tokens=8, upload_seconds=float(sys.argv[3]))
    run(caption_app({"tiny": slow}, limits), "127.0.0.1", 0)
