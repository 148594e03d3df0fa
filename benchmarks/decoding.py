"""Captions of one batch of clips: `generate` of transformers on the same prompts against ours.

Ours encodes what the prompts share once, lets rows whose caption has ended leave the batch, and adds the LoRA to the
weights; the figures with neither of the last two stand between. All caption the same clips in turn; the figures are
ratios of medians, absolute times are of this machine.

    python benchmarks/decoding.py results/default kd synthetic_de
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from clips import take_turns
from torch.nn.utils.rnn import pad_sequence

from aligncap.captioner import generate as ours
from aligncap.captioner.caption import speech_examples
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt, embed_prompt
from aligncap.config import Compute
from aligncap.models.sources import model_folder

NEW_TOKENS = 40
SHRINK = ours.SHRINK


def by_transformers(model: CaptionModel, prompts: list[Prompt]) -> list[str]:
    """The batch padded on the left, as its users would."""
    embed = model.llm.get_input_embeddings()
    rows = [embed_prompt(prompt, embed, model.device) for prompt in prompts]
    there = [torch.ones(len(row), dtype=torch.long) for row in rows]
    inputs, mask = (pad_sequence(part, batch_first=True, padding_side="left") for part in (rows, there))
    ends = {"eos_token_id": model.end_id, "pad_token_id": model.end_id}
    with torch.no_grad():
        said = model.llm.generate(
            inputs_embeds=inputs, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, **ends
        )
    return [model.decode(ids.tolist()) for ids in said]


def by_us(model: CaptionModel, prompts: list[Prompt], shrink: float) -> list[str]:
    """The batch with or without rows that leave."""
    ours.SHRINK = shrink
    return [model.decode(response.token_ids) for (response,) in ours.generate(model, prompts, NEW_TOKENS)]


def main() -> None:
    """Time all in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("system")
    parser.add_argument("corpus")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder, compute = arguments.results, Compute(device="cpu", precision="fp32", threads=arguments.threads)
    checkpoint = CheckpointPaths.of(folder / "checkpoints" / arguments.system)
    llm = model_folder(Path("models/smollm2-135m-instruct/manifest.json"))
    plain, folded = (load_checkpoint(checkpoint, llm, compute) for _ in range(2))
    folded.fold_lora()
    corpus = arguments.corpus
    examples = speech_examples(folder / f"features/{corpus}.parquet", folder / f"clues/{corpus}/predicted.parquet")
    with torch.no_grad():
        prompts = plain.speech_prompts(examples[: arguments.clips])
    ways: dict[str, Callable[[], list[str]]] = {
        "transformers": lambda: by_transformers(plain, prompts),
        "shared head": lambda: by_us(plain, prompts, 0.0),
        "and rows leave": lambda: by_us(plain, prompts, SHRINK),
        "and LoRA folded": lambda: by_us(folded, prompts, SHRINK),
    }
    spent, said = take_turns(ways, arguments.rounds)
    base = spent["transformers"]
    for name, seconds in spent.items():
        ratios = [one / other for one, other in zip(base, seconds, strict=True)]
        same = sum(one == other for one, other in zip(said["transformers"], said[name], strict=True))
        took, ratio = statistics.median(seconds), statistics.median(base) / statistics.median(seconds)
        print(
            f"{name:<16} {took:6.2f} s, {ratio:.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}), "
            f"{same} of {len(prompts)} captions the same"
        )


if __name__ == "__main__":
    main()
