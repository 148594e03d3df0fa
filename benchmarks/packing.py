"""Four prompts a row behind their common head against one prompt a row: a training step on a corpus's own prompts.

Both take the same batches of eight utterances in turn, with a LoRA on the embedded LLM. The figure is the ratio of
medians; absolute times are of this machine.

    python benchmarks/packing.py results/default synthetic_en
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from aligncap import artifacts
from aligncap.captioner import packing
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts
from aligncap.models.sources import model_folder

BATCH = 8


def main() -> None:
    """Time both in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    clues = artifacts.read_rows(arguments.results / f"clues/{arguments.corpus}/predicted.parquet", "clues")
    written = artifacts.read_rows(arguments.results / f"corpora/{arguments.corpus}/references.parquet", "labels")
    captions = {row["utterance_id"]: row["captions"][0] for row in written}
    folder = model_folder(Path("models/smollm2-135m-instruct/manifest.json"))
    model = CaptionModel(folder, Prompts(), Compute(precision="fp32", device="cpu", threads=arguments.threads))
    model.add_lora(Lora())
    parameters = list(lora_tensors(model.llm).values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    spent: dict[int, list[float]] = {1: [], 4: []}
    for number in range(arguments.rounds + 1):
        batch = clues[number * BATCH : (number + 1) * BATCH]
        prompts = [model.text_prompt(row["p_act"], row["p_sem_ids"]) for row in batch]
        answers = [[model.response_ids(captions[row["utterance_id"]])] for row in batch]
        for together, seconds in spent.items():
            packing.TOGETHER = together
            start = time.perf_counter()
            packed = model.pack(prompts, answers)
            torch.nn.functional.cross_entropy(model.response_logits(packed), packed.labels).backward()
            optimizer.step()
            optimizer.zero_grad()
            if number:  # the first warms up
                seconds.append(time.perf_counter() - start)
    ratios = [one / four for one, four in zip(spent[1], spent[4], strict=True)]
    one, four = (statistics.median(seconds) for seconds in spent.values())
    print(f"one a row {one:.2f} s, four {four:.2f} s, ratio {one / four:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
