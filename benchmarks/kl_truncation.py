"""What keeping the teacher's top k tokens and one tail bucket costs, against the KL over the whole vocabulary.

Teacher is the ``LLM_0`` of a trained system's checkpoint reading text input, student the checkpoint reading speech
input, both over the reference captions of dev utterances. Prints one Markdown row a training corpus and k; in the last,
the whole vocabulary, what is left of the error is half precision.

    python benchmarks/kl_truncation.py kd experiments/emosec.yaml
"""

import argparse
from collections import defaultdict

import numpy as np
import torch
from finished_run import finished
from torch import Tensor

from aligncap.alignment.distillation import LiveTeacher
from aligncap.alignment.losses import TopK, full_divergences, token_kls, top_k_and_tail
from aligncap.alignment.training_items import caption_items
from aligncap.captioner.checkpoint import load_checkpoint
from aligncap.training.data import load_examples

KEPT = (8, 16, 32, 64, 128, 256, 1024)  # and the whole vocabulary
BATCH = 4
COLUMNS = (
    *("corpus", "k", "full KL", "top k + tail", "error", "error, 95th percentile", "teacher's tail mass"),
    *("student's mass there", "bytes a token", "tokens"),
)


def measure(teacher_logits: Tensor, student_logits: Tensor, k: int, temperature: float) -> Tensor:
    """Per token ``[4, N]``: full KL, KL as stored with top ``k``, the mass of teacher and student outside the top k."""
    top = top_k_and_tail(teacher_logits, k, temperature)
    stored = TopK(top.ids, top.logprobs.half().float(), top.tail)  # half precision but for the tail
    student = (student_logits.float() / temperature).softmax(-1)
    parts = (
        full_divergences(student_logits, teacher_logits, "forward_kl", temperature),
        token_kls(student_logits, stored, temperature),
        top.tail.exp(),
        (1 - student.gather(-1, top.ids).sum(-1)).clamp_min(0),
    )
    return torch.stack([part.double().cpu() for part in parts])


def row(corpus: str, k: int, found: list[Tensor]) -> str:
    """One row of the table."""
    values = torch.cat(found, 1).numpy()
    error = values[0] - values[1]
    full, kept, teacher, student = values.mean(1)
    numbers = (full, kept, error.mean(), np.quantile(np.abs(error), 0.95), teacher, student)
    cells = [corpus, str(k), *(f"{n:.5f}" for n in numbers), str(k * (4 + 2) + 4), str(len(error))]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure a system of an experiment that has run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system")
    parser.add_argument("overlay", nargs="*", help="over config.yaml, as the experiment ran")
    arguments = parser.parse_args()
    run = finished(arguments.system, arguments.overlay)
    own = run.config
    model = load_checkpoint(run.checkpoint, run.llm, own.compute)
    items = caption_items(load_examples(run.inputs, ["dev"])[: own.alignment.dev_limit], model.response_ids)
    items.sort(key=lambda item: len(item.ids))
    temperature = own.teacher.temperature
    live = LiveTeacher(model, own.teacher.clues, "forward_kl", temperature)
    found: dict[tuple[str, int], list[Tensor]] = defaultdict(list)
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        with torch.no_grad():
            prompts = model.speech_prompts([item.example for item in batch])
            student = model.response_logits(model.pack(prompts, [[list(item.ids)] for item in batch]))
            said = live.logits(batch)
            for k in [k for k in KEPT if k < said.shape[-1]] + [said.shape[-1]]:
                values = measure(said, student, k, temperature)
                for item, part in zip(batch, values.split([len(item.ids) for item in batch], 1), strict=True):
                    found[item.example.corpus, k].append(part)
    print("| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1), sep="\n")
    for key, parts in sorted(found.items()):
        print(row(*key, parts))


if __name__ == "__main__":
    main()
