"""One DPO step: our packed layout against TRL's DPOTrainer, in turn, on the same pairs and the same model.

Both train a LoRA of the same rank on the embedded LLM with precomputed reference log-probabilities. TRL has no speech
input, so the prompts are text. The figure is the ratio of the medians; absolute times are of this machine.

    pip install -r benchmarks/requirements.txt && python benchmarks/preference_step.py
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts
from aligncap.models.sources import model_folder
from aligncap.preference.losses import dpo_loss, implicit_margin

PAIRS, RANK, BETA = 4, 16, 0.1
CONTEXT = (
    "Emotion: angry. Intensity: strong. Level: high. Pitch: high. Rate: fast.\n"
    'Words: "I have told you again and again that the letters belong on the other table by the door."\n'
    "Describe in one sentence how the speaker sounds, name the emotion and the voice, and add nothing else."
)
CHOSEN = "The speaker sounds furious, with a loud and high-pitched voice that rushes through the words without pause."
REJECTED = "The speaker sounds calm and rather content, with a soft and low voice that takes its time over every word."


def ours(folder: Path) -> Callable[[], None]:
    """A step of the packed layout."""
    model = CaptionModel(folder, Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_lora(Lora(rank=RANK, alpha=2 * RANK))
    parameters = list(lora_tensors(model.llm).values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    prompts = [model.text_prompt(CONTEXT, []) for _ in range(PAIRS)]
    answers = [[model.response_ids(CHOSEN), model.response_ids(REJECTED)]] * PAIRS
    with torch.no_grad():
        reference = model.response_logps(model.pack(prompts, answers)).view(PAIRS, 2)

    def step() -> None:
        logps = model.response_logps(model.pack(prompts, answers)).view(PAIRS, 2)
        dpo_loss(implicit_margin(*logps.unbind(1), *reference.unbind(1)), BETA).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def theirs(folder: Path, scratch: str) -> Callable[[], None]:
    """A step of TRL's trainer on the same tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chat = [{"role": "system", "content": Prompts().instruction}, {"role": "user", "content": CONTEXT}]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    rows = [{"prompt": prompt, "chosen": CHOSEN, "rejected": REJECTED}] * PAIRS
    settings = DPOConfig(
        output_dir=scratch,
        per_device_train_batch_size=PAIRS,
        precompute_ref_log_probs=True,
        beta=BETA,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        max_steps=1,
        save_strategy="no",
    )
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = DPOTrainer(
        model, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, peft_config=lora
    )
    trainer.train()
    batch = next(iter(trainer.get_train_dataloader()))

    def step() -> None:
        trainer.training_step(trainer.model, batch)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def main() -> None:
    """Time both in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", type=Path, default=Path("models/smollm2-135m-instruct/manifest.json"))
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = model_folder(arguments.llm)
    with tempfile.TemporaryDirectory() as scratch:
        steps = {"packed": ours(folder), "trl": theirs(folder, scratch)}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(arguments.steps + 1):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                seconds[name].append(time.perf_counter() - start)
    for name, values in seconds.items():
        own = values[1:]  # the first is a warm-up
        print(f"{name:7} median {statistics.median(own):.2f} s  ({min(own):.2f} to {max(own):.2f}, {len(own)} steps)")
    ratios = [b / a for a, b in zip(seconds["packed"][1:], seconds["trl"][1:], strict=True)]
    print(f"trl / packed: {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
