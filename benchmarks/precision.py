"""`compute.precision: bf16` against fp32 on this machine: a training step, and captions of a batch, in turn.

Both run the embedded LLM with a LoRA. The figures are ratios of medians; absolute times are of this machine. On a CPU
without AMX or AVX512-BF16 expect no gain: there `auto` stays with fp32.

    python benchmarks/precision.py
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from clips import speed_lines, take_turns

from aligncap.captioner.generate import generate
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts
from aligncap.evaluation.wording import markdown_table
from aligncap.models.sources import model_folder

CONTEXT = "Emotion: angry. Intensity: strong. Level: high. Pitch: high. Rate: fast."
WORDS = "I have told you again and again that the letters belong on the other table by the door."
CAPTION = "The speaker sounds furious, with a loud and high-pitched voice that rushes through the words without pause."
TRAINED, CAPTIONED, TOKENS = 8, 64, 24


def actions(folder: Path, precision: str, threads: int) -> dict[str, Callable[[], object]]:
    """A training step of 8 captions, and 24 tokens of 64 captions."""
    model = CaptionModel(folder, Prompts(), Compute(device="cpu", threads=threads, precision=precision))
    model.add_lora(Lora())
    parameters = list(lora_tensors(model.llm).values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    prompt = model.text_prompt(CONTEXT, model.encode(WORDS))

    def step() -> None:
        packed = model.pack([prompt] * TRAINED, [[model.response_ids(CAPTION)]] * TRAINED)
        torch.nn.functional.cross_entropy(model.response_logits(packed), packed.labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return {"training step": step, "captions": lambda: generate(model, [prompt] * CAPTIONED, TOKENS)}


def main() -> None:
    """Time both in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder = model_folder(Path("models/smollm2-135m-instruct/manifest.json"))
    made = {precision: actions(folder, precision, arguments.threads) for precision in ("fp32", "bf16")}
    for name in made["fp32"]:
        spent, _ = take_turns({precision: own[name] for precision, own in made.items()}, arguments.rounds)
        print("\n".join(markdown_table("lrr", [name, "s", "times as fast"], speed_lines(spent))))


if __name__ == "__main__":
    main()
