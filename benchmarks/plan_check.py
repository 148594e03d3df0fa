"""What `aligncap plan` computes beside what is measured here: parameters, bytes, FLOPs, memory and time.

Both are of the models of config.yaml, from models/ where they were fetched; what is not there has random weights of the
published shape, for no figure but those of stored files depends on the weights. Clips, clues and captions are made up.
FLOPs are counted by torch's FlopCounterMode, and memory is what autograd keeps (saved_tensors_hooks). A step's time is
planned from the speed of a matrix product of the model's shape and from that of a sum of activations, both measured in
the same run; what share of that speed products reach is taken from the first step, and the other steps are planned
with it. It is processor time of one thread. With --results, the files of a finished run are measured as well.

    python benchmarks/plan_check.py --results results/default
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aligncap import artifacts
from aligncap.alignment.distillation import CachedResponse, CachedTeacher
from aligncap.alignment.tasks import AlignmentTask
from aligncap.alignment.training_items import TrainingItem
from aligncap.captioner.checkpoint import CheckpointPaths, save_checkpoint
from aligncap.captioner.example import Example
from aligncap.captioner.model import CaptionModel, lora_tensors
from aligncap.captioner.packing import TOGETHER
from aligncap.config import AlignCapConfig, Compute
from aligncap.evaluation.wording import markdown_table
from aligncap.models.random_models import write_tokenizer
from aligncap.planning import costs, sizes
from aligncap.planning.assumptions import CARDS, Assumptions
from aligncap.planning.costs import Batch
from aligncap.planning.setting import Setting
from aligncap.planning.shapes import config_of, numbers
from aligncap.preference.train import PreferenceTask
from aligncap.systems import load

EMOTIONS = ("angry", "sad", "happy", "fearful", "calm", "disgusted")
LEVELS = ("high", "low", "normal")
TOLERANCE = 0.15


@dataclass(frozen=True)
class Row:
    """A figure of the plan, and the same as it was measured."""

    what: str
    planned: float
    measured: float
    unit: str

    @property
    def ratio(self) -> float:
        """Planned over measured."""
        return self.planned / self.measured


def llm_folder(config: AlignCapConfig, models: Path, scratch: Path) -> Path:
    """Return the folder of the LLM; of one that was not fetched, random weights of its shape."""
    from transformers import AutoModelForCausalLM

    folder = models / config.models.llm.name
    if (folder / "config.json").is_file():
        return folder
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config_of(config.models.llm, models)[1]).save_pretrained(scratch)
    write_tokenizer(scratch)
    return scratch


def made_up(config: AlignCapConfig, setting: Setting, count: int, vocabulary: int) -> list[TrainingItem]:
    """Return clips with captions of several lengths, whose tokens are drawn at random."""
    draw, generator = random.Random(0), np.random.default_rng(0)
    frames = round(costs.FRAMES * setting.assumed.seconds / config.features.pool)
    items = []
    for number in range(count):
        clues = (
            f"Emotion: {draw.choice(EMOTIONS)}. Level: {draw.choice(LEVELS)}. Pitch: {draw.choice(LEVELS)}. Rate: fast."
        )
        words, caption = (generator.integers(0, vocabulary, draw.randint(*ends)) for ends in ((6, 14), (14, 26)))
        shape = (len(config.features.layers), frames + draw.randint(-3, 3), setting.encoder.width)
        features = generator.standard_normal(shape).astype(np.float16)
        example = Example(f"clip{number}", "made_up", ("",), clues, clues, tuple(words.tolist()), features)
        items.append(TrainingItem(example, f"clip{number}#0", tuple(caption.tolist())))
    return items


def cached(items: Sequence[TrainingItem], kept: int, vocabulary: int) -> CachedTeacher:
    """Return made-up distributions of a teacher."""
    generator = np.random.default_rng(1)
    found = {}
    for item in items:
        shape = (len(item.ids), kept)
        logprobs = -np.sort(generator.exponential(3.0, shape)).astype(np.float16)
        tokens = generator.integers(0, vocabulary, shape).astype(np.int32)
        found[item.key] = CachedResponse(
            np.array(item.ids, np.int32), tokens, logprobs, np.full(shape[0], -1.0, np.float32)
        )
    return CachedTeacher(found, items, 1.0)


def preference(model: CaptionModel, config: AlignCapConfig, items: Sequence[TrainingItem]) -> PreferenceTask:
    """Return the task of preference optimisation on pairs of captions of neighbours."""
    pairs, reference = [], {}
    for one, other in zip(items, [*items[1:], items[0]], strict=True):
        name, ids = one.key, {"chosen_ids": list(one.ids), "rejected_ids": list(other.ids)}
        where = {"corpus": one.example.corpus, "utterance_id": one.example.utterance_id}
        pairs.append({"pair_id": name, "kind": "factuality", **where, **ids})
        lengths = {"n_chosen": len(one.ids), "n_rejected": len(other.ids)}
        reference[name] = {"chosen_logp": -20.0, "rejected_logp": -20.0, **lengths}
    examples = {item.example.key: item.example for item in items}
    settings = config.preference.model_copy(update={"loss": "dpo"})
    return PreferenceTask(model, settings, {"train": pairs, "dev": []}, examples, reference)


def batch_of(model: CaptionModel, items: Sequence[TrainingItem], responses: int) -> Batch:
    """Return the batch that a plan would reckon with: prompts and responses of the mean lengths of these."""
    with torch.no_grad():
        prompts = model.speech_prompts([item.example for item in items])
    shared = len(os.path.commonprefix([prompt.before for prompt in prompts]))
    own = statistics.fmean(len(prompt) for prompt in prompts) - shared
    return Batch(len(items), shared, own, responses, statistics.fmean(len(item.ids) for item in items))


@contextmanager
def kept_by_autograd(model: nn.Module) -> Iterator[dict[int, int]]:
    """Count the bytes of the storages that autograd keeps, but for the model's own weights."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def seconds_of(run: Callable[[], object], times: int = 1) -> float:
    """Return the processor time of a run, for others may use the machine."""
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def speeds(setting: Setting, batch: Batch) -> tuple[float, float]:
    """Return TFLOP/s of a product of the MLP's shape, and GB/s of a sum of two activations."""
    llm, positions = setting.llm, round(batch.positions)
    one, other = torch.randn(positions, llm.width), torch.randn(llm.width, llm.ffn)
    tensors = [torch.randn(positions, llm.ffn) for _ in range(32)]  # more than a cache holds
    product = seconds_of(lambda: one @ other, times=50)
    seconds = seconds_of(lambda: [a + b for a, b in zip(tensors[::2], tensors[1::2], strict=True)], times=5)
    moved = 3 * 4 * positions * llm.ffn * len(tensors) / 2
    return 2 * positions * llm.width * llm.ffn / product / 1e12, moved / seconds / 1e9


