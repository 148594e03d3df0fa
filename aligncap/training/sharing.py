"""What the processes of one training share: gradients, sums, and the weights of an LLM that FSDP spreads over them.

accelerate starts the processes and says by its file which way they share: with DDP each has the whole model, with FSDP
(version 2) each has a part of the LLM, its LoRA and the optimiser's state of that. Adapter and heads are small, and
every process has them whole. In one process nothing here changes anything.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import torch
from accelerate import (
    Accelerator,
    DistributedDataParallelKwargs,
    DistributedType,
    FullyShardedDataParallelPlugin,
    PartialState,
)
from accelerate.utils import GradientAccumulationPlugin, broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from aligncap.config import Compute
from aligncap.models.device import pick_device

Value = TypeVar("Value")
FSDP_VARIABLE = "ACCELERATE_USE_FSDP"  # `accelerate launch` sets it


def accelerator_for(task: nn.Module, compute: Compute) -> Accelerator:
    """Return the accelerator of this process for the training of ``task``."""
    if not _llms(task):
        os.environ.pop(FSDP_VARIABLE, None)  # there is nothing to spread; DDP
    cpu = pick_device(compute).type == "cpu"
    accelerator = Accelerator(
        cpu=cpu,
        # The loop adds up gradients itself; a number in accelerate's file would divide the loss once more.
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        # A batch of one process may lack a kind of clue, whose head then has no gradient there.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)],
    )
    if cpu and os.environ.get(FSDP_VARIABLE) == "true":
        # On a CPU accelerate 1.15 would take DDP without a word. What it does for GPUs runs there as well. It copies
        # the first state over the second whenever it looks.
        accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin()
        PartialState().distributed_type = accelerator.state.distributed_type = DistributedType.FSDP
    return accelerator


def share(
    accelerator: Accelerator, task: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return what trains ``task`` together with the other processes; with FSDP its parameters are others than before.

    With FSDP each layer of the LLM (what transformers does not split) is gathered when it is computed.
    """
    if accelerator.is_fsdp2:
        llms = _llms(task)
        inside = {module for llm in llms for module in llm.modules()}
        layers = {name for llm in llms for name in llm._no_split_modules or ()}
        task._no_split_modules = sorted(layers)  # type: ignore[assignment]  # accelerate reads it
        # FSDP refuses scalars, such as the adapter's scale.
        outside = [module for module in task.modules() if inside.isdisjoint(module.modules())]
        accelerator.state.fsdp_plugin.ignored_modules = outside
    prepared: tuple[nn.Module, torch.optim.Optimizer] = accelerator.prepare(task, optimizer)
    return prepared


def _llms(task: nn.Module) -> list[PreTrainedModel]:
    return [module for module in task.modules() if isinstance(module, PreTrainedModel)]


def add_gradients(accelerator: Accelerator, parameters: Iterable[Tensor]) -> None:
    """With FSDP: average over the processes the gradients of what each has whole, as DDP does; call it in each."""
    if not accelerator.is_fsdp2:
        return
    own = [parameter for parameter in parameters if not isinstance(parameter, DTensor)]
    used = torch.tensor([parameter.grad is not None for parameter in own], device=accelerator.device).int()
    for parameter, anywhere in zip(own, accelerator.reduce(used).tolist(), strict=True):
        if anywhere:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = accelerator.reduce(gradient, "mean")


def add_sums(accelerator: Accelerator, sums: Mapping[str, float]) -> Mapping[str, float]:
    """Add up the sums of all processes by name, in their order; call it in each."""
    if accelerator.num_processes == 1:
        return sums
    together: dict[str, float] = defaultdict(float)
    for own in gather_object([dict(sums)]):
        for name, value in own.items():
            together[name] += value
    return together


def of_the_main(accelerator: Accelerator, value: Value) -> Value:
    """Return the value of the main process, so that all decide alike; call it in each."""
    return value if accelerator.num_processes == 1 else broadcast_object_list([value])[0]


def equal_everywhere(accelerator: Accelerator, value: Any) -> bool:
    """Return whether all processes have this value; call it in each."""
    return accelerator.num_processes == 1 or len(set(gather_object([value]))) == 1


def held_here(tensors: Iterable[Tensor]) -> int:
    """Return how many numbers of these tensors this process holds."""
    return sum((tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel() for tensor in tensors)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor that processes may share, whole; call it in each."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed(tensor: Tensor, like: Tensor) -> Tensor:
    """Return this process's part of a whole tensor where ``like``, of the same shape, is shared; else the tensor."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def collect(task: nn.Module) -> None:
    """Put whole tensors in place of trained ones that processes share, so that the task can be saved; call it in each.

    The LLM's frozen weights, which are not saved, stay spread over the processes.
    """
    modules = list(task.modules())
    for module in modules:
        if isinstance(module, FSDPModule):
            module.reshard()
    for module in modules:
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and isinstance(parameter, DTensor):
                setattr(module, name, nn.Parameter(whole(parameter).detach()))
