"""Memory and time of training at growing numbers of utterances, on random features and a random tiny LLM.

Each number is a process of its own: it reads features and cached distributions of so many utterances and takes a few
steps of alignment. "own memory" is what the process holds and the system cannot drop (anonymous pages) at its peak;
pages of mapped files are not in it. The features are small, 40 kB a clip, so that the largest number fits on a disk;
what a reader of the table should look at is how the figures grow.

    python benchmarks/growth.py --numbers 1000 10000 100000
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aligncap import artifacts
from aligncap.config import Alignment, Compute, Lora, ModelSource, Prompts
from aligncap.evaluation.wording import markdown_table

LAYERS, FRAMES, WIDTH = 2, 40, 256
TOKENS, KEPT, STEPS = 24, 64, 10
COMPUTE = Compute(device="cpu", precision="fp32", threads=1)


def write(folder: Path, count: int) -> None:
    """Write artifacts of random features and distributions."""
    generator = np.random.default_rng(0)
    names = [f"clip{number:07d}" for number in range(count)]

    def features() -> Iterator[dict[str, Any]]:
        for name in names:
            yield {
                "utterance_id": name,
                **{"n_layers": LAYERS, "n_frames": FRAMES, "dim": WIDTH, "dtype": "float16"},
                "data": generator.standard_normal((LAYERS, FRAMES, WIDTH)).astype(np.float16).tobytes(),
            }

    def logits() -> Iterator[dict[str, Any]]:
        for name in names:
            ids = generator.integers(0, 256, TOKENS).tolist()
            top = np.sort(generator.integers(0, 256, (TOKENS, KEPT))).tolist()
            logprobs = np.full((TOKENS, KEPT), -5.0).tolist()
            yield {
                "utterance_id": name,
                "response_id": f"{name}#0",
                **{"response_ids": ids, "topk_ids": top, "topk_logprobs": logprobs},
                **{"tail_logprob": [-1.0] * TOKENS, "temperature": 1.0},
            }

    artifacts.write_rows(features(), folder / "features.parquet", "features", "growth")
    artifacts.write_rows(logits(), folder / "logits.parquet", "teacher_logits", "growth")


class Peak:
    """The highest anonymous memory of this process, MB."""

    def __init__(self) -> None:
        self.megabytes, self._ended = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            held = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
            assert held is not None
            self.megabytes = max(self.megabytes, int(held[1]) / 1e3)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def trained(folder: Path) -> dict[str, float]:
    """Read the artifacts and take a few steps; return seconds and peak memory of both."""
    import torch

    from aligncap.alignment.distillation import CachedResponses, CachedTeacher
    from aligncap.alignment.tasks import AlignmentTask
    from aligncap.alignment.training_items import TrainingItem
    from aligncap.captioner.example import Example
    from aligncap.captioner.model import CaptionModel, lora_tensors
    from aligncap.config import AdapterSettings
    from aligncap.models.sources import fetch_model, model_folder
    from aligncap.speech.features import load_features

    manifest = folder / "llm" / "manifest.json"
    fetch_model(ModelSource(name="llm", files=("random:llama",)), manifest)
    model = CaptionModel(model_folder(manifest), Prompts(), COMPUTE)
    model.add_lora(Lora(rank=2, alpha=4))
    adapter = model.add_adapter(AdapterSettings(queries=2, width=16, layers=1, heads=2), LAYERS, WIDTH)
    begun = time.monotonic()
    with Peak() as peak:
        features = load_features(folder / "features.parquet")
        cached = CachedResponses({"growth": folder / "logits.parquet"})
        items = [
            TrainingItem(
                Example(name, "growth", ("",), "", "Emotion: sad.", (1, 2), array),
                f"{name}#0",
                tuple(cached[f"growth/{name}#0"].ids.tolist()),
            )
            for name, array in features.items()
        ]
        adapter.fit_normalisation([item.example.features for item in items])
        task = AlignmentTask(model, items, [], Alignment(), CachedTeacher(cached, items, 1.0), None, 0)
        read = time.monotonic() - begun
        optimizer = torch.optim.AdamW([*lora_tensors(model.llm).values(), *adapter.parameters()], lr=1e-5)
        generator = np.random.default_rng(0)
        for _ in range(STEPS):
            loss, _ = task("train", generator.integers(0, len(items), 8).tolist())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return {"read_s": read, "step_s": (time.monotonic() - begun - read) / STEPS, "megabytes": peak.megabytes}


def main() -> None:
    """Measure each number in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="measure what lies there (used by this script itself)")
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(trained(options.folder)))
        return
    lines = []
    for number in options.numbers:
        with tempfile.TemporaryDirectory() as scratch:
            write(Path(scratch), number)
            stored = sum(path.stat().st_size for path in Path(scratch).glob("*.parquet")) / 1e6
            line = [sys.executable, __file__, "--folder", scratch]
            found = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
        numbers = [f"{stored:.0f}", f"{found['megabytes']:.0f}", f"{found['read_s']:.1f}", f"{found['step_s']:.3f}"]
        lines.append([f"{number:,}", *numbers])
    head = ["utterances", "artifacts, MB", "own memory, MB", "reading, s", "a step, s"]
    print("\n".join(markdown_table("rrrrr", head, lines)))


if __name__ == "__main__":
    main()