def trainable(tensors: Sequence[Tensor], all_of: nn.Module) -> None:
    """Freeze a model but for these, as the training loop does."""
    all_of.requires_grad_(False)
    for tensor in tensors:
        tensor.requires_grad_(True)


def of_files(setting: Setting, model: CaptionModel, scratch: Path) -> Iterator[Row]:
    """Measure the files of a checkpoint; the clue tagger's tensors are left out on both sides."""
    paths = CheckpointPaths.of(scratch / "checkpoint")
    llm0 = {name: tensor.detach().clone() for name, tensor in lora_tensors(model.llm).items()}
    adapted = setting.config.teacher.adapt
    save_checkpoint(paths, model, llm0 if adapted else {}, {}, {})
    stored = sum(path.stat().st_size for path in (paths.adapter, paths.lora))
    yield Row("checkpoint without tagger", sizes.checkpoint(setting, "kd"), stored, "bytes")


def of_step(name: str, setting: Setting, task: nn.Module, batch: Batch, adapter: float) -> Iterator[Row]:
    """Measure FLOPs and kept bytes of a step; ``adapter`` are the planned FLOPs of the speech adapter."""
    llm, lora, aligning = setting.llm, setting.lora, isinstance(task, AlignmentTask)
    with FlopCounterMode(display=False) as counter, kept_by_autograd(task) as kept:
        loss, _ = task("train", range(batch.prompts))
        bytes_kept = sum(kept.values())
        loss.backward()
    if setting.config.compute.device == "cpu":  # torch counts no FLOPs of its fused attention on CPUs
        flops = costs.forward_flops(llm, lora.parameters, batch) + adapter
        flops += costs.backward_flops(llm, lora, batch, input_gradient=aligning)
        yield Row(f"{name}: FLOPs", flops, counter.get_total_flops(), "FLOP")
    planned = setting.kept(batch) + costs.logit_bytes(llm, batch, aligning, made=0)
    if setting.size == 2:  # what autocast makes of the LoRA
        planned += 2 * lora.parameters
    yield Row(f"{name}: kept for the backward pass", planned, bytes_kept, "bytes")


