"""One step of KD-Regularization: from cached distributions in our packed layout, against a plain loop of transformers.

The plain loop is what a user of transformers and peft would write: prompts and responses padded on the right, a live
teacher, logits of every position, the divergence over the whole vocabulary at the response positions. Both train the
same LoRA and speech adapter on the same utterances of a finished experiment, without dropout, noise or mix-up. Before
any step both must give the same NLL to 1e-4 nat a token; the two divergences differ by what the top k and the tail
bucket leave out, which is printed.

    python benchmarks/kd_step.py kd experiments/people.yaml
"""

import copy
from collections.abc import Callable, Sequence

import torch
from captioning import with_mask
from clips import arithmetic, parser_of_turns, speed_lines, take_turns
from finished_run import Finished, finished
from torch import Tensor, nn

from aligncap.alignment.distillation import CachedResponse, CachedTeacher
from aligncap.alignment.losses import top_k_and_tail
from aligncap.alignment.tasks import AlignmentTask
from aligncap.alignment.training_items import TrainingItem, caption_items, teacher_prompts
from aligncap.captioner.checkpoint import build_model, load_checkpoint, load_lora
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.captioner.packing import Prompt, embed_prompt
from aligncap.config import Compute
from aligncap.evaluation.wording import markdown_table
from aligncap.training.data import load_examples

RATE = 1e-6  # so small that all steps see nearly the same losses
Losses = tuple[float, float]  # NLL and divergence, nat a token


def parameters_of(model: CaptionModel) -> list[nn.Parameter]:
    """Return what alignment trains: the LoRA and the adapter."""
    found = [*lora_tensors(model.llm).values(), *(model.adapter.parameters() if model.adapter else ())]
    for parameter in found:
        parameter.requires_grad_(True)
    return [p for p in found if isinstance(p, nn.Parameter)]


def cached(own: Finished, teacher: CaptionModel, items: Sequence[TrainingItem]) -> CachedTeacher:
    """Return the teacher's distributions as the rule ``teacher_logits`` stores them."""
    settings, kept = own.config.teacher, {}
    for item in items:
        prompts = teacher_prompts(teacher, [item.example], settings.clues)
        with torch.no_grad():
            logits = teacher.response_logits(teacher.pack(prompts, [[list(item.ids)]]))
        top = top_k_and_tail(logits, settings.top_k, settings.temperature)
        parts = (torch.tensor(item.ids), top.ids.int(), top.logprobs.half(), top.tail)
        kept[item.key] = CachedResponse(*(part.numpy() for part in parts))
    return CachedTeacher(kept, items, settings.temperature)


def ours(own: Finished, model: CaptionModel, teacher: CachedTeacher, items: list[TrainingItem]) -> Callable[[], Losses]:
    """Return a step of the task of the rule ``train_alignment``."""
    alignment = own.config.alignment.model_copy(update={"withheld": 0.0})
    task = AlignmentTask(model, items, [], alignment, teacher, None, own.config.seed)
    optimizer = torch.optim.AdamW(parameters_of(model), lr=RATE)
    tokens = sum(len(item.ids) for item in items)

    def step() -> Losses:
        loss, logged = task("train", range(len(items)))
        (loss / tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(logged["nll"].detach()) / tokens, float(logged["kl"].detach()) / tokens

    return step


def padded(model: CaptionModel, prompts: Sequence[Prompt], items: Sequence[TrainingItem]) -> tuple[Tensor, Tensor]:
    """Return embeddings ``[B, T, H]`` of prompts with their responses, and the mask ``[B, T]`` of what is there."""
    embed = model.llm.get_input_embeddings()
    return with_mask(
        [
            torch.cat([embed_prompt(prompt, embed, model.device), embed(torch.tensor(item.ids))])
            for prompt, item in zip(prompts, items, strict=True)
        ],
        "right",
    )


def at_responses(logits: Tensor, prompts: Sequence[Prompt], items: Sequence[TrainingItem]) -> Tensor:
    """Return the logits ``[N, V]`` that predict the responses."""
    return torch.cat(
        [
            row[len(prompt) - 1 : len(prompt) + len(item.ids) - 1]
            for row, prompt, item in zip(logits, prompts, items, strict=True)
        ]
    )


def plain(own: Finished, model: CaptionModel, teacher: CaptionModel, items: list[TrainingItem]) -> Callable[[], Losses]:
    """Return a step of a plain loop with a live teacher."""
    for llm in (model.llm, teacher.llm):
        llm.set_attn_implementation("sdpa")  # as transformers has it by default
    optimizer = torch.optim.AdamW(parameters_of(model), lr=RATE)
    labels = torch.tensor([token for item in items for token in item.ids])
    examples, temperature = [item.example for item in items], own.config.teacher.temperature

    def step() -> Losses:
        texts = teacher_prompts(teacher, examples, own.config.teacher.clues)
        inputs, mask = padded(teacher, texts, items)
        with torch.no_grad():
            said = at_responses(teacher.llm(inputs_embeds=inputs, attention_mask=mask).logits, texts, items)
        prompts = model.speech_prompts(examples)
        inputs, mask = padded(model, prompts, items)
        logits = at_responses(model.llm(inputs_embeds=inputs, attention_mask=mask).logits, prompts, items)
        nll = nn.functional.cross_entropy(logits, labels)
        student, target = ((of / temperature).log_softmax(-1) for of in (logits, said))
        divergence = nn.functional.kl_div(student, target, reduction="batchmean", log_target=True)
        (nll + own.config.alignment.kd_weight * divergence).backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(nll.detach()), float(divergence.detach())

    return step


def main() -> None:
    """Read the options, time both in turn, and print a table."""
    parser = parser_of_turns(__doc__)
    parser.add_argument("system")
    parser.add_argument("overlay", nargs="*", help="over config.yaml, as the experiment ran")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    own, compute = finished(options.system, options.overlay), Compute(device="cpu", precision="fp32", threads=2)
    torch.set_num_threads(options.threads)
    one = load_checkpoint(own.checkpoint, own.llm, compute)
    if one.adapter is not None:
        one.adapter.config = one.adapter.config.model_copy(update={"mixup": 0.0})
    other = copy.deepcopy(one)  # both in evaluation mode, so that neither drops anything
    teacher = build_model(own.llm, own.config.prompts, own.config.lora, compute, load_lora(own.teacher_lora))
    size = own.config.alignment.batch_size
    # Neighbours in length, as `draw_batches` draws them.
    items = sorted(caption_items(load_examples(own.inputs, ["align"]), one.response_ids), key=lambda i: len(i.ids))
    items = items[len(items) // 2 : len(items) // 2 + size]
    known = cached(own, teacher, items)
    ways = {"transformers, live teacher": plain(own, other, teacher, items), "ours": ours(own, one, known, items)}
    (nll, divergence), (same, kept) = (step() for step in ways.values())
    assert abs(nll - same) < 1e-4, f"the two steps do not have the same NLL: {nll} and {same}"
    spent, _ = take_turns(ways, options.rounds)
    print("\n".join(markdown_table("lrr", ["KD step", "s a step", "times as fast"], speed_lines(spent))))
    tokens = sum(len(item.ids) for item in items)
    print(f"{size} utterances, {tokens} response tokens; NLL {nll:.5f} and {same:.5f} nat a token; ", end="")
    print(f"divergence {divergence:.5f} over the whole vocabulary, {kept:.5f} over the top {own.config.teacher.top_k}.")
    print(arithmetic(ways))


if __name__ == "__main__":
    main()
