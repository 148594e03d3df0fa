"""One DPO step: our packed layout against TRL's DPOTrainer, in turn, on the same pairs and the same model.

Both train a LoRA of the same rank on the embedded LLM with precomputed reference log-probabilities. TRL has no speech
input, so the prompts are text. The figure is the ratio of the medians; absolute times are of this machine.

    pip install -r benchmarks/requirements.txt && python benchmarks/preference_step.py
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from clips import arithmetic, speed_lines, take_turns
from datasets import Dataset
from peft import LoraConfig
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.config import Compute, Lora, Prompts
from aligncap.evaluation.wording import markdown_table
from aligncap.models.sources import model_folder
from aligncap.preference.losses import dpo_loss, implicit_margin

Step = tuple[Callable[[], None], Tensor]  # a step, and the reference log-probabilities [pairs, 2] that it reads
RANK, BETA = 16, 0.1
# Four clips, whose prompts share no more than the instruction before them.
CLUES = (
    "Emotion: angry. Intensity: strong. Level: high. Pitch: high. Rate: fast.",
    "Emotion: sad. Intensity: weak. Level: low. Pitch: low. Rate: slow.",
    "Voice: breathy. Emotion: fearful. Level: low. Pitch: high. Rate: fast.",
    "Rate: slow. Emotion: calm. Pitch: low. Level: normal. Intensity: weak.",
)
CONTEXTS = [
    f'{clues}\nWords: "I have told you again and again that the letters belong on the other table by the door."\n'
    "Describe in one sentence how the speaker sounds, name the emotion and the voice, and add nothing else."
    for clues in CLUES
]
PAIRS = len(CONTEXTS)
CHOSEN = "The speaker sounds furious, with a loud and high-pitched voice that rushes through the words without pause."
REJECTED = "The speaker sounds calm and rather content, with a soft and low voice that takes its time over every word."


def ours(folder: Path) -> Step:
    """A step of the packed layout."""
    model = CaptionModel(folder, Prompts(), Compute(precision="fp32", device="cpu"))
    model.add_lora(Lora(rank=RANK, alpha=2 * RANK))
    parameters = list(lora_tensors(model.llm).values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    prompts = [model.text_prompt(context, []) for context in CONTEXTS]
    answers = [[model.response_ids(CHOSEN), model.response_ids(REJECTED)]] * PAIRS
    with torch.no_grad():
        reference = model.response_logps(model.pack(prompts, answers)).view(PAIRS, 2)

    def step() -> None:
        logps = model.response_logps(model.pack(prompts, answers)).view(PAIRS, 2)
        dpo_loss(implicit_margin(*logps.unbind(1), *reference.unbind(1)), BETA).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, reference


def theirs(folder: Path, scratch: str) -> Step:
    """A step of TRL's trainer on the same tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = []
    for context in CONTEXTS:
        chat = [{"role": "system", "content": Prompts().instruction}, {"role": "user", "content": f"{context}\n"}]
        prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        rows.append({"prompt": prompt, "chosen": CHOSEN, "rejected": REJECTED})
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

    return step, torch.stack([batch["ref_chosen_logps"], batch["ref_rejected_logps"]], 1)


def main() -> None:
    """Time both in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", type=Path, default=Path("models/smollm2-135m-instruct/manifest.json"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = model_folder(arguments.llm)
    with tempfile.TemporaryDirectory() as scratch:
        (step, known), (their_step, theirs_known) = ours(folder), theirs(folder, scratch)
        order = [tensor.sort(0).values for tensor in (known, theirs_known)]  # its loader shuffles
        apart = float((order[0] - order[1]).abs().max())
        assert apart < 1e-3, f"reference log-probabilities differ by {apart} nat"
        ways = {"DPOTrainer of TRL": their_step, "ours": step}
        spent, _ = take_turns(ways, arguments.rounds)
    print("\n".join(markdown_table("lrr", [f"DPO step of {PAIRS} pairs", "s", "times as fast"], speed_lines(spent))))
    print(f"Reference log-probabilities differ by {apart:.1e} nat, so both read the same tokens.")
    print(arithmetic(ways))


if __name__ == "__main__":
    main()