@dataclass(frozen=True)
class Timed:
    """A step of a training: what the plan computes of it, the speeds of this machine, and what it took."""

    name: str
    here: Setting  # whose card has the speeds of this machine
    flops: float
    moved: float  # bytes beside the products
    adapter: float  # FLOPs of the speech adapter
    seconds: float

    def planned(self, reached: float = 1.0) -> float:
        """Return the planned seconds, where products reach such a share of the speed of a large one."""
        setting = replace(self.here, assumed=replace(self.here.assumed, reached=reached))
        return setting.seconds(self.flops, self.moved, 0, self.adapter)

    @property
    def reached(self) -> float:
        """The share of the speed of a large product at which the plan is what the step took."""
        moving = self.here.seconds(0.0, self.moved, 0)
        return (self.planned() - moving) / (self.seconds - moving)

    def row(self, reached: float = 1.0) -> Row:
        """Return planned and measured time."""
        return Row(f"{self.name}: time, `--reached {reached:.2f}`", self.planned(reached), self.seconds, "s")


def timed(name: str, setting: Setting, task: nn.Module, batch: Batch, adapter: float, rounds: int) -> Timed:
    """Measure the seconds of a step and the speeds of this machine, which are printed."""

    def step() -> None:
        task("train", range(batch.prompts))[0].backward()

    llm, lora, aligning = setting.llm, setting.lora, isinstance(task, AlignmentTask)
    flops = costs.forward_flops(llm, lora.parameters, batch)
    flops += costs.backward_flops(llm, lora, batch, input_gradient=aligning)
    moved = 3 * setting.moved(batch, distilled=aligning)
    step()
    found, spent = [speeds(setting, batch)], []
    for _ in range(rounds):  # the machine may be faster in one minute than in the next
        spent.append(seconds_of(step))
        found.append(speeds(setting, batch))
    tflops, bandwidth = (statistics.fmean(values) for values in zip(*found, strict=True))
    print(
        f"{name}: a product reaches {1e3 * tflops:.0f} GFLOP/s, a sum of activations {bandwidth:.1f} GB/s.", flush=True
    )
    here = replace(setting, card=setting.card._replace(fp32_tflops=tflops, bandwidth_gb=bandwidth))
    return Timed(name, here, flops, moved, adapter, statistics.fmean(spent))


def of_optimiser(setting: Setting, task: nn.Module, batch: Batch) -> Iterator[Row]:
    """Measure what trains in memory, after a step: weights, gradients and moments."""
    trained = [tensor for tensor in task.parameters() if tensor.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    task("train", range(batch.prompts))[0].backward()
    optimizer.step()
    moments = [value for state in optimizer.state.values() for value in state.values()]
    tensors = [*trained, *(tensor.grad for tensor in trained if tensor.grad is not None), *moments]
    parameters = setting.lora.parameters + numbers(setting.adapter(setting.config)[0])
    stored = sum(tensor.nbytes for tensor in tensors)
    yield Row("trained weights, gradients, optimiser", costs.STATES * parameters, stored, "bytes")
    optimizer.zero_grad()


def of_models(setting: Setting, model: CaptionModel) -> Iterator[Row]:
    """Count parameters."""
    own = {
        "LLM": (setting.llm.parameters, [p for n, p in model.llm.named_parameters() if "lora_" not in n]),
        "LoRA": (setting.lora.parameters, list(lora_tensors(model.llm).values())),
        "speech adapter": (numbers(setting.adapter(setting.config)[0]), list(model.adapter.parameters())),
    }
    for name, (planned, tensors) in own.items():
        yield Row(f"parameters of the {name}", planned, sum(tensor.numel() for tensor in tensors), "")


def of_run(setting: Setting, results: Path) -> Iterator[Row]:
    """Measure the files of a finished run, for the clips and tokens that they hold."""
    config = setting.config
    for path in sorted((results / "features").glob("*.parquet")):
        rows = artifacts.read_table(path, "features").select(["n_layers", "n_frames", "dim"]).to_pylist()
        seconds = statistics.fmean(row["n_frames"] for row in rows) * config.features.pool / costs.FRAMES
        clip = costs.feature_bytes(rows[0]["n_layers"], config.features.pool, rows[0]["dim"], seconds)
        planned = setting.assumed.features_stored * clip * len(rows)
        yield Row(f"features of {path.stem}", planned, path.stat().st_size, "bytes")
    for path in sorted((results / "teacher_logits").glob("*/*.parquet")):
        rows = artifacts.read_table(path, "teacher_logits").select(["response_ids", "topk_ids"]).to_pylist()
        tokens = sum(len(row["response_ids"]) for row in rows)
        planned = setting.assumed.logits_stored * costs.distribution_bytes(len(rows[0]["topk_ids"][0])) * tokens
        yield Row(f"teacher logits of {path.parent.name}/{path.stem}", planned, path.stat().st_size, "bytes")
    for folder in sorted(path.parent for path in results.glob("checkpoints/*/system.json")):
        paths = CheckpointPaths.of(folder)
        tagger = {n: t.shape for n, t in load_file(paths.adapter).items() if n.startswith("tagger.")}
        stored = sum(path.stat().st_size for path in (paths.adapter, paths.lora))
        planned = sizes.checkpoint(setting, folder.name) + 4 * numbers(tagger)
        yield Row(f"checkpoint of {folder.name}, with its tagger", planned, stored, "bytes")


def checked(config: AlignCapConfig, models: Path, rounds: int) -> list[Row]:
    """Measure what a plan of this configuration computes.

    Args:
        config: Models, adapter, LoRA and batch sizes.
        models: Folder of fetched models.
        rounds: How often a step is timed; 0 times none.
    """
    own = with_compute(config, device="cpu", precision="fp32")
    setting = Setting(own, CARDS["a100"], Assumptions(reached=1.0), models)
    with tempfile.TemporaryDirectory() as scratch:
        folder = llm_folder(own, models, Path(scratch))
        model = built(setting, folder)
        rows = [*of_models(setting, model), *of_files(setting, model, Path(scratch))]
        vocabulary = min(setting.llm.vocabulary, len(model.tokenizer))
        size, pairs = own.alignment.batch_size, own.preference.batch_size
        items = made_up(own, setting, max(size, pairs), vocabulary)
        aligned, paired = batch_of(model, items[:size], 1), batch_of(model, items[:pairs], 2)
        teacher = cached(items[:size], own.teacher.top_k, vocabulary)
        adapting = setting.adapting(own, setting.llm.width)

        def align(captioner: CaptionModel) -> nn.Module:
            trainable([*lora_tensors(captioner.llm).values(), *captioner.adapter.parameters()], captioner)
            return AlignmentTask(captioner, items[:size], [], own.alignment, teacher, None, 0).train()

        rows += of_optimiser(setting, align(model), aligned)
        rows += of_step("alignment", setting, align(model), aligned, 3 * size * adapting)
        few, times = batch_of(model, items[:TOGETHER], 1), []
        if rounds:
            for batch in (aligned, few):
                name = f"alignment of {batch.prompts} utterances"
                times.append(timed(name, setting, align(model), batch, 3 * batch.prompts * adapting, rounds))
        model.llm.set_attn_implementation("sdpa")
        fused = replace(setting, config=with_compute(config, device="auto", precision="fp32"))
        rows += of_step("alignment, fused attention", fused, align(model), aligned, 0.0)
        model = built(setting, folder)
        trainable(list(lora_tensors(model.llm).values()), model)
        task = preference(model, own, items[:pairs])
        rows += of_step("preference", setting, task, paired, pairs * adapting)
        if rounds:
            times.append(timed(f"preference of {pairs} pairs", setting, task, paired, pairs * adapting, rounds))
            rows += [times[0].row(), *(step.row(times[0].reached) for step in times[1:])]
        rounded = replace(setting, config=with_compute(config, device="auto", precision="bf16"))
        model = built(rounded, folder)
        model.llm.set_attn_implementation("sdpa")
        # Few, for a CPU without bf16 is slow.
        rows += of_step("alignment, fused attention, bf16", rounded, align(model), few, 0.0)
    return rows


def with_compute(config: AlignCapConfig, **compute: str) -> AlignCapConfig:
    """Return the configuration with other arithmetic."""
    threads = torch.get_num_threads()
    return config.model_copy(update={"compute": Compute.model_validate({"threads": threads, **compute})})


def built(setting: Setting, folder: Path) -> CaptionModel:
    """Return the captioner with a new LoRA and adapter, on the CPU."""
    config = setting.config
    compute = config.compute.model_copy(update={"device": "cpu"})
    model = CaptionModel(folder, config.prompts, compute)
    model.add_lora(config.lora)
    model.add_adapter(config.adapter, len(config.features.layers), setting.encoder.width)
    return model


def shown(value: float) -> str:
    """Return a figure with four digits, or a large one as a whole number."""
    return f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlay", nargs="*", help="over config.yaml")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--results", type=Path, help="of a finished run of the same configuration")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = load("config.yaml", *options.overlay)
    rows = checked(config, options.models, options.rounds)
    if options.results is not None:
        rows += of_run(Setting(config, CARDS["a100"], Assumptions(), options.models), options.results)
    lines = [[row.what, shown(row.planned), shown(row.measured), row.unit, f"{row.ratio:.3f}"] for row in rows]
    print("\n".join(markdown_table("lrrlr", ["what", "planned", "measured", "", "planned / measured"], lines)))
    apart = [row.what for row in rows if abs(row.ratio - 1) > TOLERANCE]
    print(f"Further apart than {TOLERANCE:.0%}: {', '.join(apart) or 'none'}.")


if __name__ == "__main__":
    main()
